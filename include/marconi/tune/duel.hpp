#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/either.hpp>
#include <marconi/tune/ghost_pair.hpp>
#include <marconi/tune/replay.hpp>

namespace marconi::tune {

/// Finds out which of two eviction policies serves a cache better, as its requests come: each
/// rules one ghost of it. The one ahead is the one that would have saved more FLOPs recently, by
/// the requests' weights.
template <policy::admission_policy Admission, policy::eviction_policy First,
          policy::eviction_policy Second, token Token>
class duel : public ghost_pair<Admission, First, Second, Token> {
    using base = ghost_pair<Admission, First, Second, Token>;

public:
    /// `half_life` as in ghost_pair.
    duel(memory::ledger_store const& blank, cache::cache_options options,
         Admission const& admission, double half_life)
        : base{blank, options, admission, admission, half_life} {}

    /// From now on both capture by this policy.
    void admit_by(Admission const& admission) {
        this->first().admission() = admission;
        this->second().admission() = admission;
    }

    /// As ghost_pair::ask.
    void ask(replay_request<Token> const& request, tick now) {
        base::ask(request, now);
        double const by_first = this->saved_by_first(), by_second = this->saved_by_second();
        if (by_first > lead * by_second) ahead_ = policy::rival::first;
        if (by_second > lead * by_first) ahead_ = policy::rival::second;
    }
    [[nodiscard]] policy::rival ahead() const { return ahead_; }

private:
    static constexpr double lead = 1.02; ///< what it takes to get ahead

    policy::rival ahead_ = policy::rival::first;
};

} // namespace marconi::tune
