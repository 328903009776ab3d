#pragma once

#include <contracts/store_access.hpp>

#include <marconi/core/footprint.hpp>
#include <marconi/memory/views.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace contracts {

inline bytes random_bytes(std::size_t n, std::uint32_t seed) {
    std::mt19937 random{seed};
    bytes all(n);
    for (std::byte& b : all)
        b = static_cast<std::byte>(random());
    return all;
}

/// How an engine lays out its own KV.
enum class engine_order {
    separate,    ///< all keys of a layer, then all its values
    interleaved, ///< a layer's key and value of one token beside each other
    token_major, ///< all layers of one token beside each other
    reversed     ///< as separate, from the last token to the first
};

struct engine_shape {
    engine_order order;
    std::size_t gap; ///< bytes of something else after every row
};

constexpr engine_shape engine_shapes[] = {
    {engine_order::separate, 0},    {engine_order::separate, 5},    {engine_order::interleaved, 0},
    {engine_order::interleaved, 3}, {engine_order::token_major, 1}, {engine_order::reversed, 0}};

/// The KV of one request in an engine's memory, of random bytes.
template <class Access>
struct engine_kv {
    using offset = std::ptrdiff_t;
    struct part {
        offset base;
        offset stride;
        std::size_t row_bytes;
        [[nodiscard]] offset at(std::uint64_t token) const {
            return base + static_cast<offset>(token) * stride;
        }
    };

    engine_kv(marconi::footprint const& model, std::uint64_t tokens, engine_shape shape,
              std::uint32_t seed)
        : memory_{random_bytes(lay_out(model, static_cast<offset>(tokens), shape), seed)} {
        for (std::size_t l = 0; l < keys.size(); ++l)
            layers_.push_back({.key = memory_.data() + keys[l].base,
                               .key_stride = keys[l].stride,
                               .value = memory_.data() + values[l].base,
                               .value_stride = values[l].stride});
    }

    [[nodiscard]] marconi::memory::kv_view view() const { return {layers_}; }
    [[nodiscard]] bytes contents() const { return memory_.contents(); }

    std::vector<part> keys{}, values{};

private:
    std::size_t lay_out(marconi::footprint const& model, offset tokens, engine_shape shape) {
        auto const gap = static_cast<offset>(shape.gap);
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
            }
        }
        if (shape.order == engine_order::token_major) end = (end + gap) * tokens;
        return static_cast<std::size_t>(end);
    }
    void place(marconi::kv_layer const& layer, offset key, offset key_stride, offset value,
               offset value_stride) {
        keys.push_back({key, key_stride, layer.key_bytes});
        values.push_back({value, value_stride, layer.value_bytes});
    }

    typename Access::engine_memory memory_;
    std::vector<marconi::memory::kv_layer_view> layers_{};
};

/// The per-position state of one request in an engine's memory, each piece in a place of its own.
template <class Access>
struct engine_state {
    engine_state(marconi::footprint const& model, marconi::token_count position,
                 std::uint32_t seed) {
        for (marconi::state_piece const& piece : model.state_pieces)
            memory_.emplace_back(random_bytes(piece.bytes_at(position.value()) + guard, seed++));
        for (auto& m : memory_)
            pieces_.push_back(m.data());
    }
    [[nodiscard]] marconi::memory::state_view view() const { return {pieces_}; }
    [[nodiscard]] std::vector<bytes> contents() const {
        std::vector<bytes> all;
        for (auto const& m : memory_)
            all.push_back(m.contents());
        return all;
    }

    /// Bytes behind each piece that no copy may touch.
    static constexpr std::size_t guard = 20;

private:
    std::vector<typename Access::engine_memory> memory_{};
    std::vector<std::byte*> pieces_{};
};

} // namespace contracts
