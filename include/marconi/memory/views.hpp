#pragma once

// How an engine says where its own copy of a request's state lies, and what to copy between it and
// pages. Views do not own; the memory must stay valid until the copy is done.

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace marconi::memory {

/// The KV of one layer of one request, by absolute position: token t's key is at
/// key + t * key_stride bytes; stride 0 stands for rows without a gap. Only rows that are copied
/// need to exist.
struct kv_layer_view {
    std::byte* key = nullptr;
    std::ptrdiff_t key_stride = 0;
    std::byte* value = nullptr;
    std::ptrdiff_t value_stride = 0;
};

/// The KV of one request, one view for each of the footprint's kv_layers, in that order.
struct kv_view {
    std::span<kv_layer_view const> layers;
};

/// The per-position state of one request: where each of the footprint's state_pieces lies, in that
/// order. A piece at position p is its fixed bytes, then a row for each of the last min(p, window)
/// tokens, oldest first (a ring buffer has to be unrolled); a buffer of fixed_bytes + window *
/// bytes_per_window_token holds it at any position.
struct state_view {
    std::span<std::byte* const> pieces;
};

/// KV of tokens [begin, end) between pages and an engine; pages[i] holds block
/// begin / block_tokens + i.
struct kv_transfer {
    token_count begin;
    token_count end;
    std::span<page_id const> pages;
    kv_view engine;
};

/// The checkpoint of one position between its pages and an engine.
struct checkpoint_transfer {
    token_count position;
    std::span<page_id const> pages;
    state_view engine;
};

/// Everything one restore, or one commit, moves: a store does it in one launch.
struct transfer {
    kv_transfer kv;
    std::span<checkpoint_transfer const> checkpoints;
};

/// Throws invalid_argument unless the engine's views fit the layout and the pages fit the ranges.
inline void check(transfer const& t, page_layout const& layout) {
    auto const expect = [](std::size_t found, std::size_t wanted, char const* what) {
        if (found != wanted) throw_invalid(what, found, std::to_string(wanted));
    };
    MARCONI_EXPECT(t.kv.begin <= t.kv.end, "begin of the KV", t.kv.begin.value(),
                   "at most its end, " + std::to_string(t.kv.end.value()));
    if (t.kv.begin != t.kv.end) {
        auto const& layers = layout.model().kv_layers;
        expect(t.kv.pages.size(), layout.blocks_touched(t.kv.begin.value(), t.kv.end.value()),
               "number of pages for the KV");
        expect(t.kv.engine.layers.size(), layers.size(), "number of layers in the kv_view");
        for (std::size_t i = 0; i < layers.size(); ++i)
            if ((layers[i].key_bytes && !t.kv.engine.layers[i].key) ||
                (layers[i].value_bytes && !t.kv.engine.layers[i].value))
                throw invalid_argument{"kv_view: layer " + std::to_string(i) +
                                       " has a null pointer"};
    }
    for (checkpoint_transfer const& c : t.checkpoints) {
        expect(c.pages.size(), layout.checkpoint_pages(c.position),
               "number of pages for the checkpoint");
        expect(c.engine.pieces.size(), layout.model().state_pieces.size(),
               "number of pieces in the state_view");
        for (std::byte* piece : c.engine.pieces)
            if (!piece) throw invalid_argument{"state_view: a piece is a null pointer"};
    }
}

} // namespace marconi::memory
