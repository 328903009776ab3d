#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/finite.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/index/staircase.hpp>
#include <marconi/policy/eviction/usage_history.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace marconi::policy {

/// Marconi's eviction (arXiv 2411.19379, §4.2): recency, and compute saved per byte.
///
/// ```
/// S(n) = recency(n) + alpha * flop_efficiency(n)      evict the smallest
/// recency(n) = 1 / (now - last use)                   ages are at least one tick
/// flop_efficiency(n) = FLOPs saved by n / bytes freed by evicting n, times n's weight if not 1
/// ```
/// both terms min-max normalised to 0..1 over the candidates, 0 where all are equal. At alpha = 0
/// this is least recently used. Ties: oldest last use, then smaller efficiency, then lowest id.
/// Changes O(log N). The victim is exact; finding it grows about as log N does while ages and
/// efficiencies are spread as in real use, and is O(N) where all scores are nearly equal.
class flop_aware : public usage_history {
public:
    /// Throws invalid_argument unless alpha is finite and at least 0.
    explicit flop_aware(double alpha = 0) { set_alpha(alpha); }

    [[nodiscard]] double alpha() const { return alpha_; }
    /// Takes effect at the next victim. O(1). Throws invalid_argument as the constructor does.
    void set_alpha(double alpha) {
        MARCONI_EXPECT(is_finite(alpha) && alpha >= 0, "alpha", alpha, "finite and at least 0");
        alpha_ = alpha;
    }

    void insert(node_id node, usage const& h, candidate_facts const& facts) {
        insert(node, h, facts.flop_efficiency());
    }
    void update(node_id node, usage const& h, candidate_facts const& facts) noexcept {
        update(node, h, facts.flop_efficiency());
    }
    /// The same with another measure of efficiency: any finite number.
    void insert(node_id node, usage const& h, double efficiency) {
        index_.insert(node, h.last_use, efficiency);
    }
    void update(node_id node, usage const& h, double efficiency) noexcept {
        index_.update(node, h.last_use, efficiency);
    }
    void erase(node_id node) noexcept { index_.erase(node); }
    void evicted(node_id node) noexcept { index_.erase(node); }

    [[nodiscard]] std::optional<node_id> victim(tick now) const {
        if (index_.size() == 0) return std::nullopt;
        auto const recency = [now](tick last_use) {
            std::uint64_t const age = now > last_use ? (now - last_use).value() : 1;
            return 1.0 / static_cast<double>(age);
        };
        auto const bounds = index_.bounds();
        double const slowest = recency(bounds.oldest);
        double const recencies = recency(bounds.newest) - slowest;
        double const efficiencies = bounds.most - bounds.least;
        // Every step is monotone, so bounds on (last use, efficiency) bound the rounded score.
        // alpha is applied before the division: no product feeds a sum, which a compiler could
        // fuse in one place and not in another.
        return index_.minimum([=, this](tick last_use, double efficiency) {
            double const r = recencies > 0 ? (recency(last_use) - slowest) / recencies : 0;
            double const e =
                efficiencies > 0 ? alpha_ * (efficiency - bounds.least) / efficiencies : 0;
            return r + e;
        });
    }
    [[nodiscard]] std::size_t size() const { return index_.size(); }

private:
    staircase_index index_;
    double alpha_ = 0;
};

static_assert(eviction_policy<flop_aware>);

} // namespace marconi::policy
