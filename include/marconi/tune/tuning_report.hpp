#pragma once

#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/tune/alpha_search.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace marconi::tune {

struct tuning_options {
    /// Length of the window, in multiples of the requests seen before it: 1 to 15.
    std::uint64_t multiplier = 5;
    double largest_alpha = 2;
    double alpha_step = 0.1; ///< from 0; at most 1000 steps
    /// Bound on the log's memory; the window ends when it is full.
    byte_count log_bytes = 256_MiB;
    /// Replay within the commit that closes the window, which then takes as long as the replays,
    /// instead of on a thread: decisions are a pure function of the sequence of calls.
    bool deterministic = false;
};

enum class tuning_state {
    waiting,   ///< nothing was evicted for want of room so far
    recording, ///< the window is open
    replaying, ///< it is closed; replays compare the alphas
    done,      ///< the best one is in use
};

/// How far tuning has come and, in the end, what it found.
struct tuning_report {
    tuning_state state = tuning_state::waiting;
    double alpha = 0;                  ///< chosen; 0 until then
    std::uint64_t requests_before = 0; ///< seen before the window
    std::uint64_t window = 0;          ///< requests it is to have; 0 until the first eviction
    std::uint64_t requests_logged = 0; ///< in the window so far
    byte_count log_bytes;              ///< memory of the log
    alpha_comparison replays;          ///< what was compared; empty until done
    std::chrono::nanoseconds replay_time{};
    std::string failure; ///< why there was nothing to choose from; empty if all went well
};

} // namespace marconi::tune
