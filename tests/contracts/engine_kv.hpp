#pragma once

#include <contracts/store_access.hpp>

#include <marconi/core/footprint.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace contracts {

inline byte_vector random_bytes(std::size_t n, std::uint32_t seed) {
    std::mt19937 random{seed};
    byte_vector all(n);
    for (std::byte& b : all)
        b = static_cast<std::byte>(random());
    return all;
}

/// How an engine lays out its own KV.
enum class engine_order {
    separate,    ///< all keys of a layer, then all its values
    interleaved, ///< a layer's key and value of one token beside each other
    token_major, ///< all layers of one token beside each other
    reversed,    ///< as separate, from the last token to the first
    head_major,  ///< as separate, all tokens of one head beside each other
    paged,       ///< blocks of [keys, values], anywhere
    paged_heads  ///< the same, head-major within a block
};

struct engine_shape {
    engine_order order;
    std::size_t gap; ///< bytes of something else after every row, or head, or block
};

constexpr engine_shape engine_shapes[] = {
    {engine_order::separate, 0},    {engine_order::separate, 5},    {engine_order::interleaved, 0},
    {engine_order::interleaved, 3}, {engine_order::token_major, 1}, {engine_order::reversed, 0},
    {engine_order::head_major, 0},  {engine_order::head_major, 3},  {engine_order::paged, 0},
    {engine_order::paged, 16},      {engine_order::paged_heads, 0}, {engine_order::paged_heads, 7}};

/// The KV of one request in an engine's memory, of random bytes.
template <class Access>
struct engine_kv {
    using offset = std::ptrdiff_t;
    /// The keys, or the values, of one layer.
    struct part {
        offset base = 0;
        offset stride = 0;
        std::size_t row_bytes = 0;
        std::size_t heads = 1;
        offset head_stride = 0;
        offset block_stride = 0;
    };

    engine_kv(marconi::footprint const& model, std::uint64_t tokens, engine_shape shape,
              std::uint32_t seed)
        : memory_{random_bytes(lay_out(model, static_cast<offset>(tokens), shape, seed), seed)} {
        for (std::size_t l = 0; l < keys.size(); ++l)
            layers_.push_back({.key = memory_.data() + keys[l].base,
                               .key_stride = keys[l].stride,
                               .value = memory_.data() + values[l].base,
                               .value_stride = values[l].stride,
                               .heads = static_cast<std::uint32_t>(keys[l].heads),
                               .key_head_stride = keys[l].head_stride,
                               .value_head_stride = values[l].head_stride,
                               .key_block_stride = keys[l].block_stride,
                               .value_block_stride = values[l].block_stride});
    }

    [[nodiscard]] marconi::memory::kv_view view() const {
        return {layers_, blocks_, blocks_.empty() ? 0u : block};
    }
    [[nodiscard]] byte_vector contents() const { return memory_.contents(); }

    /// Calls visit(offset in the row, offset in the engine's memory, bytes) for each head of a row.
    template <class Visit>
    void each_head(part const& of, std::uint64_t token, Visit&& visit) const {
        offset row = of.base;
        if (blocks_.empty())
            row += static_cast<offset>(token) * of.stride;
        else
            row += blocks_[token / block] * of.block_stride +
                   static_cast<offset>(token % block) * of.stride;
        std::size_t const head_bytes = of.row_bytes / of.heads;
        for (std::size_t h = 0; h < of.heads; ++h)
            visit(h * head_bytes, row + static_cast<offset>(h) * of.head_stride, head_bytes);
    }

    /// Tokens in a block of the paged shapes: no divisor of the cache's block.
    static constexpr std::uint32_t block = 5;

    std::vector<part> keys{}, values{};

private:
    /// The most heads into which both of a layer's rows part.
    static std::size_t heads_of(marconi::kv_layer const& layer) {
        return std::gcd(layer.key_bytes, layer.value_bytes);
    }

