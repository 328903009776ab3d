#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace marconi::cache {

/// KV that a request would pin that is not open yet: a node's, up to `depth`, and its path's.
struct pin_to_come {
    node_id node = {};
    std::uint32_t depth = 0;
};

/// Nodes on the paths of pinned nodes, and how many of each one's children are such nodes.
template <class Tree>
class pinned_paths {
public:
    explicit pinned_paths(Tree const& tree) : tree_{tree} {}

    void add(node_id end) {
        std::uint32_t from_below = 0;
        for (node_id id = end; !tree_[id].is_root(); id = tree_[id].parent) {
            auto const [at, fresh] = children_.try_emplace(id.value(), 0u);
            at->second += from_below;
            if (!fresh) return; // so is what lies above
            from_below = tree_.is_detached(id) ? 0 : 1;
        }
    }
    [[nodiscard]] auto const& nodes() const { return children_; }

private:
    Tree const& tree_;
    std::unordered_map<std::uint32_t, std::uint32_t> children_;
};

/// Counts pages, each once.
class distinct_pages {
public:
    explicit distinct_pages(std::uint64_t pages) : seen_(pages) {}
    void add(std::span<page_id const> pages) {
        for (page_id const page : pages) {
            count_ += !seen_[page.value()];
            seen_[page.value()] = true;
        }
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }

private:
    std::vector<bool> seen_;
    std::uint64_t count_ = 0;
};

/// Adds the pages of a node on pinned paths that stay if all goes that may.
template <class Entries>
void add_staying(distinct_pages& staying, Entries const& entries, node_id id,
                 std::uint32_t children, pin_to_come more) {
    auto const& n = entries.tree()[id];
    std::uint32_t const block = entries.store().layout().block_tokens();
    auto const own = entries.pages(n);
    bool const keeps_checkpoint = n.payload.checkpoint_pins != 0 || children > 1;
    bool pinned = n.payload.kv_pins != 0;
    if (keeps_checkpoint && entries.has_checkpoint(id)) staying.add(entries.checkpoint(id).pages());
    if (id == more.node && more.depth == n.depth) {
        pinned = true;
    } else if (id == more.node) { // it will be cut there, and its upper half pinned
        if (!own.empty()) staying.add(own.first(divide_up(more.depth, block) - n.start() / block));
        if (!pinned && !keeps_checkpoint && children == 0) return; // the lower half may go
    }
    // Without a pin and its checkpoint it merges into its one child, whose page of a block that
    // both touch is kept.
    bool const merges = !pinned && !keeps_checkpoint;
    bool const drops_last = merges && n.depth % block != 0 && !own.empty();
    staying.add(own.first(own.size() - drops_last));
}

/// Pages that no eviction can free: KV on the paths of pinned nodes, except duplicates that a merge
/// drops; checkpoints that are pinned, or stand where such paths part; and what leases own.
/// O(leases * depth + pages found).
template <class Entries>
[[nodiscard]] std::uint64_t locked_pages(Entries const& entries, lease_table const& leases,
                                         pin_to_come more = {}) {
    pinned_paths paths{entries.tree()};
    distinct_pages locked{entries.store().pages().touched()};
    for (std::uint32_t i = 0; i < leases.slots(); ++i) {
        if (!leases.live(lease_id{i})) continue;
        lease_record const& lease = leases[lease_id{i}];
        if (lease.kv_pinned) paths.add(lease.node);
        if (lease.checkpoint_node) paths.add(lease.checkpoint_node);
        if (lease.committing) paths.add(lease.committing);
        for (auto const* const owned : {&lease.pages, &lease.replaced, &lease.filling})
            locked.add(*owned);
    }
    if (more.node) paths.add(more.node);
    for (auto const& [number, children] : paths.nodes())
        add_staying(locked, entries, node_id{number}, children, more);
    return locked.count();
}

/// How many pages can be had at all, by evicting everything that may go. May be an underestimate if
/// that is `wanted` or more. O(1) if free pages and the candidates, each counted as if it went
/// alone, come to `wanted`; else O(leases * depth + pages found), and a bit for each page touched.
template <class Entries>
[[nodiscard]] std::uint64_t obtainable_pages(Entries const& entries, lease_table const& leases,
                                             std::uint64_t wanted, pin_to_come more = {}) {
    auto const& pool = entries.store().pages();
    std::uint64_t const cheap_bound = pool.available() + entries.candidate_pages_beside(more.node);
    if (wanted <= cheap_bound || !entries.has_candidates()) return cheap_bound;
    return std::max(cheap_bound, pool.capacity() - locked_pages(entries, leases, more));
}

/// Evicts until `wanted` pages are free. False if the policy names no further victim first.
template <class Entries>
bool make_room(Entries& entries, std::uint64_t wanted, eviction_reason why) {
    while (entries.store().pages().available() < wanted)
        if (!entries.evict_one(why)) return false;
    return true;
}

} // namespace marconi::cache
