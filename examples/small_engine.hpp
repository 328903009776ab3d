#pragma once

// What an engine brings to the examples that are about something else: a model so small that it is
// made up, memory for one request, and conversations.

#include <marconi/marconi.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace small_engine {

using namespace marconi;

using token_list = std::vector<std::int32_t>;

/// 32 bytes of key and of value a token, 512 of recurrent state.
inline footprint const hybrid{.model = "a hybrid layer pair",
                              .kv_layers = {{32, 32}},
                              .state_pieces = {{.fixed_bytes = 512}},
                              .flops = {.per_token = 1e6, .per_pair = 1e3}};

/// Copies of a recurrent state at some positions, as a commit takes them.
class state_copies {
public:
    explicit state_copies(std::size_t most) { pieces_.reserve(most); }

    void add(token_count position, std::vector<std::byte> const& state) {
        copies_.push_back(state);
        pieces_.push_back(copies_.back().data());
        captured_.push_back({.position = position, .state = {{&pieces_.back(), 1}}});
    }
    [[nodiscard]] std::span<captured_state const> captured() const { return captured_; }

private:
    std::vector<std::vector<std::byte>> copies_;
    std::vector<std::byte*> pieces_;
    std::vector<captured_state> captured_;
};

/// A request's KV and recurrent state in the engine's own memory, and the "model", in which both
/// depend on all tokens so far.
class working_memory {
public:
    explicit working_memory(std::size_t tokens)
        : kv_(tokens * 64),
          state_(512),
          layer_{.key = kv_.data(), .key_stride = 64, .value = kv_.data() + 32, .value_stride = 64},
          pieces_{state_.data()} {}
    working_memory(working_memory const&) = delete; // the views point into it
    working_memory& operator=(working_memory const&) = delete;

    [[nodiscard]] kv_view kv() const { return {{&layer_, 1}}; }
    [[nodiscard]] state_view state() const { return {pieces_}; }
    /// The bytes behind these: a key and a value a token.
    [[nodiscard]] std::span<std::byte> rows_from(token_count begin) {
        return std::span{kv_}.subspan(begin.value() * 64);
    }
    [[nodiscard]] std::span<std::byte> state_bytes() { return state_; }

    /// Processes tokens [begin, tokens.size()), and copies the state at the positions wanted.
    state_copies prefill(token_list const& tokens, std::size_t begin,
                         std::span<token_count const> wanted) {
        state_copies copies{wanted.size()};
        for (std::size_t t = begin; t < tokens.size(); ++t) {
            for (std::size_t i = 0; i < state_.size(); ++i)
                state_[i] = static_cast<std::byte>(std::to_integer<int>(state_[i]) * 5 + tokens[t] +
                                                   static_cast<int>(i));
            std::copy_n(state_.begin(), 64, kv_.begin() + static_cast<std::ptrdiff_t>(t * 64));
            if (token_count const position{t + 1}; std::ranges::count(wanted, position) != 0)
                copies.add(position, state_);
        }
        return copies;
    }
    /// Whether it holds what these tokens leave here if all are processed.
    [[nodiscard]] bool is_right_for(token_list const& tokens) const {
        working_memory from_scratch{kv_.size() / 64};
        from_scratch.prefill(tokens, 0, {});
        return kv_ == from_scratch.kv_ && state_ == from_scratch.state_;
    }

private:
    std::vector<std::byte> kv_, state_;
    kv_layer_view layer_;
    std::vector<std::byte*> pieces_;
};

/// Turns of conversations, some of which go on more often than others: each prompt is the previous
/// turn's and 60 to 90 tokens more.
inline std::vector<token_list> turns_of(std::size_t conversations, int turns) {
    std::vector<token_list> prompts;
    std::vector<token_list> said(conversations, token_list(100, 7));
    std::mt19937 random{1};
    std::int32_t token = 1000;
    while (turns-- > 0) {
        std::size_t const one = random() % conversations, other = random() % conversations;
        token_list& so_far = said[std::min({one, other, random() % conversations})];
        for (auto more = 60 + random() % 31; more > 0; --more)
            so_far.push_back(++token);
        prompts.push_back(so_far);
    }
    return prompts;
}

} // namespace small_engine
