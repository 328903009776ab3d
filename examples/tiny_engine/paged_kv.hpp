#pragma once

// The KV of one request, in blocks that lie anywhere.
//
//     in place   a block is a page of the cache's arena; the table is the cache's block_table()
//     copy       a block is a part of the request's slot in the engine's own memory
//
// Attention reads and writes through the table and does not know which of the two it is.

#include <marconi/core/footprint.hpp>
#include <marconi/memory/layout.hpp>

#include <cstddef>
#include <vector>

namespace tiny {

/// Where in a block the keys and values of a token lie, in bytes, for each attention layer.
struct block_geometry {
    struct layer_rows {
        std::size_t key, key_stride;
        std::size_t value, value_stride;
    };
    std::size_t block_tokens = 0;
    std::size_t token_bytes = 0;
    std::vector<layer_rows> layers = {};

    /// The blocks of the cache's pages: a layer's keys one after the other, then its values.
    [[nodiscard]] static block_geometry of_pages(marconi::memory::page_layout const& layout) {
        block_geometry made = of_slots(layout.model(), layout.block_tokens());
        for (std::size_t l = 0; l < made.layers.size(); ++l) {
            auto const& bytes = layout.model().kv_layers[l];
            made.layers[l] = {layout.key_offset(l, 0), bytes.key_bytes, layout.value_offset(l, 0),
                              bytes.value_bytes};
        }
        return made;
    }
    /// The engine's own: token by token, each with the keys and values of all layers, so that a
    /// slot is one array of tokens with one stride, as a kv_view wants it.
    [[nodiscard]] static block_geometry of_slots(marconi::footprint const& model,
                                                 std::size_t block_tokens) {
        block_geometry made{.block_tokens = block_tokens,
                            .token_bytes = model.kv_bytes_per_token().value()};
        std::size_t offset = 0;
        for (marconi::kv_layer const& bytes : model.kv_layers) {
            made.layers.push_back(
                {offset, made.token_bytes, offset + bytes.key_bytes, made.token_bytes});
            offset += bytes.key_bytes + bytes.value_bytes;
        }
        return made;
    }
};

/// A block table with the geometry of its blocks.
class paged_kv {
public:
    explicit paged_kv(block_geometry const& geometry) : geometry_{&geometry} {}

    std::vector<std::byte*> blocks;

    [[nodiscard]] float* key(std::size_t layer, std::size_t position) const {
        auto const& rows = geometry_->layers[layer];
        return row(position, rows.key, rows.key_stride);
    }
    [[nodiscard]] float* value(std::size_t layer, std::size_t position) const {
        auto const& rows = geometry_->layers[layer];
        return row(position, rows.value, rows.value_stride);
    }

private:
    [[nodiscard]] float* row(std::size_t position, std::size_t offset, std::size_t stride) const {
        std::size_t const block = position / geometry_->block_tokens;
        std::size_t const in_block = position % geometry_->block_tokens;
        return reinterpret_cast<float*>(blocks[block] + offset + in_block * stride);
    }

    block_geometry const* geometry_;
};

} // namespace tiny
