#pragma once

#include <marconi/core/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace marconi::cache {

/// Why something was evicted: for room that commit or reserve wanted, by evict(), or by clear(),
/// forget_unused() and forget() (which also lets go, uncounted, of what was forgotten and pinned,
/// with its pins).
enum class eviction_reason { commit, reserve, on_demand, clear };
inline constexpr std::size_t eviction_reasons = 4;

/// What has happened since the cache was made. The difference of two is what happened in between.
struct counters {
    std::uint64_t requests = 0;  ///< leases acquired, unless match_options::counted was false
    std::uint64_t hits = 0;      ///< of these, with something to resume from
    std::uint64_t abandoned = 0; ///< of the requests, ended with no token brought to any commit
    std::uint64_t stale = 0;     ///< acquisitions refused: match again

    token_count tokens_asked;                   ///< prompt tokens of the requests
    token_count tokens_matched;                 ///< whose KV was in the cache; of these:
    token_count tokens_resumed;                 ///< that need not be processed again
    token_count tokens_lost_past_limit;         ///< match_result::lost_past_limit() of the requests
    token_count tokens_lost_without_checkpoint; ///< its lost_without_checkpoint()
    flop_count flops_asked;                     ///< to process the prompts from nothing
    flop_count flops_saved;                     ///< of these, by resuming

    std::uint64_t commits = 0;
    std::uint64_t declined_commits = 0; ///< that could not store all they brought, for lack of room
    std::uint64_t short_reserves = 0;   ///< that covered fewer tokens than asked
    token_count tokens_stored;
    std::uint64_t checkpoints_stored = 0;

    std::array<std::uint64_t, eviction_reasons> nodes_evicted{};       ///< by reason
    std::array<std::uint64_t, eviction_reasons> checkpoints_evicted{}; ///< alone, by reason
    byte_count bytes_evicted;
    std::uint64_t merges = 0;
    /// Most candidates whose nearest live checkpoint above changed at once. A maximum, not a sum:
    /// in a difference, too, it is since the start.
    std::uint64_t largest_ripple = 0;

    /// Tokens resumed and FLOPs saved, as shares of those asked: 0 to 1, and 0 if none were.
    [[nodiscard]] double token_hit_rate() const {
        auto const asked = static_cast<double>(tokens_asked.value());
        return asked > 0 ? static_cast<double>(tokens_resumed.value()) / asked : 0;
    }
    [[nodiscard]] double flops_saved_share() const {
        return flops_asked > flop_count{} ? flops_saved / flops_asked : 0;
    }

    [[nodiscard]] std::uint64_t evictions() const {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < eviction_reasons; ++i)
            sum += evictions(eviction_reason{static_cast<int>(i)});
        return sum;
    }
    [[nodiscard]] std::uint64_t evictions(eviction_reason why) const {
        auto const i = static_cast<std::size_t>(why);
        return nodes_evicted[i] + checkpoints_evicted[i];
    }

    counters& operator-=(counters const& earlier) {
        requests -= earlier.requests;
        hits -= earlier.hits;
        abandoned -= earlier.abandoned;
        stale -= earlier.stale;
        tokens_asked -= earlier.tokens_asked;
        tokens_matched -= earlier.tokens_matched;
        tokens_resumed -= earlier.tokens_resumed;
        tokens_lost_past_limit -= earlier.tokens_lost_past_limit;
        tokens_lost_without_checkpoint -= earlier.tokens_lost_without_checkpoint;
        flops_asked -= earlier.flops_asked;
        flops_saved -= earlier.flops_saved;
        commits -= earlier.commits;
        declined_commits -= earlier.declined_commits;
        short_reserves -= earlier.short_reserves;
        tokens_stored -= earlier.tokens_stored;
        checkpoints_stored -= earlier.checkpoints_stored;
        for (std::size_t i = 0; i < eviction_reasons; ++i) {
            nodes_evicted[i] -= earlier.nodes_evicted[i];
            checkpoints_evicted[i] -= earlier.checkpoints_evicted[i];
        }
        bytes_evicted -= earlier.bytes_evicted;
        merges -= earlier.merges;
        return *this;
    }
    friend counters operator-(counters later, counters const& earlier) { return later -= earlier; }
    friend bool operator==(counters const&, counters const&) = default;
};

/// What the cache holds now.
struct occupancy {
    byte_count capacity;
    byte_count used;          ///< kv_and_leased + checkpoints
    byte_count kv_and_leased; ///< KV blocks, those that only a lease owns included
    byte_count checkpoints;
    byte_count peak;         ///< largest `used` after any call, or while one copied unlocked
    std::uint64_t nodes = 0; ///< without roots
    std::uint64_t checkpoint_count = 0;
    std::uint64_t candidates = 0; ///< for eviction
    std::uint64_t leases = 0;
    std::uint64_t scopes = 0; ///< those included in which only leases have a place
    byte_count metadata; ///< host memory of tree and checkpoint table, tokens and page ids included
};

/// What it holds of one scope. Pages that only leases own are not counted.
struct scope_occupancy {
    token_count tokens; ///< on edges, each once
    byte_count kv;
    byte_count checkpoints;
    std::uint64_t nodes = 0;
    std::uint64_t checkpoint_count = 0;

    friend bool operator==(scope_occupancy const&, scope_occupancy const&) = default;
};

} // namespace marconi::cache
