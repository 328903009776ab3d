#pragma once

// Synthetic traces with the statistics of real ones, for when none is at hand.
//
//   chat     people and an assistant: short questions, the whole history kept, an answer of some
//            hundred tokens, the next question when it has been typed (after ShareGPT)
//   agent    two thirds software agents with long observations that share only their first
//            instructions (after SWE-bench runs), a quarter of them replacing observations older
//            than five turns by a note; one third customer service agents that all share one
//            policy of 4,200 tokens (after tau-bench)
//   fewshot  jobs that ask many independent questions, each under a template of instructions and
//            worked examples that several jobs share; a quarter of the templates pick the
//            examples anew for each question
//   mixed    all three, session by session
//
// Session k starts at k seconds, so about as many sessions overlap as in the real traces.

#include "progress.hpp"
#include "request.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace marconi::replay {

enum class workload { chat, agent, fewshot, mixed };

struct synthetic_options {
    workload kind = workload::mixed;
    std::uint64_t seed = 1;
    std::uint32_t sessions = 100;                                    // 1 to most_sessions
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max(); // requests, the first ones
};

/// Of agents, a tenth of it are as many tokens as a trace may have.
inline constexpr std::uint32_t most_sessions = 100'000;

/// "synthetic-<kind>".
[[nodiscard]] std::string synthetic_name(workload kind);

/// Makes a trace of that name: the same on every platform for the same options.
/// Session k is the same whatever the number of sessions. A limit takes the first requests of all;
/// sessions that begin after the last of them are not made. Throws invalid_argument if the number
/// of sessions is out of range, or if they come to more than `most_tokens` tokens.
[[nodiscard]] trace make_synthetic(synthetic_options const& options,
                                   std::uint64_t most_tokens = most_trace_tokens,
                                   progress& shown = progress::unseen());

/// "chat" -> workload::chat. Throws invalid_argument.
[[nodiscard]] workload parse_workload(std::string_view name);
[[nodiscard]] std::string_view workload_name(workload kind);

} // namespace marconi::replay
