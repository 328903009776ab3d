#pragma once

// Evicting because somebody asks for it, not because a request needs the room.

#include <marconi/cache/holdings.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>

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
        entries.evict_all(root, eviction_reason::clear);
}

template <class Entries>
void evict_all_scopes(Entries& entries) {
    // In order, since what goes first decides which pages are handed out next.
    for (scope const& in : list_scopes(entries))
        evict_scope(entries, in);
}

} // namespace marconi::cache
