#pragma once

// Where a byte of a page lies in an engine's memory: the arithmetic that copies on the host and the
// kernels of gpu/ share. All offsets are in bytes.
//
//     page     | part 0: row row row ... | part 1: row row ... | ... |     a part: the keys, or the
//                         └ head head head                                 values, of one layer
//     engine   base + block * block_stride + slot * token_stride + head * head_stride

#include <marconi/core/config.hpp>
#include <marconi/memory/divider.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/row_strides.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace marconi::memory {

/// Where one byte lies on both sides, and how many bytes from it on are contiguous on both.
struct place {
    std::byte* in_page;
    std::byte* in_engine;
    std::uint64_t run;
};

/// The keys, or the values, of one layer.
struct kv_part {
    std::byte* engine;
    std::int64_t block_stride;
    std::int64_t token_stride;
    std::int64_t head_stride;
    divider row;               ///< by a token's bytes
    divider head;              ///< by a head's bytes if heads lie apart, else by a token's
    std::uint32_t page_offset; ///< of the part's first row
    std::uint32_t alignment;   ///< of every run on both sides: a power of two, up to 16
};

/// Which tokens are copied, and in which blocks they lie on both sides.
struct kv_range {
    std::uint32_t begin;
    std::uint32_t end;
    std::uint32_t block_tokens;
    std::uint32_t first_block;
    std::int32_t const* engine_blocks;    ///< null: rows lie by position
    std::uint32_t first_engine_block = 0; ///< the one at engine_blocks[0]
    divider engine_block_tokens;

    /// The first token of the i-th page's block.
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint32_t block_start(std::uint32_t i) const {
        return (first_block + i) * block_tokens;
    }
    /// Rows of the i-th page that are copied: [first_row, end_row).
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint32_t first_row(std::uint32_t i) const {
        return i == 0 ? begin - block_start(0) : 0;
    }
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint32_t end_row(std::uint32_t i) const {
        std::uint32_t const left = end - block_start(i);
        return left < block_tokens ? left : block_tokens;
    }
};

/// Where byte `offset` of a part's rows in the i-th block lies; its page begins at `page`.
[[nodiscard]] MARCONI_HOST_DEVICE inline place locate(kv_part const& part, kv_range const& range,
                                                      std::byte* page, std::uint32_t i,
                                                      std::uint32_t offset) {
    std::uint32_t const row = part.row.quotient(offset);
    std::uint32_t const in_row = offset - row * part.row.divisor();
    std::uint32_t const head = part.head.quotient(in_row);
    std::uint32_t const in_head = in_row - head * part.head.divisor();
    std::uint32_t slot = range.block_start(i) + row;
    std::uint64_t rows_left = std::uint64_t{range.end} - slot;
    std::byte* at = part.engine;
    if (range.engine_blocks) {
        std::uint32_t const tokens = range.engine_block_tokens.divisor();
        std::uint32_t const block = range.engine_block_tokens.quotient(slot);
        slot -= block * tokens;
        rows_left = tokens - slot;
        at += range.engine_blocks[block - range.first_engine_block] * part.block_stride;
    }
    at += slot * part.token_stride + head * part.head_stride + in_head;

    std::uint64_t run = part.head.divisor() - in_head;
    if (part.head.divisor() == part.row.divisor() && part.token_stride == part.row.divisor())
        run += (rows_left - 1) * part.row.divisor();
    return {page + part.page_offset + offset, at, run};
}

/// The largest power of two, up to 16, of which both a pointer and all offsets are multiples.
[[nodiscard]] inline std::uint32_t common_alignment(std::byte const* pointer,
                                                    std::uint64_t offsets) {
    std::uint64_t const all = reinterpret_cast<std::uintptr_t>(pointer) | offsets | 16;
    return static_cast<std::uint32_t>(all & (~all + 1));
}

/// The part of one layer's keys or values, for checked views.
[[nodiscard]] inline kv_part make_part(kv_kind kind, kv_view const& engine, std::size_t layer,
                                       page_layout const& layout) {
    kv_layer const& bytes = layout.model().kv_layers[layer];
    kv_layer_view const& view = engine.layers[layer];
    bool const key = kind == kv_kind::key;
    auto const row = static_cast<std::uint32_t>(key ? bytes.key_bytes : bytes.value_bytes);
    std::uint32_t const head = row / view.heads;
    row_strides const strides = row_strides::of(kind, engine, layer, row);
    kv_part part{};
    part.engine = key ? view.key : view.value;
    part.token_stride = strides.token;
    part.head_stride = strides.head;
    part.block_stride = strides.block;
    bool const heads_stand_alone = view.heads > 1 && part.head_stride != head;
    part.row = divider{std::max(row, 1u)};
    part.head = divider{std::max(heads_stand_alone ? head : row, 1u)};
    part.page_offset = static_cast<std::uint32_t>(key ? layout.key_offset(layer, 0)
                                                      : layout.value_offset(layer, 0));
    auto offsets = static_cast<std::uint64_t>(part.token_stride) | row | part.page_offset;
    if (heads_stand_alone) offsets |= static_cast<std::uint64_t>(part.head_stride) | head;
    if (!engine.blocks.empty()) offsets |= static_cast<std::uint64_t>(part.block_stride);
    part.alignment = common_alignment(part.engine, offsets);
    return part;
}

[[nodiscard]] inline kv_range make_range(kv_transfer const& t, page_layout const& layout) {
    return {.begin = static_cast<std::uint32_t>(t.begin.value()),
            .end = static_cast<std::uint32_t>(t.end.value()),
            .block_tokens = layout.block_tokens(),
            .first_block = static_cast<std::uint32_t>(t.begin.value() / layout.block_tokens()),
            .engine_blocks = t.engine.blocks.empty() ? nullptr : t.engine.blocks.data(),
            .engine_block_tokens = divider{std::max(t.engine.block_tokens, 1u)}};
}

/// Calls visit(part) for the keys and the values of each layer copied that has any.
template <class Visit>
void each_part(kv_view const& engine, page_layout const& layout, Visit&& visit) {
    layer_range const copied = engine.copied();
    for (std::size_t l = copied.first; l < copied.first + copied.count; ++l) {
        kv_layer const& bytes = layout.model().kv_layers[l];
        if (bytes.key_bytes) visit(make_part(kv_kind::key, engine, l, layout));
        if (bytes.value_bytes) visit(make_part(kv_kind::value, engine, l, layout));
    }
}

} // namespace marconi::memory
