#pragma once

#include <marconi/core/types.hpp>

#include <concepts>
#include <cstdint>
#include <span>

namespace marconi::cache {

enum class event_kind {
    kv_published,         ///< node `node`, below `parent`, holds `tokens`, up to `position`
    checkpoint_published, ///< node `node` can be resumed at `position`
    checkpoint_removed,   ///< not any more
    removed,              ///< node `node` is gone
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
    scope in = {};                      ///< of publications
    bool in_answer = false;             ///< of checkpoint_published: see policy::candidate_facts
    std::span<Token const> tokens = {}; ///< of kv_published; valid during the call
};

/// Is told of every change, in order, while the cache is in the middle of it: it must not call the
/// cache and must not throw (if it allocates, it must handle std::bad_alloc itself). Routers and
/// metrics build on it.
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
