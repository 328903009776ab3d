#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/ghost_pair.hpp>
#include <marconi/tune/replay.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <vector>

namespace marconi::tune {

/// Finds out whether the checkpoints of a policy::spaced pay, as requests come: one ghost of the
/// cache makes them, another does not. They pay while the ghost with them would have saved more
/// FLOPs recently, by the requests' weights: more than is lost where they displace something else.
/// Any other admission policy stays as it is, at no cost.
template <policy::admission_policy Admission, policy::eviction_policy Eviction, token Token>
class spacing_trial {
public:
    spacing_trial(memory::ledger_store const& blank, cache::cache_options options,
                  Admission const& admission) {
        if constexpr (may_space) {
            every_ = admission.every;
            bool const any = every_ > token_count{} && every_ <= token_count{most_tokens};
            if (!any || !blank.layout().model().has_checkpoints()) return;
            step_ = admission.step_on(options.checkpoint_grid);
            ghosts_ = std::make_unique<with_and_without>(blank, options, admission,
                                                         unspaced(admission), half_life);
        }
    }

    /// As ghost_pair::ask.
    void ask(replay_request<Token> const& request, tick now) {
        if (ghosts_) ghosts_->ask(as_planned(request), now);
    }
    /// Both ghosts' eviction policies, to be told what they cannot learn from requests.
    template <class Tell>
    void tell(Tell const& what) {
        if (!ghosts_) return;
        what(ghosts_->first().eviction());
        what(ghosts_->second().eviction());
    }

    /// Decides anew. False if there is nothing to decide.
    bool decide(Admission& admission) {
        if (!ghosts_) return false;
        if constexpr (may_space) {
            double const with = ghosts_->saved_by_first(), without = ghosts_->saved_by_second();
            if (ghosts_->requests() >= seen_first)
                pays_ = with > (pays_ ? to_stay : to_return) * without;
            admission.every = pays_ ? every_ : token_count{};
        }
        return true;
    }
    [[nodiscard]] bool pays() const { return pays_; }
    /// The same policy without these checkpoints.
    [[nodiscard]] static Admission unspaced(Admission admission) {
        if constexpr (may_space) admission.every = token_count{};
        return admission;
    }

    void clear(scope const& in) {
        if (ghosts_) ghosts_->clear(in);
    }
    void clear() {
        if (ghosts_) ghosts_->clear();
    }
    /// Stops deciding, for good, and frees the ghosts.
    void end() noexcept { ghosts_.reset(); }
    /// Bytes of memory on the host.
    [[nodiscard]] byte_count memory() const { return ghosts_ ? ghosts_->memory() : byte_count{}; }

private:
    static constexpr bool may_space = std::same_as<Admission, policy::spaced>;
    static constexpr std::uint64_t seen_first = 64; ///< requests, before anything is decided
    static constexpr double half_life = 512; ///< requests after which what was saved counts half
    static constexpr double to_stay = 1.005, to_return = 1.02; ///< times what is saved without

    using with_and_without = ghost_pair<Admission, Eviction, Eviction, Token>;

    /// The request without the states that the cache at work has, or has not, made at multiples of
    /// the step: each ghost plans its own.
    [[nodiscard]] replay_request<Token> as_planned(replay_request<Token> const& request) {
        replay_request<Token> own = request;
        states_.clear();
        for (cache::captured_state const& state : request.captured)
            if (state.position % step_ != 0 || state.position.value() == request.tokens.size())
                states_.push_back({state.position});
        own.captured = states_;
        std::erase_if(own.captured_before, [&](token_count p) { return p % step_ == 0; });
        return own;
    }

    token_count every_, step_;
    std::unique_ptr<with_and_without> ghosts_; ///< if there is anything to decide
    std::vector<cache::captured_state> states_;
    bool pays_ = true;
};

} // namespace marconi::tune
