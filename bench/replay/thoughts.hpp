#pragma once

// Reasoning models: an answer begins with thoughts, which chat templates leave out of later
// prompts.

#include "request.hpp"

#include <cstdint>

namespace marconi::replay {

/// Lets each output begin with `count` more tokens, of an id that is the request's own. Inputs stay
/// as they are: none repeats them. Throws trace_error if the trace would then have more tokens than
/// it may.
void add_thoughts(trace& to, std::uint32_t count, std::uint64_t most_tokens = most_trace_tokens);

} // namespace marconi::replay
