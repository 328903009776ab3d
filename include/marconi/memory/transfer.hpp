#pragma once

// What to copy between pages and an engine's memory.

#include <marconi/core/types.hpp>
#include <marconi/memory/views.hpp>

#include <cstddef>
#include <span>

namespace marconi::memory {

/// KV of tokens [begin, end) between pages and an engine; pages[i] holds block
/// begin / block_tokens + i.
struct kv_transfer {
    token_count begin;
    token_count end;
    std::span<page_id const> pages = {};
    kv_view engine = {};
};

/// The checkpoint of one position between its pages and an engine.
struct checkpoint_transfer {
    token_count position;
    std::span<page_id const> pages;
    state_view engine;
};

/// Everything that one restore, or one commit, copies, which a store does in one launch. (A commit
/// that finds its KV reserved, and then stored by others, may come to two; one with kv_from may
/// copy a block first.) Pages and the engine's memory do not overlap, and a transfer writes no byte
/// twice.
struct transfer {
    kv_transfer kv = {};
    std::span<checkpoint_transfer const> checkpoints = {};
};

} // namespace marconi::memory
