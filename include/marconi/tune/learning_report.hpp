#pragma once

#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <cstdint>
#include <string>

namespace marconi::tune {

struct learning_options {
    /// The cache learns from a shadow of itself that only counts and stores nothing, with this many
    /// times its capacity: what was evicted here and is asked for again shows there. 1 to 1000.
    std::uint64_t shadow_multiple = 16;
    /// Bound on the shadow's memory on the host; if its capacity would take more, the shadow
    /// remembers less. Half of the bound is for tokens, some 5 to 15 bytes each; three eighths are
    /// for resumable positions, 500 bytes each and 20 for each page of a checkpoint. A request that
    /// would take over an eighth goes unseen.
    byte_count shadow_memory = 256_MiB;
    /// A reuse that is t ticks away counts exp(-t / horizon), the horizon being this share of the
    /// time in which the cache takes in as much as it holds. Finite and more than 0.
    double horizon = 0.5;
    /// Requests after which what was seen counts half. At least 1.
    std::uint64_t half_life = 4096;
    /// At first victims are chosen by what was learned, and by greedy-dual (policy::gdsf) once and
    /// while it would have saved more: each request's FLOPs times its weight, counting half after
    /// this many requests. The rule changes only for a lead of 2 %. Takes two more indexes on the
    /// host, beside shadow_memory, as does each kind of checkpoint whose worth is to be found out
    /// (spacing_pays, before_answer_pays). 0: what was learned always rules, without these two.
    std::uint64_t duel_half_life = 64;
};

/// What there was to learn from, and what has become of it.
struct learning_report {
    std::uint64_t requests = 0; ///< seen: those whose prompt a commit completed
    double reuses = 0;          ///< seen in the shadow, older ones counted for less
    double horizon_ticks = 0;   ///< a tick for each acquire, and for each commit
    /// What a cache of the shadow's size that evicts the least recently used would have saved, and
    /// what it would hold. One that learns would save more. Requests count as in `by_odds`, so
    /// compare it with that, and not with stats(): of requests that are computed concurrently, the
    /// second seems to resume from the first.
    cache::counters shadow;
    cache::occupancy shadow_now;
    /// What this cache would have saved if what was learned, or greedy-dual, had always ruled and
    /// requests had come one at a time (pins of live leases are not modelled), and how often the
    /// rule changed. FLOPs are counted without weights. Nothing without a duel.
    cache::counters by_odds, by_gdsf;
    std::uint64_t changes = 0;
    /// Whether the checkpoints of a `spaced` admission are made, and those where answers begin
    /// (branch_and_tail::before_answer): each kind for the first 64 requests, then while a cache of
    /// this capacity saves 0.5 % more with them than without, and again once it would save 2 %
    /// more. (That cache sees requests one at a time: of two that are computed concurrently, the
    /// second seems to resume from the first.) True where the admission policy has no such kind,
    /// and from the next commit on once learning has ended.
    bool spacing_pays = true;
    bool before_answer_pays = true;
    byte_count memory;   ///< on the host, for all of this except what policies keep
    std::string failure; ///< why learning has ended: then there are no counters any more
};

} // namespace marconi::tune
