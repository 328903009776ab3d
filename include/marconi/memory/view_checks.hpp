#pragma once

// Whether an engine's views fit a layout, and the pages of a transfer its ranges.

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/row_strides.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace marconi::memory {

inline void expect_count(std::size_t found, std::size_t wanted, char const* what) {
    if (found != wanted) throw_invalid(what, found, std::to_string(wanted));
}

/// The engine's blocks in a `view`, which is named in messages, must hold tokens [begin, end), of
/// which there is at least one. Returns how many of the engine's pool lie from the first of these
/// blocks to the last, in the pool's order; 0 if the view has no blocks.
inline std::uint64_t check_engine_blocks(engine_blocks const& blocks, char const* view,
                                         token_count begin, token_count end) {
    auto const of_view = [&](char const* what) { return std::string{what} + view; };
    if (blocks.tokens == 0) {
        MARCONI_EXPECT(blocks.numbers.empty(), of_view("block_tokens of the "), 0,
                       "at least 1, since it has blocks");
        return 0;
    }
    std::uint64_t const first = begin.value() / blocks.tokens;
    std::uint64_t const last = (end.value() - 1) / blocks.tokens;
    MARCONI_EXPECT(last < blocks.numbers.size(), of_view("number of blocks in the "),
                   blocks.numbers.size(),
                   "at least " + std::to_string(last + 1) + ", for " + std::to_string(end.value()) +
                       " tokens");
    std::int32_t least = blocks.numbers[first], most = least;
    for (std::int32_t const b : blocks.numbers.subspan(first, last + 1 - first)) {
        least = std::min(least, b);
        most = std::max(most, b);
    }
    MARCONI_EXPECT(least >= 0, of_view("a block of the "), least,
                   "0 or more, where its tokens are copied");
    MARCONI_EXPECT(blocks.pool == 0 || std::cmp_less(most, blocks.pool), of_view("a block of the "),
                   most, "less than pool_blocks, " + std::to_string(blocks.pool));
    return blocks.pool != 0 ? blocks.pool
                            : static_cast<std::uint64_t>(std::int64_t{most} - least) + 1;
}

/// Throws invalid_argument, which names the layer or piece.
[[noreturn]] inline void throw_overlap(char const* whose, std::size_t index) {
    throw invalid_argument{whose + std::to_string(index) +
                           " overlap: a stride, which is in bytes, is less than what lies within "
                           "it"};
}

/// Rows of a layer that the engine has must not overlap: those of two tokens, and of two blocks, at
/// least. `spanned` is what check_engine_blocks() returned.
inline void check_strides(kv_view const& engine, std::uint64_t rows, std::size_t layer,
                          kv_kind kind, std::uint64_t row, std::uint64_t spanned) {
    if (row == 0) return;
    row_strides const strides = row_strides::of(kind, engine, layer, row);
    bool const paged = engine.block_tokens != 0;
    std::uint64_t const tokens = paged ? engine.block_tokens : std::max<std::uint64_t>(rows, 2);
    std::uint64_t blocks = paged && engine.pool_blocks != 1 ? 2 : 1;
    if (blocks != 1 && !strides.blocks_outermost()) blocks = std::max(blocks, spanned);
    if (strides.overlap(row, engine.layers[layer].heads, tokens, blocks))
        throw_overlap("kv_view: the rows of layer ", layer);
}

/// Throws invalid_argument unless the layers to copy are layers of the model.
inline void check_copied(kv_view const& engine, page_layout const& layout) {
    if (!engine.only) return;
    std::size_t const layers = layout.model().kv_layers.size();
    layer_range const some = *engine.only;
    if (some.first > layers || some.count > layers - some.first)
        throw_invalid("only in the kv_view",
                      std::to_string(some.count) + " layers from " + std::to_string(some.first) +
                          " on",
                      "some of " + std::to_string(layers));
}

inline void check_layers(kv_view const& engine, page_layout const& layout) {
    check_copied(engine, layout);
    auto const& layers = layout.model().kv_layers;
    expect_count(engine.layers.size(), layers.size(), "number of layers in the kv_view");
    for (std::size_t i = 0; i < layers.size(); ++i) {
        kv_layer_view const& view = engine.layers[i];
        bool const no_key = layers[i].key_bytes != 0 && !view.key;
        if (no_key || (layers[i].value_bytes != 0 && !view.value))
            throw invalid_argument{std::string{"kv_view: the "} + (no_key ? "key" : "value") +
                                   " of layer " + std::to_string(i) + " is a null pointer"};
        if (view.heads == 0 || layers[i].key_bytes % view.heads != 0 ||
            layers[i].value_bytes % view.heads != 0)
            throw invalid_argument{"kv_view: the keys and values of layer " + std::to_string(i) +
                                   " do not part into " + std::to_string(view.heads) +
                                   " equal heads"};
        if (engine.block_tokens == 0 && (view.key_block_stride || view.value_block_stride))
            throw invalid_argument{"kv_view: layer " + std::to_string(i) +
                                   " has a block stride, and the view no blocks"};
    }
}

/// Throws invalid_argument unless a view of the KV of tokens [begin, end) fits the layout.
inline void check_view(kv_view const& engine, token_count begin, token_count end,
                       page_layout const& layout) {
    check_layers(engine, layout);
    std::uint64_t const spanned = check_engine_blocks(
        {engine.blocks, engine.block_tokens, engine.pool_blocks}, "kv_view", begin, end);
    auto const& layers = layout.model().kv_layers;
    std::uint64_t const rows = (end - begin).value();
    for (std::size_t i = 0; i < layers.size(); ++i) {
        check_strides(engine, rows, i, kv_kind::key, layers[i].key_bytes, spanned);
        check_strides(engine, rows, i, kv_kind::value, layers[i].value_bytes, spanned);
    }
}
/// Throws invalid_argument unless the rows of a window are all that a piece consists of, and lie
/// apart, and the last of them before `position` are in the engine's blocks.
inline void check_window(state_view const& engine, token_count position, std::size_t piece,
                         page_layout const& layout) {
    state_piece const& of = layout.model().state_pieces[piece];
    MARCONI_EXPECT(of.fixed_bytes == 0, "a piece with a window_view", "more than a window's rows",
                   "a window's rows alone");
    std::uint64_t const rows = std::min(position.value(), of.window);
    std::uint64_t const row = of.bytes_per_window_token;
    if (rows == 0 || row == 0) return;
    window_view const& given = engine.windows[piece];
    engine_blocks const blocks = engine.blocks_of(piece);
    (void)check_engine_blocks(blocks, "state_view", position - token_count{rows}, position);
    bool const paged = blocks.tokens != 0;
    MARCONI_EXPECT(paged || given.block_stride == 0, "block_stride of a window", given.block_stride,
                   "0, since the state_view has no blocks");
    bool several = false; // a ring of one block may lie at any distance from itself
    if (paged) {
        std::uint64_t const last = (position.value() - 1) / blocks.tokens;
        // Blocks of a ring come again and again, so the last one is enough to look for.
        for (std::uint64_t b = (position.value() - rows) / blocks.tokens; b < last; ++b) {
            bool const again = blocks.numbers[b] == blocks.numbers[last];
            several = several || !again;
            MARCONI_EXPECT(!again || (last - b) * blocks.tokens >= rows, "number of rows in a ring",
                           (last - b) * blocks.tokens,
                           "at least the window, " + std::to_string(rows));
        }
    }
    row_strides const strides = row_strides::of(given, row, blocks.tokens);
    if (strides.overlap(row, 1, paged ? blocks.tokens : 2, several ? 2 : 1))
        throw_overlap("state_view: the rows of piece ", piece);
}

/// Throws invalid_argument unless a view of the state at a position fits the layout.
inline void check_view(state_view const& engine, token_count position, page_layout const& layout) {
    expect_count(engine.pieces.size(), layout.model().state_pieces.size(),
                 "number of pieces in the state_view");
    for (std::size_t p = 0; p < engine.pieces.size(); ++p)
        if (!engine.pieces[p])
            throw invalid_argument{"state_view: piece " + std::to_string(p) + " is a null pointer"};
    if (engine.windows.empty()) return;
    expect_count(engine.windows.size(), engine.pieces.size(),
                 "number of windows in the state_view");
    for (std::size_t p = 0; p < engine.pieces.size(); ++p) {
        window_view const& window = engine.windows[p];
        MARCONI_EXPECT(window.block_tokens == 0 || !window.blocks.empty(),
                       "block_tokens of a window", window.block_tokens,
                       "0, since it has no blocks of its own");
        if (window.by_position()) check_window(engine, position, p, layout);
    }
}

/// Throws invalid_argument unless the engine's views fit the layout and the pages fit the ranges,
/// size_overflow for checkpoints of 1 TiB: copies compute within one in 32 bits of 256 bytes.
inline void check(transfer const& t, page_layout const& layout) {
    MARCONI_EXPECT(t.kv.begin <= t.kv.end, "begin of the KV", t.kv.begin.value(),
                   "at most its end, " + std::to_string(t.kv.end.value()));
    if (t.kv.begin != t.kv.end) {
        MARCONI_EXPECT(t.kv.end.value() <= most_tokens, "end of the KV", t.kv.end.value(),
                       "less than 2^31 tokens");
        expect_count(t.kv.pages.size(), layout.blocks_touched(t.kv.begin.value(), t.kv.end.value()),
                     "number of pages for the KV");
        check_view(t.kv.engine, t.kv.begin, t.kv.end, layout);
    }
    for (checkpoint_transfer const& c : t.checkpoints) {
        expect_count(c.pages.size(), layout.checkpoint_pages(c.position),
                     "number of pages for the checkpoint");
        if (std::uint64_t const bytes = layout.checkpoint_bytes(c.position).value(); bytes >> 40)
            throw size_overflow{"a copy: a checkpoint of " + std::to_string(bytes) +
                                " bytes; the limit is 2^40"};
        check_view(c.engine, c.position, layout);
    }
}

} // namespace marconi::memory
