#pragma once

// Statistics of a trace: what there is to reuse, before any cache has seen it.

#include "progress.hpp"
#include "request.hpp"

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>

namespace marconi::replay {

/// Mean and quantiles of whole numbers.
struct spread {
    double mean = 0;
    std::uint64_t median = 0;
    std::uint64_t p95 = 0;
    std::uint64_t max = 0;
};

struct trace_statistics {
    /// Shared prefixes are looked for in steps of this many tokens.
    static constexpr std::uint32_t prefix_step = 16;

    std::string name;
    std::uint64_t requests = 0;
    std::uint64_t sessions = 0;
    double seconds = 0; // from the first request to the last
    std::uint64_t input_tokens = 0;
    spread turns; // of a session
    spread input;
    spread output;
    double requests_per_second = 0; // 0 where all come at once
    /// Share of all input tokens that lie in the longest prefix, in whole steps, that an earlier
    /// request's input and output began with: the most that an infinite cache could reuse.
    double repeated_share = 0;
    /// How many input tokens a turn has more than the turn before it, on average.
    double growth_per_turn = 0;
    /// Share of the later turns whose input starts with all of the turn before, output included.
    double continued_share = 0;
};

/// O(tokens) time; memory for the trace's distinct prefixes.
[[nodiscard]] trace_statistics describe(trace const& of, progress& shown = progress::unseen());

/// One column a trace.
void print_statistics(std::span<trace_statistics const> statistics, std::ostream& to);

} // namespace marconi::replay
