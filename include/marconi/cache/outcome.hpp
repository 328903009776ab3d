#pragma once

// What a commit takes, and what it answers.

#include <marconi/core/types.hpp>
#include <marconi/memory/views.hpp>

#include <cstdint>
#include <span>

namespace marconi::cache {

/// The recurrent state that the engine copied at one position; a store that only counts needs no
/// view.
struct captured_state {
    token_count position;
    memory::state_view state = {};
};

/// What the engine brings to a commit. `kv` is addressed by position. Rows from the start of the
/// block that the lease stands in are read, and after let_go_kv() any from 0 on, since what went
/// meanwhile is stored again. `kv` is empty if the KV of every token is in the cache already, or in
/// pages that the lease reserved, where the engine wrote it. `checkpoints` ascend by position.
///
/// An engine that has rows from some token on alone, such as one that loads what it saved, says so:
/// none before `kv_from`, which is at most the lease's position, are read. What a block lacks is
/// copied from the cache, which costs a second copy where the new tokens begin inside a block. (If
/// that was evicted after let_go_kv(), the commit throws contract_violation.)
struct computed {
    memory::kv_view kv = {};
    std::span<captured_state const> checkpoints = {};
    token_count kv_from = {};
};

/// What became of what the engine brought.
struct commit_outcome {
    token_count position;        ///< tokens of the sequence that are in the cache now
    token_count stored_tokens;   ///< of these, new
    token_count declined_tokens; ///< left out, for lack of room
    std::uint32_t stored_checkpoints = 0;
    std::uint32_t known_checkpoints = 0; ///< were stored already, and are still
    /// Left out for lack of room; stored already, and evicted to make room for the others; or
    /// forgotten.
    std::uint32_t declined_checkpoints = 0;
    std::uint64_t evicted_entries = 0; ///< to make room
    byte_count evicted_bytes;
    /// The lease goes on from what was forgotten: nobody finds what it stores, so that `position`
    /// is true for itself alone, and its states are left out.
    bool forgotten = false;

    /// Nothing was left out. (A model without KV has nothing to store past the last state: there
    /// `position` may be less than what was brought.)
    [[nodiscard]] bool complete() const {
        return declined_tokens == token_count{} && declined_checkpoints == 0;
    }
};

} // namespace marconi::cache
