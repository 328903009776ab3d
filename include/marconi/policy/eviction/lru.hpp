#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/index/tournament.hpp>
#include <marconi/policy/eviction/usage_history.hpp>

#include <cstddef>
#include <optional>

namespace marconi::policy {

/// Least recently used: evicts the candidate with the oldest last use; of those, the lowest id.
/// The flop_aware policy at alpha = 0, but for ties. Changes O(log N), victim O(1).
class lru : public usage_history {
public:
    void insert(node_id node, usage h, candidate_facts const&) { index_.insert(node, h.last_use); }
    void update(node_id node, usage h, candidate_facts const&) noexcept {
        index_.update(node, h.last_use);
    }
    void erase(node_id node) noexcept { index_.erase(node); }
    void evicted(node_id node) noexcept { index_.erase(node); }

    [[nodiscard]] std::optional<node_id> victim(tick) const { return index_.top(); }
    void prefetch(node_id node) const noexcept { index_.prefetch(node); }
    [[nodiscard]] std::optional<node_id> likely_victim() const noexcept {
        return index_.prefetched_top();
    }
    [[nodiscard]] std::size_t size() const { return index_.size(); }

private:
    tournament_index<tick> index_;
};

static_assert(eviction_policy<lru>);

} // namespace marconi::policy
