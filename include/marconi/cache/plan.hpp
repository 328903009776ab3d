#pragma once

// The stages of a request before it holds anything: what match returns, and what plan makes of it.

#include <marconi/core/types.hpp>
#include <marconi/policy/facts.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace marconi::cache {

inline constexpr double largest_weight = 1e6;

struct match_options {
    /// Deepest position to resume from; by default all tokens but one, since an engine has to
    /// compute at least one token to obtain logits.
    std::optional<token_count> limit = {};
    /// What a FLOP saved for this request is worth, in FLOPs saved for one of weight 1: 0 to
    /// largest_weight, kept as a float. What the request resumes from, and what it publishes, have
    /// this weight from then on, unless others gave them a larger one; what lies above keeps its
    /// own. The library's eviction policies multiply compute saved per byte by it; lru ignores it.
    double weight = 1;
    /// Where the answer begins, if the tokens include some of it: the length of the prompt, of a
    /// request that comes back after a preemption. By default it is still to come, after them all
    /// (as it is if this lies past them).
    /// States past it lie in the answer, and branch_and_tail::before_answer counts from it.
    std::optional<token_count> answer_from = {};
    /// Where the engine has the recurrent state of these tokens itself: of a request from which
    /// this one forks, or which comes back. If the KV up to there is here, within the limit, and no
    /// checkpoint lies deeper, the request resumes there, and there is no state to restore. (Where
    /// a model has no KV, the cache knows no tokens past its last checkpoint.)
    std::optional<token_count> state_at = {};
    /// False for what nobody asked for: to load, to prefetch, to save. No figure of stats() but
    /// those of commits, reserves and evictions has it, whoever learns from requests is not shown
    /// it, and what it finds keeps its weight, uses and last use: nothing was reused. (But KV that
    /// it gives a checkpoint is used, or that would be the next to go.) The clock ticks, so that
    /// what it put in last is the youngest.
    bool counted = true;
};

/// How much of a prompt is in the cache, by kind of state, and why not more of it can be used.
struct match_result {
    scope in;
    token_count tokens;    ///< length of the prompt, with what there is of an answer
    token_count limit;     ///< deepest position that may be resumed from
    token_count matched;   ///< leading tokens whose KV is here
    token_count resumable; ///< deepest position <= limit where every kind of state is at hand

    /// Matched tokens past the limit.
    [[nodiscard]] token_count lost_past_limit() const { return matched - std::min(matched, limit); }
    /// Matched tokens under the limit that cannot be used: no checkpoint lives there.
    [[nodiscard]] token_count lost_without_checkpoint() const {
        return std::min(matched, limit) - resumable;
    }

    bool by_own_state = false; ///< what is resumed by is the engine's own: match_options::state_at
    token_count answer_from;   ///< where the answer begins; maybe past `tokens`
    double weight = 1;         ///< of the request
    bool counted = true;       ///< match_options::counted
    node_ref resume_node = {}; ///< where `resumable` is; meaningless if that is 0
    std::uint64_t cache = 0;   ///< the identity of the cache that answered
};

/// What will be reused of a match, and where the engine is to capture the recurrent state. The
/// caller may add positions to `captures.at` (where a user marks the end of a shared part, say), in
/// any order; acquire keeps those past resume_at() and up to the match's limit.
struct request_plan {
    match_result match;
    policy::capture_rule captures;

    [[nodiscard]] token_count resume_at() const { return match.resumable; }
};

/// Whether the state at a position is to be captured; `last` says that no token with KV follows it,
/// so that this is the tail. Of the rest, `at` says it all up to the match's limit.
[[nodiscard]] inline bool is_captured(policy::capture_rule const& rule, token_count limit,
                                      token_count position, bool last = false) {
    if (last && rule.tail) return true;
    if (position > limit)
        return rule.every > token_count{} && position.value() % rule.every.value() == 0;
    return std::binary_search(rule.at.begin(), rule.at.end(), position);
}

} // namespace marconi::cache