    std::size_t lay_out(marconi::footprint const& model, offset tokens, engine_shape shape,
                        std::uint32_t seed) {
        auto const gap = static_cast<offset>(shape.gap);
        if (shape.order == engine_order::paged || shape.order == engine_order::paged_heads)
            return lay_out_blocks(model, tokens, shape, seed);
        offset end = 0;
        for (marconi::kv_layer const& layer : model.kv_layers) {
            auto const key = static_cast<offset>(layer.key_bytes);
            auto const value = static_cast<offset>(layer.value_bytes);
            switch (shape.order) {
            case engine_order::separate:
                place(layer, end, key + gap, end + tokens * (key + gap), value + gap);
                end += tokens * (key + value + 2 * gap);
                break;
            case engine_order::interleaved:
                place(layer, end, key + value + gap, end + key, key + value + gap);
                end += tokens * (key + value + gap);
                break;
            case engine_order::token_major: {
                offset const row = static_cast<offset>(model.kv_bytes_per_token().value()) + gap;
                place(layer, end, row, end + key, row);
                end += key + value;
                break;
            }
            case engine_order::reversed:
                place(layer, end + (tokens - 1) * key, -key,
                      end + tokens * key + (tokens - 1) * value, -value);
                end += tokens * (key + value);
                break;
            case engine_order::head_major: {
                auto const heads = static_cast<offset>(heads_of(layer));
                offset const values_at = end + tokens * key + heads * gap;
                place(layer, end, key / heads, values_at, value / heads);
                part_heads(layer, tokens * key / heads + gap, tokens * value / heads + gap);
                end = values_at + tokens * value + heads * gap;
                break;
            }
            case engine_order::paged:
            case engine_order::paged_heads:
                break;
            }
        }
        if (shape.order == engine_order::token_major) end = (end + gap) * tokens;
        return static_cast<std::size_t>(end);
    }
    std::size_t lay_out_blocks(marconi::footprint const& model, offset tokens, engine_shape shape,
                               std::uint32_t seed) {
        auto const length = static_cast<offset>(block);
        offset const count = tokens / length + 1;
        for (offset b = 0; b < count; ++b)
            blocks_.push_back(static_cast<std::int32_t>(b));
        std::shuffle(blocks_.begin(), blocks_.end(), std::mt19937{seed});
        offset end = 0;
        for (marconi::kv_layer const& layer : model.kv_layers) {
            auto const key = static_cast<offset>(layer.key_bytes);
            auto const value = static_cast<offset>(layer.value_bytes);
            auto const heads = static_cast<offset>(heads_of(layer));
            offset const block_bytes = length * (key + value) + static_cast<offset>(shape.gap);
            bool const apart = shape.order == engine_order::paged_heads;
            place(layer, end, apart ? key / heads : key, end + length * key,
                  apart ? value / heads : value);
            part_heads(layer, apart ? length * key / heads : key / heads,
                       apart ? length * value / heads : value / heads);
            keys.back().block_stride = values.back().block_stride = block_bytes;
            end += count * block_bytes;
        }
        return static_cast<std::size_t>(end);
    }
    void place(marconi::kv_layer const& layer, offset key, offset key_stride, offset value,
               offset value_stride) {
        keys.push_back({key, key_stride, layer.key_bytes});
        values.push_back({value, value_stride, layer.value_bytes});
    }
    void part_heads(marconi::kv_layer const& layer, offset key_head, offset value_head) {
        keys.back().heads = values.back().heads = heads_of(layer);
        keys.back().head_stride = key_head;
        values.back().head_stride = value_head;
    }

    std::vector<std::int32_t> blocks_{};
    typename Access::engine_memory memory_;
    std::vector<marconi::memory::kv_layer_view> layers_{};
};

/// How an engine keeps the rows of its windows: a piece that is nothing else.
enum class window_order {
    one_run,     ///< the last rows, oldest first
    by_position, ///< the row of token t is the t-th
    paged,       ///< blocks, anywhere
    padded,      ///< the same, with something else after each row
    backwards,   ///< the same, from the last row of a block to its first
    own_tables,  ///< blocks, of another size and elsewhere for each piece
    ring,        ///< as many rows as the largest window has
    one_of_rings ///< the same, behind others
};
constexpr window_order window_orders[] = {window_order::one_run,   window_order::by_position,
                                          window_order::paged,     window_order::padded,
                                          window_order::backwards, window_order::own_tables,
                                          window_order::ring,      window_order::one_of_rings};

