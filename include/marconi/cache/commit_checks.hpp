#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/hash.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/view_checks.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace marconi::cache {

/// Calls visit(position, tokens) for the stretches of the last 64 tokens before the lease's
/// position, the last stretch first. (All tokens would cost a walk to the root.)
template <class Entries, class Visit>
void each_last_stretch(Entries const& entries, lease_record const& lease, Visit&& visit) {
    auto const& tree = entries.tree();
    std::size_t at = lease.position;
    std::size_t const until = at - std::min<std::size_t>(at, 64);
    for (node_id id = lease.node; at > until; id = tree[id].parent) {
        auto const edge = tree.tokens(id);
        auto const stored = edge.last(std::min(edge.size(), at - until));
        at -= stored.size();
        visit(at, stored);
    }
}

/// Hashes of tokens from a position on, which add up over stretches.
template <class Token>
[[nodiscard]] std::uint64_t sum_of_hashes(std::size_t position, std::span<Token const> tokens) {
    std::uint64_t sum = 0;
    for (Token const& t : tokens)
        sum += hash_bytes(position++, &t, sizeof t);
    return sum;
}

/// Before a lease lets go of its KV: notes what check_continuation() will compare.
template <class Entries>
void note_tokens(Entries const& entries, lease_record& lease) noexcept {
    if (!lease.kv_pinned) return;
    lease.let_go_hash = 0;
    each_last_stretch(entries, lease, [&](std::size_t at, auto stored) {
        lease.let_go_hash += sum_of_hashes(at, stored);
    });
}

/// The last 64 tokens before the lease's position must be those it stands on.
template <class Entries, class Token>
void check_continuation(Entries const& entries, lease_record const& lease,
                        std::span<Token const> tokens) {
    std::size_t const end = lease.position, begin = end - std::min<std::size_t>(end, 64);
    bool same = true;
    if (lease.kv_pinned)
        each_last_stretch(entries, lease, [&](std::size_t at, std::span<Token const> stored) {
            same &= std::memcmp(stored.data(), tokens.data() + at, stored.size_bytes()) == 0;
        });
    else if (end != 0)
        same = lease.let_go_hash == sum_of_hashes(begin, tokens.subspan(begin, end - begin));
    if (!same)
        throw contract_violation{"commit: the tokens before position " + std::to_string(end) +
                                 " are not those that the lease stands on"};
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
    MARCONI_EXPECT(!brought.kv.only, "only in the kv_view", "some layers",
                   "nothing: a commit takes all layers");
    MARCONI_EXPECT(brought.kv_from.value() <= lease.position, "kv_from", brought.kv_from.value(),
                   "at most the lease's position, " + std::to_string(lease.position));
    std::uint64_t previous = 0;
    for (captured_state const& c : brought.checkpoints) {
        std::uint64_t const at = c.position.value();
        MARCONI_EXPECT(previous == 0 || at > previous, "checkpoint position", at,
                       "more than the one before, " + std::to_string(previous));
        MARCONI_EXPECT(at > 0 && at >= lease.position, "checkpoint position", at,
                       "at least the lease's position, " + std::to_string(lease.position) +
                           ", and more than 0 (what lies before it is stored)");
        MARCONI_EXPECT(at <= tokens.size(), "checkpoint position", at,
                       "at most the tokens committed, " + std::to_string(tokens.size()));
        previous = at;
    }
    check_continuation(entries, lease, tokens);
}

/// What the store will read must fit its layout: the KV of tokens [from, end), and every state. A
/// view's layers must even if nothing is copied, so that a wrong one shows before it matters.
template <class Store>
void check_views(Store const& store, token_count from, token_count end, computed const& brought) {
    if constexpr (memory::reads_views<Store>) {
        if (!brought.kv.layers.empty() && store.layout().has_kv()) {
            memory::check_layers(brought.kv, store.layout());
            if (from < end) memory::check_view(brought.kv, from, end, store.layout());
        }
        for (captured_state const& c : brought.checkpoints)
            memory::check_view(c.state, c.position, store.layout());
    }
}

} // namespace marconi::cache
