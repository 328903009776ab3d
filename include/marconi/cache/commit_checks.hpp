#pragma once

#include <marconi/cache/lease.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/transfer.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace marconi::cache {

/// The last 64 tokens before the lease's position must be those it stands on. (Comparing all of
/// them would cost a walk to the root.)
template <class Entries, class Token>
void check_continuation(Entries const& entries, lease_record const& lease,
                        std::span<Token const> tokens) {
    if (!lease.kv_pinned || lease.position == 0) return;
    auto const& tree = entries.tree();
    std::size_t at = lease.position;
    std::size_t const until = at - std::min<std::size_t>(at, 64);
    for (node_id id = lease.node; at > until; id = tree[id].parent) {
        auto const edge = tree.tokens(id);
        auto const stored = edge.last(std::min(edge.size(), at - until));
        at -= stored.size();
        if (std::memcmp(stored.data(), tokens.data() + at, stored.size_bytes()) != 0)
            throw contract_violation{"commit: the tokens before position " +
                                     std::to_string(lease.position) +
                                     " are not those that the lease stands on"};
    }
}

/// Checks the arguments of a commit, before anything is done with them.
template <class Entries, class Token>
void check_commit(Entries const& entries, lease_record const& lease, std::span<Token const> tokens,
                  computed const& brought) {
    MARCONI_EXPECT(tokens.size() >= lease.position, "tokens.size()", tokens.size(),
                   "at least the lease's position, " + std::to_string(lease.position));
    MARCONI_EXPECT(tokens.size() <= most_tokens, "tokens.size()", tokens.size(), "less than 2^31");
    MARCONI_EXPECT(brought.checkpoints.empty() || entries.needs_checkpoint(),
                   "number of checkpoints", brought.checkpoints.size(),
                   "0: this model's footprint has no per-position state");
    token_count previous{lease.position == 0 ? 0 : lease.position - 1};
    bool first = true;
    for (captured_state const& c : brought.checkpoints) {
        MARCONI_EXPECT(first || c.position != previous, "checkpoint position", c.position.value(),
                       "each position once");
        first = false;
        MARCONI_EXPECT(c.position > previous && c.position.value() <= tokens.size(),
                       "checkpoint position", c.position.value(),
                       "at least " + std::to_string(previous.value() + 1) +
                           " (the lease's position, or past the checkpoint before), at most " +
                           std::to_string(tokens.size()) + " (the tokens committed)");
        previous = c.position;
    }
    check_continuation(entries, lease, tokens);
}

/// What the store will read must fit its layout: the KV of tokens [from, end), and every state.
template <class Store>
void check_views(Store const& store, token_count from, token_count end, computed const& brought) {
    if constexpr (memory::reads_views<Store>) {
        if (!brought.kv.layers.empty() && store.layout().model().has_kv() && from < end)
            memory::check_view(brought.kv, from, end, store.layout());
        for (captured_state const& c : brought.checkpoints)
            memory::check_view(c.state, store.layout());
    }
}

} // namespace marconi::cache
