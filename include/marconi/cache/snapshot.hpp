#pragma once

#include <marconi/cache/observer.hpp>
#include <marconi/core/types.hpp>

#include <cstdint>

namespace marconi::cache {

/// Tells a listener of all that is here, as if it had been published just now, parents first.
template <class Entries, class Token, observer<Token> Listener>
void tell_all(Entries const& entries, std::uint64_t sequence, Listener& listener) {
    auto const& tree = entries.tree();
    for (auto const& scope_root : tree.roots())
        tree.each_below(scope_root.second, [&](node_id id) {
            event<Token> e{.sequence = sequence,
                           .kind = event_kind::kv_published,
                           .node = id,
                           .parent = tree[id].parent,
                           .position = token_count{tree[id].depth},
                           .in = scope_root.first,
                           .tokens = tree.tokens(id),
                           .pages = entries.pages(tree[id])};
            listener.observe(e);
            if (entries.has_checkpoint(id)) {
                e.kind = event_kind::checkpoint_published;
                e.in_answer = tree[id].payload.in_answer != 0;
                e.tokens = {};
                e.pages = entries.checkpoint(id).pages();
                listener.observe(e);
            }
            return true;
        });
}

} // namespace marconi::cache
