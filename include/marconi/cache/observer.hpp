#pragma once

#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

namespace marconi::cache {

enum class event_kind {
    kv_published,         ///< node `node`, below `parent`, holds `tokens`, up to `position`
    checkpoint_published, ///< node `node` can be resumed at `position`
    checkpoint_removed,   ///< not any more
    removed,              ///< node `node`, which ended at `position`, is gone
    split,                ///< new node `parent` took the upper part of `node`, up to `position`
    merged,               ///< node `parent` is gone; its child `node` took over its tokens
};

/// A change in what the cache holds. A commit publishes what is new as a node of its own, below the
/// node that it goes on from. As soon as no lease holds the upper node, and if that has no other
/// child and no checkpoint, it merges into the new one, which then has the tokens of both. So a
/// request that commits after every token merges once a token. A `parent` may be a root, which
/// stands for a scope: no event tells of roots.
template <token Token>
struct event {
    std::uint64_t sequence = 0; ///< counts up by one, so that a listener sees what it missed
    event_kind kind{};
    node_id node = {};
    node_id parent = {};
    token_count position = {};
    scope in = {};          ///< of publications
    bool in_answer = false; ///< of checkpoint_published: see policy::candidate_facts
    /// Of removals; nothing where all that there was had gone before.
    std::optional<eviction_reason> why = {};
    std::span<Token const> tokens = {}; ///< of kv_published; valid during the call
    /// The checkpoint's pages, or those of the edge of `node`: a page for each block that the edge
    /// touches, from the one that it begins in. For removals as they were, else as they are. Valid
    /// during the call; see observer.
    std::span<page_id const> pages = {};
};

/// Is told of every change, in order, while the cache is in the middle of it: it must not call the
/// cache and must not throw (if it allocates, it must handle std::bad_alloc itself). Routers,
/// metrics and slower tiers build on it.
///
/// Pages are released after the call that tells of their removal, and rows of the edge's tokens, or
/// the state, are in them until then. A listener may look at the cache's store(), and copy out of
/// the pages by the store's load() or gpu::spill_room::spill(); a kernel of its own would not be
/// waited for. On a store with streams any stream will do, whatever the cache's call names: there
/// the copy waits for those who wrote the pages, and their next owner waits for the copy. A failed
/// copy throws: catch that.
///
/// Keep no pages for later. An edge's first and last page may have other owners, who may be writing
/// rows that are not the edge's; and where a commit goes on inside the last block of a node, that
/// may get another page for it, with the same rows, of which nobody is told.
template <class O, class Token>
concept observer = std::movable<O> && requires(O o, event<Token> const& e) {
    o.observe(e);
};

/// The default: listens to nothing, at no cost.
struct no_observer {
    template <class Token>
    void observe(event<Token> const&) noexcept {}
};

static_assert(observer<no_observer, std::int32_t>);

} // namespace marconi::cache
