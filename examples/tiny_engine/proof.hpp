#pragma once

// Proves that a resumed request is the same request: random requests go through the engine with a
// cache that is always short of room, and every logit is compared, bit by bit, with the same
// request from scratch.

#include "engine_options.hpp"
#include "faulty_engine.hpp"
#include "model.hpp"
#include "sequence.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tiny {

/// Computes requests alone, in one piece, in memory of its own: no cache, no chunks, no batch.
class from_scratch {
public:
    from_scratch(model_shape const& shape, std::uint64_t seed) : model_{shape, seed} {}

    /// The logits of every token.
    [[nodiscard]] std::span<float const> logits(std::span<token const> tokens,
                                                std::uint64_t adapter);

private:
    model model_;
    std::vector<std::byte> memory_;
};

struct proof_options {
    std::uint64_t requests = 5000;
    std::uint64_t seed = 1;
    kv_memory memory = kv_memory::in_place;
    bug planted = bug::none;
    model_shape shape = {.layers = "MASMA"};
    std::function<void(std::uint64_t)> progress = [](std::uint64_t) {}; ///< requests done
};

/// What the proof found.
struct proof_result {
    std::uint64_t requests = 0, answered = 0, aborted = 0, no_room = 0;
    std::uint64_t preemptions = 0;
    std::uint64_t resumed = 0; ///< requests that resumed anything
    std::uint64_t asked_tokens = 0, resumed_tokens = 0;
    std::uint64_t evictions = 0;
    std::uint64_t compared = 0, differing = 0; ///< logits
    std::optional<std::uint64_t> first_wrong;  ///< how many requests it took to see a difference
    std::vector<std::string> faults;           ///< what the cache's audit found
};

/// Requests come in episodes, each with another block, chunk, batch and cache size, and another
/// policy. Throws marconi::error if the cache refuses what the engine does.
[[nodiscard]] proof_result prove(proof_options const& options);

} // namespace tiny
