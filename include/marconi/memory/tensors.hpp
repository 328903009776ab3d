#pragma once

// Views of the tensors in which engines keep state.

#include <marconi/core/footprint.hpp>
#include <marconi/memory/views.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::memory {

/// In which order a tensor has its tokens and their heads.
enum class head_order {
    token_major, ///< NHD: [tokens, heads, bytes of a head]
    head_major   ///< HND: [heads, tokens, bytes of a head]
};

/// A tensor of keys or values for one request, or one block of a paged one.
struct head_shape {
    head_order order = head_order::token_major;
    std::uint32_t heads = 1;
    std::uint64_t tokens = 0; ///< that a request's buffer, or a block, has room for
};

/// One layer's KV in dense tensors of that shape. For a paged engine `block_stride` is the bytes
/// from one block's keys to the next block's, and from values to values: 0 where keys and values
/// have tensors of their own, twice a block's bytes where a block is [keys, values].
[[nodiscard]] inline kv_layer_view layer_in(head_shape shape, kv_layer const& bytes, std::byte* key,
                                            std::byte* value, std::ptrdiff_t block_stride = 0) {
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
