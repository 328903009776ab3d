#pragma once

// How often a history came to each of the places where a cache can go wrong.

#include <array>
#include <cstddef>
#include <cstdint>

namespace histories {

enum class place {
    miss,
    match_inside_edge,
    match_lost_past_limit,
    match_lost_without_checkpoint,
    branch_named,
    match_by_own_state,
    acquire_of_old_plan,
    acquire_stale,
    acquire_of_what_weighs_more,
    acquire_uncounted,
    restore,
    restore_refused,
    commit_all_new,
    commit_all_known,
    commit_published_by_another,
    commit_nothing_new,
    commit_cuts_edge,
    commit_goes_on_inside_own_block,
    commit_shares_its_block,
    commit_goes_on_inside_shared_block,
    commit_takes_in_place,
    commit_in_place_published_by_another,
    commit_copies_into_reserved,
    commit_after_let_go,
    commit_node_split_since,
    commit_node_merged_since,
    checkpoint_on_known,
    checkpoint_cuts_edge,
    checkpoint_known,
    checkpoint_known_evicted,
    commit_evicts,
    commit_declines_tokens,
    commit_stores_part,
    commit_declines_checkpoint,
    reserve,
    reserve_evicts,
    reserve_in_part,
    reserve_spares,
    reserve_copies_block,
    reserve_closes_gap,
    reserve_refused,
    unreserve,
    deduplicate,
    deduplicate_own,
    let_go_checkpoint,
    let_go_kv,
    abort,
    evict_leaf,
    evict_checkpoint_alone,
    evict_nothing_left,
    evict_of_scope,
    merge,
    merge_drops_duplicate,
    clear_around_leases,
    forget,
    forget_around_leases,
    commit_to_forgotten,
    forget_unused,
    several_leases,
    count
};

inline constexpr std::size_t places = static_cast<std::size_t>(place::count);

inline constexpr std::array<char const*, places> place_names{
    "miss",
    "match inside an edge",
    "match lost past the limit",
    "match lost without a checkpoint",
    "branch point named",
    "match by the engine's own state",
    "acquire of an old plan",
    "acquire stale",
    "acquire of what weighs more",
    "acquire not counted, with something to resume",
    "restore",
    "restore refused",
    "commit all new",
    "commit all known",
    "commit of what another published",
    "commit of nothing new",
    "commit cuts an edge",
    "commit goes on inside its own block",
    "commit shares its page with the node above",
    "commit goes on inside a shared block",
    "commit in place",
    "commit in place of what another published",
    "commit copies into reserved pages",
    "commit after KV was let go",
    "commit after its node was split",
    "commit after its node was merged",
    "checkpoint on known tokens",
    "checkpoint cuts an edge",
    "checkpoint known",
    "checkpoint known, evicted for room",
    "commit evicts",
    "commit declines tokens",
    "commit stores a part",
    "commit declines a checkpoint",
    "reserve",
    "reserve evicts",
    "reserve in part",
    "reserve in part, with pages to spare",
    "reserve copies a block",
    "reserve closes a gap",
    "reserve refused",
    "unreserve",
    "duplicates given back",
    "own pages given back that nobody repeats",
    "checkpoint let go",
    "KV let go",
    "abort",
    "leaf evicted",
    "checkpoint evicted alone",
    "nothing left to evict",
    "evicted of one scope",
    "merge",
    "merge drops a duplicate",
    "clear around leases",
    "forget",
    "forget around leases",
    "commit to what was forgotten",
    "unused ones forgotten, others not",
    "several leases"};

struct tally {
    std::array<std::uint64_t, places> times{};
    std::uint64_t steps = 0;

    void note(place p, std::uint64_t n = 1) { times[static_cast<std::size_t>(p)] += n; }
    void note_if(bool happened, place p) { note(p, happened); }
    void add(tally const& other) {
        for (std::size_t i = 0; i < places; ++i)
            times[i] += other.times[i];
        steps += other.steps;
    }
};

} // namespace histories