/// The per-position state of one request in an engine's memory, each piece in a place of its own.
template <class Access>
struct engine_state {
    engine_state(marconi::footprint const& model, marconi::token_count position, std::uint32_t seed,
                 window_order order = window_order::one_run)
        : pieces_of_{model.state_pieces}, position_{position.value()}, order_{order} {
        for (marconi::state_piece const& piece : model.state_pieces)
            ring_ = std::max(ring_, static_cast<std::uint32_t>(piece.window));
        for (std::size_t p = 0; p < pieces_of_.size(); ++p) {
            std::uint64_t const count = order == window_order::one_run ? 1 : blocks();
            auto& table = tables_.emplace_back(count, order == window_order::one_of_rings);
            if (!is_ring()) {
                bool const own = order == window_order::own_tables;
                std::iota(table.begin(), table.end(), 0);
                std::shuffle(table.begin(), table.end(), std::mt19937{own ? seed : 7});
            }
            std::uint64_t const bytes =
                lies_apart(p) ? block(p) * pitch(p) * pool() : pieces_of_[p].bytes_at(position_);
            memory_.emplace_back(random_bytes(bytes + guard, seed++));
            pieces_.push_back(memory_[p].data() + first(p));
            windows_.push_back(lies_apart(p) ? window(p) : marconi::memory::window_view{});
        }
    }
    [[nodiscard]] marconi::memory::state_view view() const {
        if (order_ == window_order::one_run) return {pieces_};
        if (order_ == window_order::by_position) return {pieces_, windows_};
        if (order_ == window_order::own_tables)
            return {pieces_, windows_, {}, 0, static_cast<std::uint32_t>(pool())};
        return {pieces_, windows_, tables_.front(), block(0), static_cast<std::uint32_t>(pool())};
    }
    [[nodiscard]] std::vector<byte_vector> contents() const {
        std::vector<byte_vector> all;
        for (auto const& m : memory_)
            all.push_back(m.contents());
        return all;
    }
    /// Where in the contents a byte of a piece is.
    [[nodiscard]] std::size_t place(std::size_t piece, std::uint64_t byte) const {
        if (!lies_apart(piece)) return byte;
        std::uint64_t const row = pieces_of_[piece].bytes_per_window_token;
        std::uint64_t token =
            position_ - std::min(position_, pieces_of_[piece].window) + byte / row;
        marconi::memory::window_view const by = window(piece);
        std::ptrdiff_t const row_next =
            by.row_stride != 0 ? by.row_stride : static_cast<std::ptrdiff_t>(row);
        std::ptrdiff_t const next = by.block_stride != 0
                                        ? by.block_stride
                                        : static_cast<std::ptrdiff_t>(pitch(piece) * block(piece));
        std::ptrdiff_t at = first(piece) + static_cast<std::ptrdiff_t>(byte % row);
        if (order_ != window_order::by_position) {
            at += tables_[piece][token / block(piece)] * next;
            token %= block(piece);
        }
        return static_cast<std::size_t>(at + static_cast<std::ptrdiff_t>(token) * row_next);
    }
    /// Where a piece's contents begin.
    [[nodiscard]] std::byte* memory_of(std::size_t piece) const {
        return pieces_[piece] - first(piece);
    }

    /// Bytes behind each piece that no copy may touch.
    static constexpr std::size_t guard = 20;

private:
    [[nodiscard]] bool lies_apart(std::size_t piece) const {
        marconi::state_piece const& of = pieces_of_[piece];
        return order_ != window_order::one_run && of.fixed_bytes == 0 && of.window != 0 &&
               of.bytes_per_window_token != 0;
    }
    /// From one row to the next.
    [[nodiscard]] std::uint64_t pitch(std::size_t piece) const {
        bool const padded = order_ == window_order::padded || order_ == window_order::backwards;
        return pieces_of_[piece].bytes_per_window_token + (padded ? 7 : 0);
    }
    [[nodiscard]] bool is_ring() const {
        return order_ == window_order::ring || order_ == window_order::one_of_rings;
    }
    /// Tokens a block.
    [[nodiscard]] std::uint32_t block(std::size_t piece) const {
        if (is_ring()) return ring_;
        return order_ == window_order::own_tables ? 2 + static_cast<std::uint32_t>(piece % 3) : 3;
    }
    [[nodiscard]] std::uint64_t blocks() const { return position_ / (is_ring() ? ring_ : 2) + 1; }
    [[nodiscard]] std::uint64_t pool() const { return blocks() + 1; }
    [[nodiscard]] marconi::memory::window_view window(std::size_t piece) const {
        auto const row = static_cast<std::ptrdiff_t>(pitch(piece));
        if (order_ == window_order::by_position || is_ring()) return {.row_stride = row};
        if (order_ == window_order::own_tables)
            return {.blocks = tables_[piece], .block_tokens = block(piece)};
        auto const next = static_cast<std::ptrdiff_t>(pitch(piece) * block(piece));
        return {.row_stride = order_ == window_order::backwards ? -row : row, .block_stride = next};
    }
    [[nodiscard]] std::ptrdiff_t first(std::size_t piece) const {
        return order_ == window_order::backwards && lies_apart(piece)
                   ? static_cast<std::ptrdiff_t>((block(piece) - 1) * pitch(piece))
                   : 0;
    }

    std::vector<marconi::state_piece> pieces_of_;
    std::uint64_t position_;
    window_order order_;
    std::uint32_t ring_ = 1;                          ///< tokens of a ring
    std::vector<std::vector<std::int32_t>> tables_{}; ///< by piece
    std::vector<typename Access::engine_memory> memory_{};
    std::vector<std::byte*> pieces_{};
    std::vector<marconi::memory::window_view> windows_{};
};

} // namespace contracts
