#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace marconi::replay {

/// The result of one run: one trace through one cache. Reports use these field names.
struct result {
    std::string trace = {};
    std::string policy = {};
    std::optional<std::uint64_t> capacity_bytes = {}; // nothing: no limit
    std::uint64_t requests = 0;
    std::uint64_t input_tokens = 0;
    std::uint64_t resumed_tokens = 0;
    double token_hit_rate = 0;   // resumed_tokens / input_tokens
    double request_hit_rate = 0; // share of requests that resumed any token
    double flops_asked = 0;      // to prefill every input from nothing
    double flops_saved = 0;
    // The one in use at the end; nothing where the policy has none.
    std::optional<double> alpha = {};
    std::uint64_t evictions = 0;
    std::uint64_t peak_bytes = 0;
    std::uint64_t nodes = 0;       // at the end
    std::uint64_t checkpoints = 0; // at the end
    double ttft_p50_ms = 0;        // estimated, see ttft.hpp
    double ttft_p95_ms = 0;
    double request_us_p50 = 0; // measured: the cache's own time for a request
    double request_us_p99 = 0;
    double seconds = 0; // measured: the whole run

    // What was asked for, as the options name it.
    std::string model = {};
    std::string cost = {};
    std::uint32_t block_tokens = 0;
    std::uint32_t checkpoint_grid = 0;
    bool whole_prompt = false;
    std::string ttft = {};
    std::uint32_t thoughts = 0;
    std::uint32_t before_answer = 0;
    bool prompts_only = false;
    /// The share of what an infinite cache held that capacity_bytes is; nothing: a size, or no
    /// limit.
    std::optional<double> capacity_share = {};
    std::optional<std::uint64_t> limit = {}; // nothing: all of the trace
    // Of a synthetic trace.
    std::optional<std::uint64_t> seed = {};
    std::optional<std::uint32_t> sessions = {};
    /// The distribution that ttft_p50_ms and ttft_p95_ms are of: percentiles 0, 5, ... 100.
    std::vector<double> ttft_percentiles_ms = {};
};

} // namespace marconi::replay
