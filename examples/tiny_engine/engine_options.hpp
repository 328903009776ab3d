#pragma once

#include <cstddef>

namespace tiny {

/// Where a request's KV is while it runs: in a slot of the engine's own, filled from the cache and
/// copied back to it; or in the cache's pages from the start.
enum class kv_memory { copy, in_place };

struct engine_options {
    kv_memory memory = kv_memory::in_place;
    std::size_t chunk = 32;        ///< most tokens of a prompt in one step
    std::size_t batch = 4;         ///< most requests that run at once
    std::size_t longest = 512;     ///< tokens of a request, its answer included
    std::size_t block_tokens = 16; ///< of a slot's blocks; in place, the cache decides
    bool record = false;           ///< keep all logits, for the proof
};

} // namespace tiny
