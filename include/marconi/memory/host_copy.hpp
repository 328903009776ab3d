#pragma once

// Copies between pages and an engine's memory, on the host: free functions of page list, layout
// and views. The device's kernels compute the same.

#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace marconi::memory {

enum class direction { to_pages, to_engine };

/// One run of bytes, either way.
inline void copy_run(direction way, std::byte* in_page, std::byte* in_engine, std::size_t bytes) {
    if (way == direction::to_pages)
        std::memcpy(in_page, in_engine, bytes);
    else
        std::memcpy(in_engine, in_page, bytes);
}

/// One of the two parts (keys or values) of one layer, for the rows [first, last) of one page.
inline void copy_rows(direction way, std::byte* in_page, std::byte* in_engine,
                      std::ptrdiff_t stride, std::size_t row_bytes, std::uint64_t rows) {
    if (stride == static_cast<std::ptrdiff_t>(row_bytes))
        return copy_run(way, in_page, in_engine, row_bytes * rows);
    for (std::uint64_t r = 0; r < rows; ++r)
        copy_run(way, in_page + r * row_bytes, in_engine + static_cast<std::ptrdiff_t>(r) * stride,
                 row_bytes);
}

inline void copy_kv(direction way, std::byte* arena, page_layout const& layout,
                    kv_transfer const& t) {
    std::uint64_t const block = layout.block_tokens();
    std::uint64_t const first_block = t.begin.value() / block;
    for (std::size_t i = 0; i < t.pages.size(); ++i) {
        std::byte* page = arena + t.pages[i].value() * layout.page_bytes().value();
        std::uint64_t const start = (first_block + i) * block;
        std::uint64_t const from = std::max(start, t.begin.value());
        std::uint64_t const to = std::min(start + block, t.end.value());
        for (std::size_t l = 0; l < t.engine.layers.size(); ++l) {
            kv_layer_view const& engine = t.engine.layers[l];
            kv_layer const& bytes = layout.model().kv_layers[l];
            auto const at = static_cast<std::ptrdiff_t>(from);
            auto const stride = [](std::ptrdiff_t given, std::uint64_t row_bytes) {
                return given != 0 ? given : static_cast<std::ptrdiff_t>(row_bytes);
            };
            std::ptrdiff_t const key_stride = stride(engine.key_stride, bytes.key_bytes);
            std::ptrdiff_t const value_stride = stride(engine.value_stride, bytes.value_bytes);
            if (bytes.key_bytes)
                copy_rows(way, page + layout.key_offset(l, from - start),
                          engine.key + at * key_stride, key_stride, bytes.key_bytes, to - from);
            if (bytes.value_bytes)
                copy_rows(way, page + layout.value_offset(l, from - start),
                          engine.value + at * value_stride, value_stride, bytes.value_bytes,
                          to - from);
        }
    }
}

inline void copy_checkpoint(direction way, std::byte* arena, page_layout const& layout,
                            checkpoint_transfer const& t) {
    std::uint64_t const page_bytes = layout.page_bytes().value();
    std::uint64_t offset = 0; // in the checkpoint as if its pages were neighbours
    for (std::size_t p = 0; p < t.engine.pieces.size(); ++p) {
        std::uint64_t const bytes = layout.model().state_pieces[p].bytes_at(t.position.value());
        for (std::uint64_t done = 0; done < bytes;) {
            std::uint64_t const at = offset + done;
            std::uint64_t const run = std::min(bytes - done, page_bytes - at % page_bytes);
            std::byte* page = arena + t.pages[at / page_bytes].value() * page_bytes;
            copy_run(way, page + at % page_bytes, t.engine.pieces[p] + done, run);
            done += run;
        }
        offset += round_up(bytes, page_layout::piece_alignment);
    }
}

/// All of a transfer, views checked first.
inline void copy(direction way, std::byte* arena, page_layout const& layout, transfer const& t) {
    check(t, layout);
    if (t.kv.begin != t.kv.end) copy_kv(way, arena, layout, t.kv);
    for (checkpoint_transfer const& c : t.checkpoints)
        copy_checkpoint(way, arena, layout, c);
}

} // namespace marconi::memory
