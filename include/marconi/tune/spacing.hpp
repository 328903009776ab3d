#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/ghost.hpp>
#include <marconi/tune/replay.hpp>

#include <cmath>
#include <concepts>
#include <cstdint>
#include <memory>
#include <vector>

namespace marconi::tune {

/// Whether the checkpoints of a policy::spaced pay, as requests come: one ghost of the cache at
/// work makes them, another does not, and both see all requests. They pay while they save more
/// FLOPs of late, by the requests' weights, than go where they displace something else. Any other
/// admission policy stays as it is, at no cost.
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
            ghosts_ = std::make_unique<pair>(blank, options, admission);
        }
    }

    /// A request, or with an empty prompt more of an answer, and when the cache at work was done
    /// with it (see ghost::ask). O(tokens + depth), and the cost of a victim of each.
    void ask(replay_request<Token> const& request, tick now) {
        if (!ghosts_) return;
        replay_request<Token> const own = as_planned(request);
        double const with = ghosts_->with.ask(own, now).worth.value();
        double const without = ghosts_->without.ask(own, now).worth.value();
        if (request.prompt == token_count{}) return;
        ++requests_;
        saved_with_ = saved_with_ * fade_ + with;
        saved_without_ = saved_without_ * fade_ + without;
    }
    /// Both ghosts' eviction policies, to be told what they cannot find out by themselves.
    template <class Tell>
    void tell(Tell const& what) {
        if (!ghosts_) return;
        what(ghosts_->with.eviction());
        what(ghosts_->without.eviction());
    }

    /// Decides anew. False if there is nothing to decide.
    bool decide(Admission& admission) {
        if (!ghosts_) return false;
        if constexpr (may_space) {
            if (requests_ >= seen_first)
                pays_ = saved_with_ > (pays_ ? to_stay : to_return) * saved_without_;
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
        if (!ghosts_) return;
        ghosts_->with.clear(in);
        ghosts_->without.clear(in);
    }
    void clear() {
        if (!ghosts_) return;
        ghosts_->with.clear();
        ghosts_->without.clear();
    }
    /// There is nothing to decide any more.
    void end() noexcept { ghosts_.reset(); }
    /// Bytes of memory on the host.
    [[nodiscard]] byte_count memory() const {
        return ghosts_ ? memory_of(ghosts_->with) + memory_of(ghosts_->without) : byte_count{};
    }

private:
    static constexpr bool may_space = std::same_as<Admission, policy::spaced>;
    static constexpr std::uint64_t seen_first = 64; ///< requests, before anything is decided
    static constexpr double half_life = 512; ///< requests after which what was saved counts half
    static constexpr double to_stay = 1.005, to_return = 1.02; ///< times what is saved without

    struct pair {
        pair(memory::ledger_store const& blank, cache::cache_options options,
             Admission const& admission)
            : with{blank, options, admission}, without{blank, options, unspaced(admission)} {}
        ghost<Admission, Eviction, Token> with, without;
    };

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
    std::unique_ptr<pair> ghosts_;
    std::vector<cache::captured_state> states_;
    double fade_ = std::exp2(-1 / half_life);
    double saved_with_ = 0, saved_without_ = 0; ///< worth of FLOPs, faded
    std::uint64_t requests_ = 0;
    bool pays_ = true;
};

} // namespace marconi::tune
