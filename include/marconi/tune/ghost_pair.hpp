#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/ghost.hpp>
#include <marconi/tune/replay.hpp>

#include <cmath>
#include <cstdint>

namespace marconi::tune {

/// Two ghosts of one cache, which differ in a policy, and how many FLOPs each would have saved
/// recently, times the weight of the request that each FLOP was saved for.
template <policy::admission_policy Admission, policy::eviction_policy First,
          policy::eviction_policy Second, token Token>
class ghost_pair {
public:
    /// `blank`: a store that counts like the cache's. `half_life`: after so many requests, what
    /// was saved counts half.
    ghost_pair(memory::ledger_store const& blank, cache::cache_options options,
               Admission const& first, Admission const& second, double half_life)
        : first_{blank, options, first},
          second_{blank, options, second},
          fade_{std::exp2(-1 / half_life)} {}

    [[nodiscard]] ghost<Admission, First, Token>& first() { return first_; }
    [[nodiscard]] ghost<Admission, First, Token> const& first() const { return first_; }
    [[nodiscard]] ghost<Admission, Second, Token>& second() { return second_; }
    [[nodiscard]] ghost<Admission, Second, Token> const& second() const { return second_; }

    /// Shows both a request or, with an empty prompt, more of an answer; `now` as in ghost::ask.
    /// O(tokens + depth), and the cost of a victim of each.
    void ask(replay_request<Token> const& request, tick now) {
        double const first = first_.ask(request, now).worth.value();
        double const second = second_.ask(request, now).worth.value();
        if (request.prompt == token_count{}) return;
        ++requests_;
        saved_by_first_ = saved_by_first_ * fade_ + first;
        saved_by_second_ = saved_by_second_ * fade_ + second;
    }

    /// Requests seen; answers do not count.
    [[nodiscard]] std::uint64_t requests() const { return requests_; }
    /// FLOPs, weighted and faded.
    [[nodiscard]] double saved_by_first() const { return saved_by_first_; }
    [[nodiscard]] double saved_by_second() const { return saved_by_second_; }

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
    ghost<Admission, First, Token> first_;
    ghost<Admission, Second, Token> second_;
    double fade_;
    double saved_by_first_ = 0, saved_by_second_ = 0;
    std::uint64_t requests_ = 0;
};

} // namespace marconi::tune
