#pragma once

// An engine in small: its "KV" and "recurrent state" are hashes of the tokens before them, so that
// whatever a cache gives back can be told right from wrong.

#include <marconi/core/footprint.hpp>
#include <marconi/core/hash.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace support {

using marconi::footprint;
using marconi::token_count;
using sequence = std::vector<std::int32_t>;

/// Footprints of a few tokens' bytes, with everything that can differ between models.
inline footprint hybrid_model() {
    return {.model = "hybrid",
            .kv_layers = {{8, 16}, {24, 0}},
            .state_pieces = {{.fixed_bytes = 40},
                             {.fixed_bytes = 0, .window = 5, .bytes_per_window_token = 8}},
            .flops = {.per_token = 100, .per_pair = 1}};
}
inline footprint attention_model() {
    return {.model = "attention",
            .kv_layers = {{8, 8}, {8, 8}},
            .flops = {.per_token = 100, .per_pair = 1}};
}
inline footprint recurrent_model() {
    return {.model = "recurrent",
            .state_pieces = {{.fixed_bytes = 300}, {.fixed_bytes = 24}},
            .flops = {.per_token = 100}};
}

/// The memory of one request in an engine, contiguous per layer.
class engine_request {
public:
    explicit engine_request(footprint const& model) : model_{&model} {
        for (auto const& layer : model.kv_layers) {
            keys_.emplace_back(layer.key_bytes * max_tokens);
            values_.emplace_back(layer.value_bytes * max_tokens);
        }
        for (std::size_t l = 0; l < keys_.size(); ++l)
            layers_.push_back(
                {keys_[l].data(), static_cast<std::ptrdiff_t>(model.kv_layers[l].key_bytes),
                 values_[l].data(), static_cast<std::ptrdiff_t>(model.kv_layers[l].value_bytes)});
        state_ = make_state();
        for (auto& piece : state_)
            pieces_.push_back(piece.data());
    }
    explicit engine_request(footprint&&) = delete; // it is referred to
    engine_request(engine_request&&) = default;
    engine_request& operator=(engine_request&&) = default;

    marconi::memory::kv_view kv() { return {layers_}; }
    marconi::memory::state_view state() { return {pieces_}; }

    /// "Computes" the KV of tokens [from, to) of a sequence.
    void compute(sequence const& tokens, std::size_t from, std::size_t to) {
        for (std::size_t t = from; t < to; ++t)
            each_row(tokens, t, [](std::byte* row, std::vector<std::byte> const& right) {
                std::copy(right.begin(), right.end(), row);
            });
    }
    /// Whether the KV of tokens [from, to) is that of the sequence.
    bool holds_kv(sequence const& tokens, std::size_t to, std::size_t from = 0) {
        bool right = true;
        for (std::size_t t = from; t < to; ++t)
            each_row(tokens, t, [&](std::byte* row, std::vector<std::byte> const& expected) {
                right = right && std::equal(expected.begin(), expected.end(), row);
            });
        return right;
    }
    /// And the state at `to`, too.
    bool holds(sequence const& tokens, std::size_t to) {
        return holds_kv(tokens, to) && holds_state(tokens, to);
    }
    bool holds_state(sequence const& tokens, std::size_t to) {
        bool right = true;
        auto const expected = state_at(tokens, to);
        for (std::size_t p = 0; p < expected.size(); ++p)
            right = right && std::equal(expected[p].begin(), expected[p].end(), state_[p].begin());
        return right;
    }
    /// What the recurrent state is after the first `position` tokens.
    std::vector<std::vector<std::byte>> state_at(sequence const& tokens,
                                                 std::size_t position) const {
        std::vector<std::vector<std::byte>> state;
        for (std::size_t p = 0; p < model_->state_pieces.size(); ++p) {
            auto const& piece = model_->state_pieces[p];
            auto bytes = noise(prefix_hash(tokens, position) + p, piece.fixed_bytes);
            for (std::size_t t = position - std::min<std::size_t>(position, piece.window);
                 t < position; ++t)
                for (std::byte b :
                     noise(prefix_hash(tokens, t + 1) + 77 * p, piece.bytes_per_window_token))
                    bytes.push_back(b);
            state.push_back(bytes);
        }
        return state;
    }

    static std::vector<std::byte> noise(std::uint64_t seed, std::size_t bytes) {
        std::vector<std::byte> out;
        for (std::size_t i = 0; i < bytes; ++i)
            out.push_back(static_cast<std::byte>(marconi::mix(seed * 1315423911u + i)));
        return out;
    }
    static std::uint64_t prefix_hash(sequence const& tokens, std::size_t length) {
        std::uint64_t hash = 1;
        for (std::size_t i = 0; i < length; ++i)
            hash = marconi::mix(hash + static_cast<std::uint32_t>(tokens[i]));
        return hash;
    }
    /// The right key (part 0) or value (part 1) of token t in a layer.
    std::vector<std::byte> row(sequence const& tokens, std::size_t t, std::size_t layer,
                               int part) const {
        auto const& bytes = model_->kv_layers[layer];
        return noise(prefix_hash(tokens, t + 1) + 1000 * layer + 500 * static_cast<unsigned>(part),
                     part == 0 ? bytes.key_bytes : bytes.value_bytes);
    }

    static constexpr std::size_t max_tokens = 400;

private:
    std::vector<std::vector<std::byte>> make_state() const {
        std::vector<std::vector<std::byte>> state;
        for (auto const& piece : model_->state_pieces)
            state.emplace_back(piece.bytes_at(1u << 20));
        return state;
    }
    template <class Visit>
    void each_row(sequence const& tokens, std::size_t t, Visit visit) {
        for (std::size_t l = 0; l < keys_.size(); ++l) {
            visit(keys_[l].data() + t * model_->kv_layers[l].key_bytes, row(tokens, t, l, 0));
            visit(values_[l].data() + t * model_->kv_layers[l].value_bytes, row(tokens, t, l, 1));
        }
    }

    footprint const* model_;
    std::vector<std::vector<std::byte>> keys_, values_, state_;
    std::vector<marconi::memory::kv_layer_view> layers_;
    std::vector<std::byte*> pieces_;
};

} // namespace support
