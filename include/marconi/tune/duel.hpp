#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/either.hpp>
#include <marconi/tune/ghost.hpp>
#include <marconi/tune/replay.hpp>

#include <cmath>
#include <cstdint>
#include <utility>

namespace marconi::tune {

/// Which of two policies serves a cache better, as its requests come: each rules a ghost of it, and
/// sees them all. Ahead is who would have saved more FLOPs of late, by the requests' weights.
template <policy::admission_policy Admission, policy::eviction_policy First,
          policy::eviction_policy Second, token Token>
class duel {
public:
    /// `half_life`: requests after which what was saved counts half.
    duel(memory::ledger_store const& blank, cache::cache_options options,
         Admission const& admission, double half_life)
        : first_{blank, options, admission},
          second_{blank, options, admission},
          fade_{std::exp2(-1 / half_life)} {}

    /// From now on both capture by this policy.
    void admit_by(Admission const& admission) {
        first_.admission() = admission;
        second_.admission() = admission;
    }
    /// What rules the first ghost, to be told what it cannot find out by itself.
    [[nodiscard]] First& first() { return first_.eviction(); }

    /// A request, or with an empty prompt more of an answer, and when the cache at work was done
    /// with it (see ghost::ask). O(tokens + depth), and the cost of a victim of each.
    void ask(replay_request<Token> const& request, tick now) {
        double const first = first_.ask(request, now).worth.value();
        double const second = second_.ask(request, now).worth.value();
        if (request.prompt == token_count{}) return;
        by_first_ = by_first_ * fade_ + first;
        by_second_ = by_second_ * fade_ + second;
        if (by_first_ > lead * by_second_) ahead_ = policy::rival::first;
        if (by_second_ > lead * by_first_) ahead_ = policy::rival::second;
    }
    [[nodiscard]] policy::rival ahead() const { return ahead_; }

    /// What became of all requests where one of them rules alone.
    [[nodiscard]] cache::counters const& first_stats() const { return first_.stats(); }
    [[nodiscard]] cache::counters const& second_stats() const { return second_.stats(); }

    void clear(scope const& in) {
        first_.clear(in);
        second_.clear(in);
    }
    void clear() {
        first_.clear();
        second_.clear();
    }

    /// Bytes of memory on the host.
    [[nodiscard]] byte_count memory() const { return memory_of(first_) + memory_of(second_); }

private:
    static constexpr double lead = 1.02; ///< what it takes to get ahead

    ghost<Admission, First, Token> first_;
    ghost<Admission, Second, Token> second_;
    double fade_;
    double by_first_ = 0, by_second_ = 0; ///< worth of FLOPs saved, faded
    policy::rival ahead_ = policy::rival::first;
};

} // namespace marconi::tune
