#pragma once

// Evicting because somebody asks for it, not because a request needs the room.

#include <marconi/cache/holdings.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/match.hpp>

#include <cstddef>
#include <cstdint>
#include <queue>
#include <span>
#include <string>
#include <vector>

namespace marconi::cache {

/// Evicts in the policy's order until `bytes` are freed or nothing more may go. The bytes freed.
template <class Entries>
byte_count evict_bytes(Entries& entries, byte_count bytes) {
    byte_count const before = entries.counts().bytes_evicted;
    auto const freed = [&] { return entries.counts().bytes_evicted - before; };
    while (freed() < bytes && entries.evict_one(eviction_reason::on_demand)) {
    }
    return freed();
}

/// Evicts in order of last use, the deeper first of what was used at once. Returns the bytes freed.
template <class Entries>
byte_count evict_oldest(Entries& entries, scope const& in, byte_count bytes) {
    struct aged {
        tick last_use;
        std::uint32_t depth;
        node_ref node;
    };
    auto const later = [](aged const& a, aged const& b) {
        return a.last_use != b.last_use ? a.last_use > b.last_use : a.depth < b.depth;
    };
    auto const& tree = entries.tree();
    node_id const root = tree.find_root(in);
    if (!root) return {};
    std::priority_queue<aged, std::vector<aged>, decltype(later)> oldest{later};
    auto const add = [&](node_id id) {
        auto const& n = tree[id];
        if (entries.is_candidate(n)) oldest.push({n.payload.last_use, n.depth, tree.ref(id)});
        return true;
    };
    tree.each_below(root, add);
    byte_count const before = entries.counts().bytes_evicted;
    auto const freed = [&] { return entries.counts().bytes_evicted - before; };
    while (freed() < bytes && !oldest.empty()) { // takes no memory: one comes for each that goes
        node_ref const next = oldest.top().node;
        oldest.pop();
        if (!tree.live(next) || !entries.is_candidate(tree[next.id])) continue;
        node_ref const above = tree.ref(tree[next.id].parent);
        entries.evict_all({&next, 1}, eviction_reason::on_demand);
        if (tree.live(above)) add(above.id);
    }
    return freed();
}

template <class Entries>
void evict_scope(Entries& entries, scope const& in) {
    if (node_id const root = entries.tree().find_root(in))
        entries.evict_all(entries.subtree(root), eviction_reason::clear);
}

/// The nodes of all scopes, children before parents. In the order of scopes, since what goes first
/// decides which pages are handed out next.
template <class Entries>
[[nodiscard]] std::vector<node_ref> all_nodes(Entries const& entries) {
    std::vector<node_ref> all;
    for (scope const& in : list_scopes(entries)) {
        auto const found = entries.subtree(entries.tree().find_root(in));
        all.insert(all.end(), found.begin(), found.end());
    }
    return all;
}

template <class Entries>
void evict_all_scopes(Entries& entries) {
    entries.evict_all(all_nodes(entries), eviction_reason::clear);
}

/// Evicts what nobody has used after `since`. A fork that somebody has is pinned meanwhile: it
/// would merge into the last of those below it, and go with that. Returns the bytes freed.
template <class Entries>
byte_count forget_unused(Entries& entries, tick since) {
    auto const& tree = entries.tree();
    auto const unused = [&](auto const& node) { return node.payload.last_use <= since; };
    std::vector<node_ref> const all = all_nodes(entries);
    std::vector<node_id> forks;
    for (node_ref const ref : all)
        if (auto const& n = tree[ref.id]; n.child_count > 1 && !n.is_root() && !unused(n))
            forks.push_back(ref.id);
    byte_count const before = entries.counts().bytes_evicted;
    for (node_id const id : forks)
        entries.pin_kv(id);
    entries.evict_all(all, eviction_reason::clear, unused);
    entries.unpin_all(forks);
    return entries.counts().bytes_evicted - before;
}

/// Forgets what goes on past the first `from` tokens of a sequence with its next token. Returns
/// what came free.
template <class Entries, class Token>
byte_count forget_past(Entries& entries, scope const& in, std::span<Token const> tokens,
                       token_count from) {
    MARCONI_EXPECT(from < token_count{tokens.size()}, "from", from.value(),
                   "less than the number of tokens, " + std::to_string(tokens.size()));
    auto const& tree = entries.tree();
    node_id const root = tree.find_root(in);
    if (!root || from >= token_count{most_tokens}) return {};
    auto const position = static_cast<std::uint32_t>(from.value());
    index::location const at =
        tree.walk({root, 0}, tokens.first(position + std::size_t{1}), [](node_id) {});
    if (at.depth <= position) return {};
    std::vector<node_ref> const found = entries.subtree(at.node);
    entries.reserve(1, 0);
    byte_count const before = entries.counts().bytes_evicted;
    entries.forget(at.node, position, found);
    return entries.counts().bytes_evicted - before;
}

/// Forgets all of a scope. Returns what came free.
template <class Entries>
byte_count forget_scope(Entries& entries, scope const& in) {
    auto const& tree = entries.tree();
    node_id const root = tree.find_root(in);
    if (!root) return {};
    std::vector<std::vector<node_ref>> tops; // each with all below it
    tree.each_below(root, [&](node_id top) {
        tops.push_back(entries.subtree(top));
        return false;
    });
    byte_count const before = entries.counts().bytes_evicted;
    for (auto const& found : tops)
        entries.forget(found.back().id, 0, found);
    return entries.counts().bytes_evicted - before;
}

} // namespace marconi::cache
