#pragma once

// A request from its arrival to its end, and what it holds while it runs.

#include "model.hpp"
#include "paged_kv.hpp"
#include "recurrent_state.hpp"

#include <marconi/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tiny {

struct request {
    marconi::scope in; ///< its adapter changes the model
    std::vector<token> prompt;
    std::size_t answer_tokens = 1;
    /// Taken in place of what greedy decoding would take, if a trace says what was answered.
    std::vector<token> answer = {};
};

enum class ending { none, answered, aborted, no_room };

/// What is known of a request; it survives a preemption.
struct sequence {
    std::uint64_t id = 0;
    request asked;
    std::vector<token> tokens; ///< the prompt, then the answer so far
    ending end = ending::none;
    std::size_t resumed = 0;  ///< tokens that the cache saved when it was last admitted
    bool starts_over = false; ///< it did not fit beside what it had resumed from, or committed
    /// If the engine records: the position of each token that went through the model, again each
    /// time that it did, and its row of logits.
    std::vector<std::size_t> positions = {};
    std::vector<float> logits = {};

    [[nodiscard]] std::size_t answered() const { return tokens.size() - asked.prompt.size(); }
};

/// The recurrent state that was copied at a position for the cache.
struct capture {
    std::size_t position;
    recurrent_state state;
};

/// A request that runs.
template <class Lease>
struct running {
    sequence of;
    std::size_t computed = 0; ///< tokens whose KV exists; the state is that after the last of them
    bool prefilled = false;
    recurrent_state state;
    paged_kv kv;
    std::size_t settled_blocks = 0;     ///< of its table that stay as they are, in place
    std::byte* slot = nullptr;          ///< where it keeps KV of its own, if it does
    std::vector<capture> captured = {}; ///< since the last commit
    /// Declared last, so destroyed first: what it pins is not read after that.
    Lease lease = {};
};

} // namespace tiny
