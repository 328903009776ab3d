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
    /// Bound on the shadow's memory on the host; where it is less than the capacity takes, the
    /// shadow remembers less. Half of it is for tokens, some 5 to 15 bytes each; three eighths are
    /// for the places where one can resume, 500 bytes each and 20 for each page of a checkpoint; a
    /// request that would take over an eighth goes unseen.
    byte_count shadow_memory = 256_MiB;
    /// A reuse that is t ticks away counts exp(-t / horizon), the horizon being this share of the
    /// time in which the cache takes in as much as it holds. Finite and more than 0.
    double horizon = 0.5;
    /// Requests after which what was seen counts half. At least 1.
    std::uint64_t half_life = 4096;
    /// What was learned rules at first, and greedy-dual (policy::gdsf) once and while it would have
    /// saved more, each request's FLOPs times its weight, counting half after so many requests. It
    /// takes 2 % more to change hands. Two more indexes on the host, beside shadow_memory. 0: what
    /// was learned always rules, and there are no such indexes.
    std::uint64_t duel_half_life = 64;
};

/// What there was to learn from, and what has become of it.
struct learning_report {
    std::uint64_t requests = 0; ///< seen: of which a commit completed the prompt
    double reuses = 0;          ///< seen in the shadow, older ones counted for less
    double horizon_ticks = 0;   ///< a tick for each acquire, and for each commit
    /// What a cache of the shadow's size that evicts the least recently used would have saved (and
    /// a cache that learns, more), and what it would hold.
    cache::counters shadow;
    cache::occupancy shadow_now;
    /// What this cache would have saved if what was learned, or greedy-dual, had always ruled and
    /// requests had come one at a time (what leases pin while they live is not modelled), and how
    /// often the rule changed hands. FLOPs are counted plain. Nothing without a duel.
    cache::counters by_odds, by_gdsf;
    std::uint64_t changes = 0;
    /// Whether the checkpoints of a `spaced` admission are made: for 64 requests, then while a
    /// cache of this capacity saves 0.5 % more with them than without, and again once it would save
    /// 2 %. (Requests come one at a time there: of two that are computed beside each other the
    /// second seems to resume from the first.)
    bool spacing_pays = true;
    byte_count memory;   ///< for all of this, on the host, but for what policies keep
    std::string failure; ///< why learning has ended; empty while it goes on
};

} // namespace marconi::tune
