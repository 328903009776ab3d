#pragma once

#include <marconi/core/types.hpp>
#include <marconi/index/child_table.hpp>
#include <marconi/index/links.hpp>
#include <marconi/index/match.hpp>
#include <marconi/index/node.hpp>
#include <marconi/index/paths.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace marconi::index {

/// A radix tree over tokens with one root a scope: compressed edges, split anywhere, ids that
/// survive their neighbours' splits and merges.
///
///     root(scope) ── "the quick " ──┬── "brown fox"
///                                   └── "red ──┬── "fox"
///                                              └── "hen"
///
/// split() puts a new node above: the node keeps id, children and payload, with the lower half.
/// merge_into_child() removes a node with one child: the child keeps its id and takes the edge.
/// Neither copies tokens, except a merge of edges that different branches had stored (see paths).
/// The tree knows the pages of its edges' blocks but not who owns them.
template <token Token, class Payload>
class radix_tree : public links<Token, Payload> {
    using base = links<Token, Payload>;
    using base::link;
    using base::nodes_;
    using base::paths_;
    using base::take_place;
    using base::unlink;

public:
    using base::child;
    using base::tokens;
    using typename base::node_type;

    using base::base;

    /// Follows `sequence` from a point on its path as far as it goes. `reached(id)` is called for
    /// each node whose edge is followed to its end. O(tokens + nodes passed).
    template <class Reached>
    location walk(location from, std::span<Token const> sequence, Reached&& reached) const {
        location at = from;
        for (;;) {
            node_type const& n = nodes_[at.node];
            if (at.depth < n.depth) {
                std::size_t const left =
                    std::min<std::size_t>(n.depth - at.depth, sequence.size() - at.depth);
                at.depth += static_cast<std::uint32_t>(
                    common_prefix(tokens(at.node).data() + (at.depth - n.start()),
                                  sequence.data() + at.depth, left));
                if (at.depth < n.depth) return at;
                reached(at.node);
            }
            if (at.depth == sequence.size()) return at;
            node_id const next = child(at.node, sequence[at.depth]);
            if (!next) return at;
            at.node = next;
        }
    }

    /// The node whose edge holds `position`, given one at or below it on the same path.
    [[nodiscard]] node_id holding(node_id below, std::uint32_t position) const {
        while (!nodes_[below].is_root() && nodes_[below].start() >= position)
            below = nodes_[below].parent;
        return below;
    }

    /// Calls visit(id) for every node below `top`, parents first; where it returns false, the nodes
    /// below are skipped. No recursion, no memory.
    template <class Visit>
    void each_below(node_id top, Visit&& visit) const {
        node_id at = nodes_[top].first_child;
        while (at) {
            bool const descend = visit(at);
            if (descend && nodes_[at].first_child) {
                at = nodes_[at].first_child;
                continue;
            }
            while (at != top && !nodes_[at].next_sibling)
                at = nodes_[at].parent;
            at = at == top ? node_id{} : nodes_[at].next_sibling;
        }
    }

    /// Makes `nodes` splits and additions infallible.
    void reserve(std::size_t nodes = 1) {
        nodes_.reserve(nodes);
        base::reserve_links(nodes);
    }

    /// Cuts a node's edge at a position inside it; the upper half, a new node, is returned. O(1).
    node_id split(node_id id, std::uint32_t at) {
        reserve();
        node_id const upper_id = nodes_.allocate();
        node_type& upper = nodes_[upper_id];
        node_type& lower = nodes_[id];
        upper.segment = lower.segment;
        upper.depth = at;
        upper.length = at - lower.start();
        take_place(id, upper_id);
        paths_.share(lower.segment);
        lower.length = lower.depth - at;
        link(upper_id, id);
        return upper_id;
    }

    /// Makes the following merge_into_child infallible.
    void reserve_merge(node_id id) {
        node_type const& upper = nodes_[id];
        node_type const& lower = nodes_[upper.first_child];
        paths_.reserve_join(upper.segment, upper.start(), upper.depth, lower.segment, lower.depth);
    }

    /// Removes a node that has one child; the child takes over its edge and place. O(1), and a
    /// copy of one edge's tokens where the two lie in different segments (see paths::join).
    node_id merge_into_child(node_id id) noexcept {
        node_type const upper = nodes_[id];
        node_id const child_id = upper.first_child;
        node_type& lower = nodes_[child_id];
        unlink(child_id);
        take_place(id, child_id);
        lower.segment =
            paths_.join(upper.segment, upper.start(), upper.depth, lower.segment, lower.depth);
        lower.length += upper.length;
        nodes_.release(id);
        return child_id;
    }

    /// Adds a child for positions [parent's depth, depth) of a segment, and shares that segment
    /// unless `first_owner`. No other child may begin with the same token.
    node_id add(node_id parent, segment_id segment, std::uint32_t depth, bool first_owner) {
        reserve();
        node_id const id = nodes_.allocate();
        node_type& n = nodes_[id];
        n.segment = segment;
        n.depth = depth;
        n.length = depth - nodes_[parent].depth;
        if (!first_owner) paths_.share(segment);
        link(parent, id);
        return id;
    }

    /// Takes a node, and all below it, out of reach from above: walk(), child() and each_below()
    /// do not find it any more, and another child may begin with the same token. It still knows its
    /// parent, which must stay, and can be split, merged and removed as before.
    void detach(node_id id) noexcept {
        unlink(id);
        this->mark_detached(id);
    }

    /// Removes a node without children.
    void remove_leaf(node_id id) noexcept {
        unlink(id);
        paths_.release(nodes_[id].segment, nodes_[id].start());
        nodes_.release(id);
    }

    /// Bytes of metadata, tokens and page ids included.
    [[nodiscard]] std::size_t bytes() const {
        return nodes_.bytes() + base::children_.bytes() + paths_.bytes() + this->bytes_of_maps();
    }
};

} // namespace marconi::index
