#pragma once

// Where a byte of a checkpoint lies in its pages and in an engine's memory, as copies on the host
// and the kernels of gpu/ compute it. All offsets are in bytes.

#include <marconi/core/config.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/divider.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/places.hpp>
#include <marconi/memory/row_strides.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace marconi::memory {

/// One piece of a checkpoint, or what of it lies in one run in the engine.
struct state_part {
    std::byte* engine;
    std::uint64_t bytes;
    std::uint64_t offset;    ///< in the checkpoint as if its pages were contiguous
    std::uint32_t alignment; ///< of every run on both sides: a power of two, up to 16
};

/// Divides by the size of a page in units of 256 bytes: every page is a multiple of these.
struct page_divider {
    divider units{};

    [[nodiscard]] static page_divider of(page_layout const& layout) {
        return {divider{static_cast<std::uint32_t>(layout.page_bytes().value() >> 8)}};
    }
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint32_t page_of(std::uint64_t offset) const {
        return units.quotient(static_cast<std::uint32_t>(offset >> 8));
    }
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint64_t page_bytes() const {
        return std::uint64_t{units.divisor()} << 8;
    }
};

/// Where a byte of a piece lies: which page of its checkpoint, where in that, where in the engine.
struct place_in_pages {
    std::uint32_t page;
    std::uint64_t offset;
    std::byte* in_engine;
    std::uint64_t run; ///< bytes from there on that are contiguous on both sides

    [[nodiscard]] MARCONI_HOST_DEVICE place with(std::byte* page_begin) const {
        return {page_begin + offset, in_engine, run};
    }
};
[[nodiscard]] MARCONI_HOST_DEVICE inline place_in_pages
locate(state_part const& part, page_divider const& cut, std::uint64_t at) {
    std::uint32_t const page = cut.page_of(part.offset + at);
    std::uint64_t const in_page = part.offset + at - page * cut.page_bytes();
    return {page, in_page, part.engine + at, cut.page_bytes() - in_page};
}

/// Calls visit(part) for each run of a window's rows, whose first byte is at `offset` of the
/// checkpoint.
template <class Visit>
void each_run(checkpoint_transfer const& t, std::size_t piece, std::uint64_t window,
              std::uint64_t row, std::uint64_t offset, Visit&& visit) {
    engine_blocks const blocks = t.engine.blocks_of(piece);
    std::uint32_t const tokens = blocks.tokens;
    row_strides const strides = row_strides::of(t.engine.windows[piece], row, tokens);
    std::uint64_t const end = t.position.value();
    bool const dense = strides.token == static_cast<std::ptrdiff_t>(row);
    for (std::uint64_t at = end - std::min(end, window); at < end;) {
        std::byte* engine = t.engine.pieces[piece];
        std::uint64_t slot = at, left = end - at;
        if (tokens != 0) {
            engine += blocks.numbers[at / tokens] * strides.block;
            slot = at % tokens;
            left = std::min(left, tokens - slot);
        }
        std::uint64_t const rows = dense ? left : 1;
        engine += static_cast<std::ptrdiff_t>(slot) * strides.token;
        visit(state_part{.engine = engine,
                         .bytes = rows * row,
                         .offset = offset,
                         .alignment = common_alignment(engine, offset)});
        offset += rows * row;
        at += rows;
    }
}

/// Calls visit(part) for each piece of a checkpoint, or for its runs.
template <class Visit>
void each_piece(checkpoint_transfer const& t, page_layout const& layout, Visit&& visit) {
    std::uint64_t offset = 0;
    for (std::size_t p = 0; p < t.engine.pieces.size(); ++p) {
        state_piece const& piece = layout.model().state_pieces[p];
        std::uint64_t const bytes = piece.bytes_at(t.position.value());
        std::byte* const engine = t.engine.pieces[p];
        if (!t.engine.windows.empty() && t.engine.windows[p].by_position())
            each_run(t, p, piece.window, piece.bytes_per_window_token, offset, visit);
        else
            visit(state_part{.engine = engine,
                             .bytes = bytes,
                             .offset = offset,
                             .alignment = common_alignment(engine, offset)});
        offset += round_up(bytes, page_layout::piece_alignment);
    }
}

} // namespace marconi::memory
