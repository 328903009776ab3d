#pragma once

// What a trace is made of, whatever form it was read from.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace marconi::replay {

/// One request: what was asked and what was answered.
struct request {
    std::uint32_t session = 0;
    std::uint32_t turn = 0;
    /// When it arrives, counted from the start of the trace.
    double seconds = 0;
    /// The input, then the output: a cache commits both.
    std::vector<std::int32_t> tokens = {};
    /// How many of `tokens` are input; at least 1.
    std::uint32_t prompt_tokens = 0;

    [[nodiscard]] std::span<std::int32_t const> input() const {
        return std::span{tokens}.first(prompt_tokens);
    }
    [[nodiscard]] std::span<std::int32_t const> output() const {
        return std::span{tokens}.subspan(prompt_tokens);
    }
};

/// The most tokens that a trace may have: 8 GiB of memory. A line of a few bytes can ask for the
/// millions of tokens of the one before it.
inline constexpr std::uint64_t most_trace_tokens = std::uint64_t{1} << 31;

/// Requests in the order in which they arrive. Each holds its own copy of its session's history
/// (4 bytes a token; the largest of the public agent traces takes 200 MB), so that replays may
/// run on several threads without sharing anything that changes.
struct trace {
    std::string name;
    std::vector<request> requests;
    // What a synthetic one was made from.
    std::optional<std::uint64_t> seed = {};
    std::optional<std::uint32_t> sessions = {};
};

} // namespace marconi::replay
