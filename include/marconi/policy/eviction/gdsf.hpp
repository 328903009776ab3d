#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/index/tournament.hpp>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace marconi::policy {

/// Greedy-dual with size and frequency (L. Cherkasova, "Improving WWW proxies performance with
/// Greedy-Dual-Size-Frequency caching policy", HP Labs, 1998), its cost being the compute saved:
///
/// ```
/// H(n) = clock at n's last use + frequency * FLOPs saved / bytes freed    evict the smallest
/// clock := max(clock, H(the last victim))                                 frequency = uses + 1
/// ```
/// n's weight multiplies FLOPs saved. The clock ages what is not used: each eviction raises what a
/// new entry starts from. Ties: oldest last use, then lowest id. Changes O(log N), victim O(1).
class gdsf {
public:
    struct history {
        tick last_use;
        std::uint64_t uses = 0; ///< calls of used(): creation does not count
        double clock = 0;       ///< the policy's at the last use: FLOPs per byte

        friend constexpr bool operator==(history const&, history const&) = default;
    };

    [[nodiscard]] history created(tick now) const { return {now, 0, clock_}; }
    [[nodiscard]] history used(history const& h, tick now) const {
        return {now, h.uses + 1, clock_};
    }
    /// The later use, with its clock, and the larger count: a split has given both halves the
    /// uses before it, which a sum would count twice.
    [[nodiscard]] history merged(history const& child, history const& parent) const {
        return {std::max(child.last_use, parent.last_use), std::max(child.uses, parent.uses),
                std::max(child.clock, parent.clock)};
    }

    void insert(node_id node, history const& h, candidate_facts const& facts) {
        index_.insert(node, rank_of(h, facts));
    }
    void update(node_id node, history const& h, candidate_facts const& facts) noexcept {
        index_.update(node, rank_of(h, facts));
    }
    void erase(node_id node) noexcept { index_.erase(node); }

    /// The clock never runs back: a node that was no candidate while it advanced (pinned, or with
    /// several children) may become one again and be evicted with a priority behind it.
    void evicted(node_id node) noexcept {
        clock_ = std::max(clock_, index_.key(node).priority);
        index_.erase(node);
    }

    [[nodiscard]] std::optional<node_id> victim(tick) const { return index_.top(); }
    void prefetch(node_id node) const noexcept { index_.prefetch(node); }
    [[nodiscard]] std::optional<node_id> likely_victim() const noexcept {
        return index_.prefetched_top();
    }
    [[nodiscard]] std::size_t size() const { return index_.size(); }

    /// What priorities start from: FLOPs per byte.
    [[nodiscard]] double clock() const { return clock_; }

private:
    struct rank {
        double priority;
        tick last_use;
        friend auto operator<=>(rank const&, rank const&) = default;
        friend bool operator==(rank const&, rank const&) = default; // for nvcc 13
    };

    [[nodiscard]] static rank rank_of(history const& h, candidate_facts const& facts) noexcept {
        double const frequency = static_cast<double>(h.uses) + 1;
        return {h.clock + frequency * facts.flop_efficiency(), h.last_use};
    }

    tournament_index<rank> index_;
    double clock_ = 0;
};

static_assert(eviction_policy<gdsf>);

} // namespace marconi::policy
