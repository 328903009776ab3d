#pragma once

// How an engine says where its own copy of a request's state lies. Views do not own; the memory
// must stay valid until the copy is done.

#include <marconi/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace marconi::memory {

/// The KV of one layer. In an engine that keeps each request in one piece, token t's key is at
///
///     key + t * key_stride                                    (+ h * key_head_stride for head h)
///
/// and in one with blocks (see kv_view) at
///
///     key + block * key_block_stride + slot * key_stride      (+ h * key_head_stride)
///
/// in bytes; likewise its value. A stride of 0 means dense packing: heads within tokens within
/// blocks. Strides so small that rows would overlap are refused. Only rows that are copied need to
/// exist. memory/tensors.hpp makes views of the tensors that engines use.
struct kv_layer_view {
    std::byte* key = nullptr;
    std::ptrdiff_t key_stride = 0;
    std::byte* value = nullptr;
    std::ptrdiff_t value_stride = 0;

    std::uint32_t heads = 1; ///< equal parts of a token's key, and of its value
    std::ptrdiff_t key_head_stride = 0;
    std::ptrdiff_t value_head_stride = 0;
    std::ptrdiff_t key_block_stride = 0;
    std::ptrdiff_t value_block_stride = 0;
};

/// Some of the footprint's kv_layers: `count` of them from number `first` on.
struct layer_range {
    std::size_t first = 0;
    std::size_t count = 0;

    friend bool operator==(layer_range const&, layer_range const&) = default;
};

/// The KV of one request, one view for each of the footprint's kv_layers, in that order.
///
/// An engine with paged KV gives its block table: its block blocks[i] holds tokens
/// [i * block_tokens, (i + 1) * block_tokens). Its blocks need not be as long as the cache's, nor
/// all of them valid: only those of tokens that are copied are looked at. Without blocks no layer
/// has a block stride.
struct kv_view {
    std::span<kv_layer_view const> layers;
    std::span<std::int32_t const> blocks = {};
    std::uint32_t block_tokens = 0; ///< the engine's; 0: it has no blocks, but absolute positions
    std::uint32_t pool_blocks = 0;  ///< how many it has, to refuse indices past them; 0: unchecked
    /// The layers that a restore copies, for an engine that begins while later ones still load:
    /// all, unless it is said.
    std::optional<layer_range> only = {};

    [[nodiscard]] layer_range copied() const {
        return only.value_or(layer_range{0, layers.size()});
    }
};

/// An engine's blocks: numbers[i] is the one that holds tokens [i * tokens, (i + 1) * tokens). As
/// in a kv_view, 0 tokens are no blocks, and a pool of 0 is unchecked.
struct engine_blocks {
    std::span<std::int32_t const> numbers;
    std::uint32_t tokens = 0;
    std::uint32_t pool = 0;
};

/// A window's rows in an engine that keeps them by position: token t's row is at
///
///     piece + block * block_stride + slot * row_stride
///
/// in bytes, or without blocks at piece + t * row_stride. A stride of 0 means dense packing, of
/// rows within blocks; a piece with nothing said here is in one run, whatever blocks the state_view
/// has. (Where a row's heads lie apart, each head is a state piece of its own.)
struct window_view {
    std::ptrdiff_t row_stride = 0;
    std::ptrdiff_t block_stride = 0;
    /// Its own block table, where not all windows have the state_view's.
    std::span<std::int32_t const> blocks = {};
    std::uint32_t block_tokens = 0; ///< of its own blocks; 0: as many as the state_view's

    [[nodiscard]] bool by_position() const {
        return row_stride != 0 || block_stride != 0 || !blocks.empty();
    }
};

/// The per-position state of one request: where each of the footprint's state_pieces lies, in that
/// order. A piece at position p is its fixed bytes, then a row for each of the last min(p, window)
/// tokens, oldest first; a buffer of fixed_bytes + window * bytes_per_window_token holds it at any
/// position.
///
/// An engine that keeps windows in blocks gives, for each piece, how its rows lie (`windows`), and
/// the block table of these rows, of which only the window's blocks are looked at: one for all
/// windows, or one for each. Without blocks, rows lie by position in one piece.
///
/// A ring of R rows is a table of blocks of R tokens which are all the same one: for position p,
/// p / R entries, rounded up. R is at least the window; if drafts are written to the ring that may
/// be rejected, R is at least the window and the longest draft, or else these overwrite rows that
/// the state still needs.
struct state_view {
    std::span<std::byte* const> pieces;
    std::span<window_view const> windows = {}; ///< empty: all pieces are in one run each
    std::span<std::int32_t const> blocks = {};
    std::uint32_t block_tokens = 0; ///< as in a kv_view
    std::uint32_t pool_blocks = 0;  ///< as in a kv_view

    /// Where a piece's window lies.
    [[nodiscard]] engine_blocks blocks_of(std::size_t piece) const {
        window_view const& own = windows[piece];
        if (own.blocks.empty()) return {blocks, block_tokens, pool_blocks};
        return {own.blocks, own.block_tokens != 0 ? own.block_tokens : block_tokens, pool_blocks};
    }
};

} // namespace marconi::memory
