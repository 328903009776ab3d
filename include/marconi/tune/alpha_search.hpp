#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/request_log.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace marconi::tune {

/// An eviction policy with one number to tune, alpha: 0 is least recently used, and the larger it
/// is, the more compute saved per byte counts. A new alpha takes effect at the next victim. Copies
/// are used on another thread than the original, and must not share what changes.
template <class P>
concept tunable = policy::eviction_policy<P> && requires(P policy, P const view, double alpha) {
    policy.set_alpha(alpha);
    { view.alpha() } -> std::convertible_to<double>;
};

static_assert(tunable<policy::flop_aware>);

/// What one alpha would have saved in the window.
struct alpha_score {
    double alpha = 0;
    flop_count saved; ///< each request's times its weight
};

/// What replays of a window found.
struct alpha_comparison {
    double best = 0;
    std::vector<alpha_score> scores; ///< by ascending alpha
    flop_count asked;                ///< by the window's prompts, each times its weight
    cache::occupancy start;          ///< what each replay held when the window began
};

/// The smallest alpha of those that saved the most; 0 if there are none. Sums that differ by
/// rounding alone count as equal.
[[nodiscard]] inline double best_alpha(std::span<alpha_score const> scores) {
    constexpr double rounding = 1e-12;
    alpha_score best;
    for (alpha_score const& s : scores)
        if (&s == scores.data() || s.saved > best.saved * (1 + rounding)) best = s;
    return best.alpha;
}

/// Replays logs on caches that count bytes and store nothing, under one alpha after the other.
template <policy::admission_policy Admission, tunable Eviction, token Token>
class alpha_search {
public:
    using cache_type =
        cache::prefix_cache<memory::ledger_store, Admission, Eviction, cache::no_observer, Token>;

    /// `blank` is an empty store of the layout and capacity to replay on, `eviction` a policy that
    /// ranks nothing yet.
    alpha_search(memory::ledger_store blank, cache::cache_options options, Admission admission,
                 Eviction eviction)
        : blank_{std::move(blank)},
          options_{options},
          admission_{std::move(admission)},
          eviction_{std::move(eviction)} {}

    /// Compares ascending alphas. Returns nothing if `stop` is set, which it checks before every
    /// request. O(alphas * cost of the log's requests); one cache's metadata at a time.
    [[nodiscard]] std::optional<alpha_comparison> run(request_log<Token> const& log,
                                                      std::span<double const> alphas,
                                                      std::atomic<bool> const& stop) const {
        alpha_comparison result;
        for (double const alpha : alphas) {
            cache_type cache{blank_, options_, admission_, eviction_};
            cache.eviction().set_alpha(0);
            for (std::size_t i = 0; i < log.window_start(); ++i) {
                if (stop) return std::nullopt;
                (void)replay(cache, log[i]);
            }
            result.start = cache.holds();
            result.asked = {};
            alpha_score score{.alpha = alpha, .saved = {}};
            cache.eviction().set_alpha(alpha);
            for (std::size_t i = log.window_start(); i < log.size(); ++i) {
                if (stop) return std::nullopt;
                replay_request<Token> const request = log[i];
                replayed const r = replay(cache, request);
                result.asked += r.asked * request.weight;
                score.saved += r.worth;
            }
            result.scores.push_back(score);
        }
        result.best = best_alpha(result.scores);
        return result;
    }

private:
    memory::ledger_store blank_;
    cache::cache_options options_;
    Admission admission_;
    Eviction eviction_;
};

} // namespace marconi::tune
