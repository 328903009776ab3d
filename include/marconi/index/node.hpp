#pragma once

#include <marconi/core/types.hpp>
#include <marconi/index/paths.hpp>

#include <cstdint>

namespace marconi::index {

/// A node is an edge: the tokens of positions [start, depth) below its parent, which ends at
/// `start`. Its payload belongs to whoever uses the tree.
template <class Payload>
struct node {
    segment_id segment;
    std::uint32_t depth = 0;
    std::uint32_t length = 0;
    std::uint32_t child_count = 0;
    node_id parent;
    node_id first_child;
    node_id next_sibling;
    node_id previous_sibling; ///< itself, if it is detached
    Payload payload{};

    [[nodiscard]] std::uint32_t start() const { return depth - length; }
    [[nodiscard]] bool is_root() const { return !parent; }
    [[nodiscard]] bool is_leaf() const { return child_count == 0; }
};

} // namespace marconi::index
