#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/ghost_pair.hpp>
#include <marconi/tune/replay.hpp>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace marconi::tune {

/// Finds out whether a part of an admission policy pays, as requests come: one ghost of the cache
/// makes these checkpoints, another does not (see ghost). They pay while the ghost with them would
/// have saved more FLOPs recently, by the requests' weights: more than is lost where they displace
/// something else. A policy without the part stays as it is, at no cost.
///
/// `Part` says of what is on trial:
///
///   may_be_in<Admission>    whether such a policy can have the part at all;
///   parameter(admission)    a reference to the number of tokens that is 0 where it is left out;
///   makes(tokens, position, request, grid)
///                           whether the part, with that parameter, asks for a state there.
template <class Part, policy::admission_policy Admission, policy::eviction_policy Eviction,
          token Token>
class admission_trial {
public:
    admission_trial(memory::ledger_store const& blank, cache::cache_options options,
                    Admission const& admission)
        : asked_{parameter_of(admission)}, grid_{options.checkpoint_grid} {
        bool const any = asked_ > token_count{} && asked_ <= token_count{most_tokens};
        if (!any || !blank.layout().model().has_checkpoints()) return;
        ghosts_ = std::make_unique<with_and_without>(blank, options, admission, without(admission),
                                                     half_life);
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

    /// Decides anew whether the policy has the part. False if there is nothing to decide.
    bool decide(Admission& admission) {
        if (!ghosts_) return false;
        double const saved = ghosts_->saved_by_first(), otherwise = ghosts_->saved_by_second();
        if (ghosts_->requests() >= seen_first)
            pays_ = saved > (pays_ ? to_stay : to_return) * otherwise;
        set_parameter(admission, pays_ ? asked_ : token_count{});
        return true;
    }
    [[nodiscard]] bool pays() const { return pays_; }

    /// From now on both ghosts capture by this policy, but for the part.
    void admit_by(Admission admission) {
        if (!ghosts_) return;
        ghosts_->second().admission() = without(admission);
        set_parameter(admission, asked_);
        ghosts_->first().admission() = std::move(admission);
    }
    /// The same policy without these checkpoints.
    [[nodiscard]] static Admission without(Admission admission) {
        set_parameter(admission, {});
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
    /// Puts the part back into the policy, if it was left out.
    void restore(Admission& admission) {
        if (!std::exchange(pays_, true)) set_parameter(admission, asked_);
    }
    /// Bytes of memory on the host.
    [[nodiscard]] byte_count memory() const { return ghosts_ ? ghosts_->memory() : byte_count{}; }

private:
    static constexpr std::uint64_t seen_first = 64; ///< requests, before anything is decided
    static constexpr double half_life = 512; ///< requests after which what was saved counts half
    static constexpr double to_stay = 1.005, to_return = 1.02; ///< times what is saved without

    using with_and_without = ghost_pair<Admission, Eviction, Eviction, Token>;

    [[nodiscard]] static token_count parameter_of(Admission admission) {
        if constexpr (Part::template may_be_in<Admission>)
            return Part::parameter(admission);
        else
            return {};
    }
    static void set_parameter([[maybe_unused]] Admission& admission,
                              [[maybe_unused]] token_count tokens) {
        if constexpr (Part::template may_be_in<Admission>) Part::parameter(admission) = tokens;
    }

    /// The request without the states that the cache at work has, or has not, made for the part:
    /// each ghost plans its own. Where the request is cut at one of these, it goes on: its end is
    /// no tail that the ghost without them would have.
    [[nodiscard]] replay_request<Token> as_planned(replay_request<Token> const& request) {
        auto const is_part = [&](token_count position) {
            return Part::makes(asked_, position, request, grid_);
        };
        replay_request<Token> own = request;
        states_.clear();
        for (cache::captured_state const& state : request.captured)
            if (!is_part(state.position)) states_.push_back({state.position});
        own.captured = states_;
        std::erase_if(own.captured_before, is_part);
        if (is_part(token_count{request.tokens.size()})) own.ended = false;
        return own;
    }

    token_count asked_; ///< the part's parameter when the cache was made
    token_count grid_;
    std::unique_ptr<with_and_without> ghosts_; ///< if there is anything to decide
    std::vector<cache::captured_state> states_;
    bool pays_ = true;
};

} // namespace marconi::tune
