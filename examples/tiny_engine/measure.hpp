#pragma once

// What a prefix cache is for: the time to a request's first token, by the clock. A trace goes
// through the engine once for each policy. The policies take turns at each request, so that what
// disturbs the machine disturbs all alike; requests run one at a time, so that no queue hides the
// prefill.

#include "engine_options.hpp"
#include "shape.hpp"

#include <replay/policy_name.hpp>
#include <replay/progress.hpp>
#include <replay/request.hpp>
#include <replay/sizes.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tiny {

struct measure_options {
    model_shape shape;
    kv_memory memory = kv_memory::in_place;
    std::vector<marconi::replay::policy_name> policies; ///< of served_policies(), each once
    marconi::replay::capacity capacity;
    std::uint32_t block_tokens = 16;
    std::size_t chunk = 128;
    std::uint32_t passes = 1; ///< of the whole trace; a request's time is the median
};

struct percentiles {
    double mean = 0, p50 = 0, p95 = 0, p99 = 0;
};

/// The results of one policy. All times are milliseconds to the first token.
struct measured_policy {
    std::string trace;
    std::string policy;
    std::optional<std::uint64_t> capacity_bytes = {}; ///< nothing: no cache
    std::uint64_t requests = 0;
    std::uint64_t input_tokens = 0, resumed_tokens = 0;
    double flops_asked = 0, flops_saved = 0;
    /// By one clock, and what marconi_replay would say, p50 and p95 only: its times are a line
    /// through the prefills measured without a cache, over tokens or over FLOPs.
    struct times {
        percentiles measured, by_tokens, by_flops;
    };
    times wall = {};
    times cpu = {};                          ///< of the process: steadier if others compute too
    std::uint64_t replay_resumed_tokens = 0; ///< in marconi_replay, whose cache holds no bytes
    std::vector<double> ttft_ms = {};        ///< by the wall, request by request
};

/// Every `shrink`-th token of each request, modulo the vocabulary: requests that share a prefix go
/// on sharing it, and a small model on a CPU is done before long.
[[nodiscard]] marconi::replay::trace shrunk(marconi::replay::trace const& whole,
                                            std::uint32_t shrink, std::size_t vocabulary);

/// Those of marconi_replay's policies that the engine has a cache for: neither those that no engine
/// can run, since they know the future or have no limit, nor the artifact's, whose figures are
/// those of another model.
[[nodiscard]] std::vector<marconi::replay::known_policy> served_policies();

/// One of them by its name. Throws marconi::invalid_argument for others.
[[nodiscard]] marconi::replay::policy_name parse_served_policy(std::string_view text);

/// Throws marconi::invalid_argument for policies that are not served, and marconi::error if there
/// is no memory for the caches.
[[nodiscard]] std::vector<measured_policy> measure(marconi::replay::trace const& requests,
                                                   measure_options const& options,
                                                   marconi::replay::progress& shown);

} // namespace tiny
