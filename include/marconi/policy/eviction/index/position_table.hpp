#pragma once

#include <marconi/core/types.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace marconi::policy {

/// Where an index keeps each node's entry: 4 bytes for every id up to the largest, all O(1).
class position_table {
public:
    /// Makes room for a node, with no visible change. Throws std::bad_alloc.
    void reserve(node_id node) {
        assert(node);
        if (node.value() >= positions_.size()) positions_.resize(node.value() + 1u, absent);
    }

    void set(node_id node, std::size_t at) noexcept {
        positions_[node.value()] = static_cast<std::uint32_t>(at);
    }
    void clear(node_id node) noexcept { positions_[node.value()] = absent; }

    [[nodiscard]] bool contains(node_id node) const {
        return node.value() < positions_.size() && positions_[node.value()] != absent;
    }
    /// The position of a node that is present.
    [[nodiscard]] std::size_t operator[](node_id node) const {
        assert(contains(node));
        return positions_[node.value()];
    }

private:
    static constexpr std::uint32_t absent = std::numeric_limits<std::uint32_t>::max();
    std::vector<std::uint32_t> positions_;
};

} // namespace marconi::policy
