#pragma once

// An engine for long sequences: the KV of a token and the state at a position are a hash of all
// tokens up to there, so that whatever a cache gives back can be told right from wrong.

#include <marconi/cache/outcome.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/hash.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace soak {

/// 16 bytes of KV a token, 320 bytes a state: two pages of 256 beside blocks of one.
inline marconi::footprint model() {
    return {.model = "soak",
            .kv_layers = {{8, 8}},
            .state_pieces = {{.fixed_bytes = 320}},
            .flops = {.per_token = 100, .per_pair = 1}};
}

class engine {
public:
    explicit engine(std::span<std::int32_t const> tokens)
        : right_(tokens.size() + 1), kv_(2 * tokens.size() + 2), state_(words_of_state) {
        for (std::size_t t = 0; t < tokens.size(); ++t)
            right_[t + 1] =
                marconi::mix(right_[t] * 31 + static_cast<std::uint32_t>(tokens[t]) + 1);
    }
    engine(engine const&) = delete;
    engine& operator=(engine const&) = delete;

    void compute(std::size_t from, std::size_t to) {
        for (std::size_t t = from; t < to; ++t) {
            kv_[2 * t] = right_[t + 1];
            kv_[2 * t + 1] = ~right_[t + 1];
        }
    }
    /// Whether the KV of tokens [0, to) and the state at `to` are what they should be.
    [[nodiscard]] bool resumed_right(std::size_t to) const {
        for (std::size_t t = 0; t < to; ++t)
            if (kv_[2 * t] != right_[t + 1] || kv_[2 * t + 1] != ~right_[t + 1]) return false;
        return state_ == state_at(to);
    }
    [[nodiscard]] std::vector<std::uint64_t> state_at(std::size_t position) const {
        std::vector<std::uint64_t> words(words_of_state);
        for (std::size_t i = 0; i < words.size(); ++i)
            words[i] = right_[position] + i;
        return words;
    }

    [[nodiscard]] marconi::memory::kv_layer_view layer() {
        auto* const bytes = reinterpret_cast<std::byte*>(kv_.data());
        return {.key = bytes, .key_stride = 16, .value = bytes + 8, .value_stride = 16};
    }
    [[nodiscard]] std::byte* state() { return reinterpret_cast<std::byte*>(state_.data()); }

private:
    static constexpr std::size_t words_of_state = 40;

    std::vector<std::uint64_t> right_, kv_, state_;
};

/// The states at given positions, as a commit takes them.
class captured_states {
public:
    captured_states(engine const& of, std::vector<marconi::cache::captured_state> at,
                    std::size_t last)
        : states_{std::move(at)} {
        std::erase_if(states_, [&](auto const& c) { return c.position.value() > last; });
        for (auto const& c : states_)
            words_.push_back(of.state_at(c.position.value()));
        for (auto& words : words_)
            pieces_.push_back({reinterpret_cast<std::byte*>(words.data())});
        for (std::size_t i = 0; i < states_.size(); ++i)
            states_[i].state = {.pieces = pieces_[i]};
    }
    captured_states(captured_states const&) = delete;
    captured_states& operator=(captured_states const&) = delete;

    [[nodiscard]] std::span<marconi::cache::captured_state const> get() const { return states_; }

private:
    std::vector<marconi::cache::captured_state> states_;
    std::vector<std::vector<std::uint64_t>> words_;
    std::vector<std::array<std::byte*, 1>> pieces_;
};

} // namespace soak
