#pragma once

// Views of the tensors in which engines keep state, and of pages that they work in.

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/views.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace marconi::memory {

/// In which order a tensor has its tokens and their heads.
enum class head_order {
    token_major, ///< NHD: [tokens, heads, bytes of a head]
    head_major   ///< HND: [heads, tokens, bytes of a head]
};

/// A tensor of keys or values: one request's, or one block's of an engine with paged KV.
struct head_shape {
    head_order order = head_order::token_major;
    std::uint32_t heads = 1;
    std::uint64_t tokens = 0; ///< room in a request's buffer, or in a block
};

/// One layer's KV in dense tensors of that shape. For a paged engine `block_stride` is the bytes
/// from one block's keys to the next block's, and from values to values: 0 if keys and values are
/// in separate tensors, twice a block's bytes if a block is [keys, values]. Throws invalid_argument
/// if keys or values do not divide into the heads, and for head_major without tokens.
[[nodiscard]] inline kv_layer_view layer_in(head_shape shape, kv_layer const& bytes, std::byte* key,
                                            std::byte* value, std::ptrdiff_t block_stride = 0) {
    MARCONI_EXPECT(shape.heads >= 1 && bytes.key_bytes % shape.heads == 0 &&
                       bytes.value_bytes % shape.heads == 0,
                   "heads", shape.heads, "equal parts of a token's key, and of its value");
    MARCONI_EXPECT(shape.order == head_order::token_major || shape.tokens >= 1, "tokens",
                   shape.tokens, "at least 1: head_major, heads are that many rows apart");
    auto const token_stride = [&](std::uint64_t row) {
        return static_cast<std::ptrdiff_t>(
            shape.order == head_order::token_major ? row : row / shape.heads);
    };
    auto const head_stride = [&](std::uint64_t row) {
        std::uint64_t const head = row / shape.heads;
        return static_cast<std::ptrdiff_t>(
            shape.order == head_order::token_major ? head : head * shape.tokens);
    };
    return {.key = key,
            .key_stride = token_stride(bytes.key_bytes),
            .value = value,
            .value_stride = token_stride(bytes.value_bytes),
            .heads = shape.heads,
            .key_head_stride = head_stride(bytes.key_bytes),
            .value_head_stride = head_stride(bytes.value_bytes),
            .key_block_stride = block_stride,
            .value_block_stride = block_stride};
}

/// Views of all layers' KV in a store's own pages, for an engine that works in place: `arena` is
/// where page 0 begins. The blocks of such a kv_view are page ids, its block_tokens the layout's.
[[nodiscard]] inline std::vector<kv_layer_view> layers_in_pages(page_layout const& layout,
                                                                std::byte* arena) {
    auto const page = static_cast<std::ptrdiff_t>(layout.page_bytes().value());
    std::vector<kv_layer_view> views;
    for (std::size_t i = 0; i < layout.model().kv_layers.size(); ++i)
        views.push_back(layer_in({}, layout.model().kv_layers[i], arena + layout.key_offset(i, 0),
                                 arena + layout.value_offset(i, 0), page));
    return views;
}

/// A block table as a kv_view takes it. Throws invalid_argument for a page past 2^31 - 1.
[[nodiscard]] inline std::vector<std::int32_t> as_blocks(std::span<page_id const> table) {
    std::vector<std::int32_t> blocks;
    blocks.reserve(table.size());
    constexpr std::uint32_t most = std::numeric_limits<std::int32_t>::max();
    for (page_id const page : table) {
        MARCONI_EXPECT(page.value() <= most, "a page of the block table", page.value(),
                       "less than 2^31");
        blocks.push_back(static_cast<std::int32_t>(page.value()));
    }
    return blocks;
}

/// One piece of many requests' states: slot s is at base + s * slot_stride.
struct state_tensor {
    std::byte* base = nullptr;
    std::ptrdiff_t slot_stride = 0;

    [[nodiscard]] std::byte* slot(std::uint64_t index) const {
        return base + static_cast<std::ptrdiff_t>(index) * slot_stride;
    }
};

/// Where the pieces of the request in one slot lie: what a state_view takes.
[[nodiscard]] inline std::vector<std::byte*> slot_of(std::span<state_tensor const> tensors,
                                                     std::uint64_t index) {
    std::vector<std::byte*> pieces;
    pieces.reserve(tensors.size());
    for (state_tensor const& tensor : tensors)
        pieces.push_back(tensor.slot(index));
    return pieces;
}

} // namespace marconi::memory
