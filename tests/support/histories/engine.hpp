#pragma once

// What an engine would have computed, in small: a token's KV and a position's state are hashes of
// all tokens up to there.

#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/views.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace histories {

/// The KV of token t of a sequence is words()[t] and its complement; the state at position p
/// counts up from states()[p]. There is room for one token more, so that an empty sequence has an
/// address.
class engine {
public:
    explicit engine(marconi::footprint const& model, std::string const& tokens)
        : model_{&model}, words_(tokens.size()), kv_(2 * tokens.size() + 2, wrong) {
        std::uint64_t hash = 0x9E3779B97F4A7C15u;
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            hash = (hash ^ static_cast<unsigned char>(tokens[t])) * 0xD6E8FEB86659FD93u;
            words_[t] = hash ^= hash >> 29;
        }
    }

    [[nodiscard]] std::uint64_t word(std::size_t token) const { return words_[token]; }

    /// Memory of its own, all wrong until computed or restored.
    void compute(std::size_t from, std::size_t to) {
        for (std::size_t t = from; t < to; ++t) {
            kv_[2 * t] = words_[t];
            kv_[2 * t + 1] = ~words_[t];
        }
    }
    [[nodiscard]] bool holds(std::size_t from, std::size_t to) const {
        for (std::size_t t = from; t < to; ++t)
            if (kv_[2 * t] != words_[t] || kv_[2 * t + 1] != ~words_[t]) return false;
        return true;
    }
    [[nodiscard]] marconi::memory::kv_layer_view layer() {
        auto* const bytes = reinterpret_cast<std::byte*>(kv_.data());
        return {.key = bytes, .key_stride = 16, .value = bytes + 8, .value_stride = 16};
    }

    [[nodiscard]] std::vector<std::uint64_t> state(std::size_t position) const {
        std::size_t const bytes = model_->checkpoint_bytes(marconi::token_count{position}).value();
        std::vector<std::uint64_t> words(bytes / 8);
        for (std::size_t i = 0; i < words.size(); ++i)
            words[i] = words_[position - 1] + i;
        return words;
    }

    // ---- the same, in a page ----

    [[nodiscard]] bool is_in(std::span<std::byte const> page,
                             marconi::memory::page_layout const& cut, std::size_t token) const {
        std::uint64_t const row = token % cut.block_tokens();
        std::uint64_t key, value;
        std::memcpy(&key, page.data() + cut.key_offset(0, row), 8);
        std::memcpy(&value, page.data() + cut.value_offset(0, row), 8);
        return key == words_[token] && value == ~words_[token];
    }
    void put_in(std::span<std::byte> page, marconi::memory::page_layout const& cut,
                std::size_t token) const {
        std::uint64_t const row = token % cut.block_tokens();
        std::uint64_t const key = words_[token], value = ~key;
        std::memcpy(page.data() + cut.key_offset(0, row), &key, 8);
        std::memcpy(page.data() + cut.value_offset(0, row), &value, 8);
    }

private:
    static constexpr std::uint64_t wrong = 0xBADBADBADBADBADBu;

    marconi::footprint const* model_;
    std::vector<std::uint64_t> words_, kv_;
};

} // namespace histories
