#pragma once

// Evicting because somebody asks for it, not because a request needs the room.

#include <marconi/cache/holdings.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/match.hpp>

#include <cstddef>
#include <cstdint>
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

template <class Entries>
void evict_scope(Entries& entries, scope const& in) {
    if (node_id const root = entries.tree().find_root(in))
        entries.evict_all(entries.subtree(root), eviction_reason::clear);
}

template <class Entries>
void evict_all_scopes(Entries& entries) {
    // In order, since what goes first decides which pages are handed out next.
    for (scope const& in : list_scopes(entries))
        evict_scope(entries, in);
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

} // namespace marconi::cache
