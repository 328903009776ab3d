#pragma once

#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <cstdint>
#include <string>

namespace marconi::tune {

struct learning_options {
    /// What is learned from is a shadow of the cache that counts and stores nothing, with so many
    /// times its capacity: what was evicted here and is asked for again shows there. 1 to 1000.
    std::uint64_t shadow_multiple = 16;
    /// Bound on the shadow's memory on the host, which is about 6 bytes a token that it remembers.
    /// Where that is less than the capacity takes, it remembers less.
    byte_count shadow_memory = 256_MiB;
    /// A reuse that is t away counts exp(-t / horizon), the horizon being this share of the time in
    /// which the cache takes in as much as it holds. Finite and more than 0.
    double horizon = 0.5;
    /// Requests after which what was seen counts half. At least 1.
    std::uint64_t half_life = 4096;
};

/// What there was to learn from, and what has become of it.
struct learning_report {
    std::uint64_t requests = 0;  ///< told of
    double horizon = 0;          ///< in ticks of the cache: two a request that commits once
    cache::counters shadow;      ///< what a cache as large as the shadow would have saved
    cache::occupancy shadow_now; ///< and what it would hold
    byte_count memory;           ///< of the shadow
    std::string failure;         ///< why learning has ended; empty while it goes on
};

} // namespace marconi::tune
