#pragma once

#include <marconi/memory/views.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace marconi::memory {

enum class kv_kind { key, value };

/// How far apart a layer's keys, or its values, are in an engine, in bytes.
struct row_strides {
    std::ptrdiff_t token, head, block;

    /// What a view says of one layer, whose rows have `row` bytes. Where it says 0, rows are dense.
    [[nodiscard]] static row_strides of(kv_kind kind, kv_view const& engine, std::size_t layer,
                                        std::uint64_t row) {
        kv_layer_view const& view = engine.layers[layer];
        bool const key = kind == kv_kind::key;
        auto const given = [](std::ptrdiff_t stride, std::uint64_t dense) {
            return stride != 0 ? stride : static_cast<std::ptrdiff_t>(dense);
        };
        return {given(key ? view.key_stride : view.value_stride, row),
                given(key ? view.key_head_stride : view.value_head_stride, row / view.heads),
                given(key ? view.key_block_stride : view.value_block_stride,
                      row * engine.block_tokens)};
    }

    /// Those of a window's rows, in blocks of so many tokens, or 0.
    [[nodiscard]] static row_strides of(window_view const& given, std::uint64_t row,
                                        std::uint32_t block_tokens) {
        std::ptrdiff_t const token =
            given.row_stride != 0 ? given.row_stride : static_cast<std::ptrdiff_t>(row);
        auto const dense = static_cast<std::ptrdiff_t>(size(token) * block_tokens);
        return {token, 0, given.block_stride != 0 ? given.block_stride : dense};
    }

    /// Whether blocks lie further apart than what else there is several of.
    [[nodiscard]] bool blocks_outermost() const {
        return size(block) >= std::max(size(token), size(head));
    }

    /// Whether so many heads, tokens and blocks would overlap, of rows of `row` bytes: whether the
    /// items of one dimension are closer to each other than the smaller dimensions reach.
    [[nodiscard]] bool overlap(std::uint64_t row, std::uint64_t heads, std::uint64_t tokens,
                               std::uint64_t blocks) const {
        struct dimension {
            std::uint64_t stride, count;
        };
        std::array<dimension, 3> all{
            {{size(head), heads}, {size(token), tokens}, {size(block), blocks}}};
        std::ranges::sort(all, {}, &dimension::stride);
        std::uint64_t reach = row / heads;
        for (auto const [stride, count] : all) {
            if (count <= 1) continue;
            if (stride < reach) return true;
            std::uint64_t const left = std::numeric_limits<std::uint64_t>::max() - reach;
            reach += stride > left / (count - 1) ? left : stride * (count - 1);
        }
        return false;
    }

private:
    [[nodiscard]] static std::uint64_t size(std::ptrdiff_t stride) {
        auto const bits = static_cast<std::uint64_t>(stride);
        return stride < 0 ? 0 - bits : bits;
    }
};

} // namespace marconi::memory
