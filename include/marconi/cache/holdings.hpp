#pragma once

// What a cache holds, counted: its holds() functions.

#include <marconi/cache/evict.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace marconi::cache {

/// Of the whole cache. O(1).
template <class Entries>
[[nodiscard]] occupancy count_holdings(Entries const& entries, std::size_t leases,
                                       std::uint64_t peak_pages) {
    auto const& pool = entries.store().pages();
    byte_count const page = entries.store().layout().page_bytes();
    occupancy o;
    o.capacity = page * pool.capacity();
    o.used = page * pool.used();
    o.checkpoints = page * entries.checkpoint_pages();
    o.kv_and_leased = o.used - o.checkpoints;
    o.peak = page * peak_pages;
    o.nodes = entries.tree().size() - entries.tree().roots().size();
    o.checkpoint_count = entries.checkpoint_count();
    o.candidates = entries.eviction().size();
    o.leases = leases;
    o.scopes = entries.tree().roots().size();
    o.metadata = byte_count{entries.tree().bytes() + entries.checkpoint_table_bytes()};
    return o;
}

/// Of one scope. O(its nodes and pages), and a bit for each page of the cache.
template <class Entries>
[[nodiscard]] scope_occupancy count_scope(Entries const& entries, scope const& in) {
    scope_occupancy o;
    auto const& tree = entries.tree();
    node_id const root = tree.find_root(in);
    if (!root) return o;
    byte_count const page = entries.store().layout().page_bytes();
    distinct_pages of_kv{entries.store().pages().touched()}; // nodes that touch one block may share
    tree.each_below(root, [&](node_id id) {
        ++o.nodes;
        o.tokens += token_count{tree[id].length};
        of_kv.add(entries.pages(tree[id]));
        if (entries.has_checkpoint(id)) {
            ++o.checkpoint_count;
            o.checkpoints += page * entries.checkpoint(id).pages().size();
        }
        return true;
    });
    o.kv = page * of_kv.count();
    return o;
}

/// All scopes of which anything is here, in ascending order. O(scopes * log scopes).
template <class Entries>
[[nodiscard]] std::vector<scope> list_scopes(Entries const& entries) {
    std::vector<scope> all;
    for (auto const& [in, root] : entries.tree().roots())
        if (entries.tree()[root].child_count != 0) all.push_back(in); // else a lease stands on it
    std::ranges::sort(all);
    return all;
}

} // namespace marconi::cache
