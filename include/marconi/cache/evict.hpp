#pragma once

#include <marconi/cache/lease.hpp>
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

/// Pages that no eviction can free: KV on the paths of pinned nodes, except duplicates that a merge
/// drops; checkpoints that are pinned, or stand where such paths part; and what leases own.
/// O(leases * depth + pages found).
template <class Entries>
[[nodiscard]] std::uint64_t locked_pages(Entries const& entries, lease_table const& leases,
                                         pin_to_come more = {}) {
    auto const& tree = entries.tree();
    std::uint32_t const block = entries.store().layout().block_tokens();
    std::unordered_map<std::uint32_t, std::uint32_t> locked; // by node: number of locked children
    auto const lock_path = [&](node_id id) {
        std::uint32_t from_below = 0;
        for (; !tree[id].is_root(); id = tree[id].parent) {
            auto const [at, fresh] = locked.try_emplace(id.value(), 0u);
            at->second += from_below;
            if (!fresh) break;
            from_below = 1;
        }
    };
    std::vector<bool> held(entries.store().pages().touched());
    std::uint64_t count = 0;
    auto const hold = [&](std::span<page_id const> pages) {
        for (page_id const page : pages) {
            count += !held[page.value()];
            held[page.value()] = true;
        }
    };
    for (std::uint32_t i = 0; i < leases.slots(); ++i) {
        if (!leases.live(lease_id{i})) continue;
        lease_record const& lease = leases[lease_id{i}];
        if (lease.kv_pinned) lock_path(lease.node);
        if (lease.checkpoint_node) lock_path(lease.checkpoint_node);
        if (lease.committing) lock_path(lease.committing);
        for (auto const* const owned : {&lease.pages, &lease.replaced, &lease.filling})
            hold(*owned);
    }
    if (more.node) lock_path(more.node);
    for (auto const& [number, children] : locked) {
        node_id const id{number};
        auto const& n = tree[id];
        bool const checkpoint_stays = n.payload.checkpoint_pins != 0 || children > 1;
        if (entries.has_checkpoint(id) && checkpoint_stays) hold(entries.checkpoint(id).pages());
        bool const cut = id == more.node && more.depth != n.depth; // its upper half is pinned
        bool const pinned = n.payload.kv_pins != 0 || (id == more.node && !cut);
        bool const merges = !checkpoint_stays && !pinned;
        auto const own = entries.pages(n);
        if (cut && !own.empty()) hold(own.first(divide_up(more.depth, block) - n.start() / block));
        if (cut && merges && children == 0) continue; // the lower half may go
        hold(merges && n.depth % block != 0 && !own.empty() ? own.first(own.size() - 1) : own);
    }
    return count;
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
