#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/index/use_search.hpp>
#include <marconi/policy/eviction/reuse_odds.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace marconi::policy {

/// Evicts what is expected to save the least compute for its memory:
///
/// ```
/// S(n) = odds(class of n, age of n) * FLOPs saved / bytes freed      evict the smallest
/// age(n) = now - last use, at least one tick
/// ```
/// n's weight multiplies FLOPs saved. The odds of a reuse are set from outside, at any time:
/// learning_cache measures them. Until then they are reuse_odds' defaults, 1 / the first age of the
/// bucket that the age falls into (no less than 1e-9), which makes S(n) about compute saved per
/// byte over idle time. Ties: oldest last use, then smaller efficiency, then lowest id. Changes
/// O(log N). The victim is exact; finding it is O(log N) for each class and bucket of ages that
/// comes near the smallest score, and O(N) where nearly all scores are equal. Memory: 41 bytes for
/// every id up to the largest.
class expected_savings {
public:
    struct history {
        tick last_use;
        std::uint64_t uses = 0;  ///< calls of used()
        std::uint64_t turns = 0; ///< or of what merged into it, if more: a conversation's turns

        friend constexpr bool operator==(history const&, history const&) = default;
    };

    explicit expected_savings(reuse_odds const& odds = {}) : odds_{odds} {}

    [[nodiscard]] reuse_odds const& odds() const { return odds_; }
    /// Takes effect at the next victim. O(1).
    void set_odds(reuse_odds const& odds) { odds_ = odds; }

    [[nodiscard]] static constexpr history created(tick now) { return {.last_use = now}; }
    [[nodiscard]] static constexpr history used(history const& h, tick now) {
        return {now, h.uses + 1, h.turns + 1};
    }
    [[nodiscard]] static constexpr history merged(history const& child, history const& parent) {
        return {std::max(child.last_use, parent.last_use), child.uses,
                std::max(child.turns, parent.turns)};
    }

    void insert(node_id node, history const& h, candidate_facts const& facts) {
        if (node.value() >= class_of_.size()) class_of_.resize(node.value() + std::size_t{1});
        std::uint8_t const of = class_of(h, facts);
        uses_.insert(node, h.last_use, facts.flop_efficiency(), of);
        class_of_[node.value()] = of;
    }
    void update(node_id node, history const& h, candidate_facts const& facts) noexcept {
        std::uint8_t const of = class_of(h, facts);
        uses_.update(node, h.last_use, facts.flop_efficiency(), class_of_[node.value()], of);
        class_of_[node.value()] = of;
    }
    void erase(node_id node) noexcept { uses_.erase(node, class_of_[node.value()]); }
    void evicted(node_id node) noexcept { erase(node); }

    [[nodiscard]] std::optional<node_id> victim(tick now) const {
        if (uses_.size() == 0) return std::nullopt;
        use_search search{uses_};
        for (std::size_t of = 0; of < reuse_class::count; ++of)
            search.look_in(of, expectation{odds_.row(of), now});
        if (search.best().node == use_tree::none) return std::nullopt; // no score is finite
        return node_id{search.best().node};
    }
    [[nodiscard]] std::size_t size() const { return uses_.size(); }

private:
    /// The score of candidates of one class.
    struct expectation {
        reuse_odds::by_age const& odds;
        tick now;

        [[nodiscard]] std::size_t bucket(tick use) const {
            return age_bucket::of(now > use ? (now - use).value() : 1);
        }
        double operator()(tick use, double efficiency) const {
            return odds[bucket(use)] * efficiency;
        }
        [[nodiscard]] double least(tick first, tick last, double efficiency) const {
            double least = std::numeric_limits<double>::infinity();
            for (std::size_t b = bucket(last), end = bucket(first); b <= end; ++b)
                least = std::min(least, odds[b]);
            return least * efficiency;
        }
    };

    [[nodiscard]] static std::uint8_t class_of(history const& h, candidate_facts const& facts) {
        reuse_class const of = facts.is_leaf
                                   ? reuse_class{reuse_kind::passing, h.turns, facts.in_answer}
                                   : reuse_class{reuse_kind::resuming, h.uses};
        return static_cast<std::uint8_t>(of.index());
    }

    reuse_odds odds_;
    use_tree uses_{reuse_class::count};
    std::vector<std::uint8_t> class_of_; ///< by node: the tree that it is in
};

static_assert(eviction_policy<expected_savings>);

} // namespace marconi::policy
