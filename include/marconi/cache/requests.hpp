#pragma once

// The stages of a request, one function each; the facade strings them together.

#include <marconi/cache/evict.hpp>
#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/finite.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/match.hpp>
#include <marconi/policy/facts.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace marconi::cache {

inline void check_weight(double weight) {
    MARCONI_EXPECT(is_finite(weight) && weight >= 0 && weight <= largest_weight, "weight", weight,
                   "0 to 1,000,000");
}

/// Follows a prompt down its scope's tree and notes the deepest point to resume from.
template <class Entries, class Token>
[[nodiscard]] match_result find_match(Entries const& entries, scope const& in,
                                      std::span<Token const> prompt, match_options options,
                                      std::uint64_t cache) {
    auto const size = token_count{prompt.size()};
    check_weight(options.weight);
    MARCONI_EXPECT(prompt.size() <= most_tokens, "prompt.size()", prompt.size(), "less than 2^31");
    token_count const all_but_one = size - token_count{prompt.empty() ? 0u : 1u};
    match_result found{.in = in,
                       .tokens = size,
                       .limit = options.limit.value_or(all_but_one),
                       .matched = {},
                       .resumable = {},
                       .answer_from = options.answer_from.value_or(size),
                       .weight = options.weight,
                       .counted = options.counted,
                       .resume_node = {},
                       .cache = cache};
    MARCONI_EXPECT(found.limit <= size, "limit", found.limit.value(),
                   "at most the prompt's length, " + std::to_string(prompt.size()));
    token_count const state_at = options.state_at.value_or(token_count{});
    MARCONI_EXPECT(state_at <= size, "state_at", state_at.value(),
                   "at most the prompt's length, " + std::to_string(prompt.size()));

    auto const& tree = entries.tree();
    node_id const root = tree.find_root(in);
    if (!root) return found;
    node_id resume = {};
    auto const reached = [&](node_id id) {
        token_count const depth{tree[id].depth};
        if (entries.needs_checkpoint()) {
            if (entries.has_checkpoint(id) && depth <= found.limit) {
                resume = id;
                found.resumable = depth;
            }
        } else if (!resume && depth >= found.limit) {
            resume = id;
        }
    };
    index::location const at = tree.walk({root, 0}, prompt, reached);
    found.matched = token_count{at.depth};
    if (!entries.needs_checkpoint()) {
        found.resumable = std::min(found.matched, found.limit);
        if (!resume) resume = at.node;
    } else if (state_at > token_count{} && state_at >= found.resumable &&
               state_at <= std::min(found.matched, found.limit)) {
        found.resumable = state_at;
        found.by_own_state = true;
        resume = tree.holding(at.node, static_cast<std::uint32_t>(state_at.value()));
    }
    if (found.resumable > token_count{}) found.resume_node = tree.ref(resume);
    return found;
}

/// Keeps the positions that the prefill passes and one may resume from: ascending, each once.
inline void keep_passed(std::vector<token_count>& at, match_result const& match) {
    std::erase_if(at, [&](token_count position) {
        return position <= match.resumable || position > match.limit;
    });
    std::ranges::sort(at);
    at.erase(std::unique(at.begin(), at.end()), at.end());
}

/// Adds the positions up to `end`, and from about `begin` on, that are multiples of both numbers.
inline void add_multiples(std::vector<token_count>& to, std::uint64_t of, std::uint64_t and_of,
                          std::uint64_t begin, std::uint64_t end) {
    std::uint64_t const ratio = and_of / std::gcd(of, and_of);
    if (of > end || ratio > end / of) return; // the first common multiple lies past it
    std::uint64_t const step = of * ratio;
    for (std::uint64_t at = begin / step * step; at <= end; at += step)
        to.push_back(token_count{at});
}

/// Asks the admission policy, and keeps what the engine can do.
template <class Entries, class Admission>
[[nodiscard]] policy::capture_rule
decide_captures(Entries const& entries, Admission const& admission, cache_options const& options,
                match_result const& match) {
    if (!entries.needs_checkpoint()) return {};
    token_count const grid = options.checkpoint_grid;
    policy::capture_rule rule = admission.captures(
        policy::request_facts{.tokens = match.tokens,
                              .limit = match.limit,
                              .matched = match.matched,
                              .resumable = match.resumable,
                              .answer_from = match.answer_from,
                              .block_tokens = token_count{entries.store().layout().block_tokens()},
                              .checkpoint_grid = grid});
    if (rule.every > token_count{})
        add_multiples(rule.at, rule.every.value(), grid.value(), match.resumable.value(),
                      match.limit.value());
    std::erase_if(rule.at, [&](token_count at) { return at.value() % grid.value() != 0; });
    keep_passed(rule.at, match);
    return rule;
}

/// Whether what a match found to resume from is still there.
template <class Entries>
[[nodiscard]] bool still_there(Entries const& entries, match_result const& match) {
    if (match.resumable == token_count{}) return true;
    auto const& tree = entries.tree();
    if (!tree.live(match.resume_node)) return false;
    auto const& n = tree[match.resume_node.id];
    if (n.payload.forgotten) return false;
    return !entries.needs_checkpoint() || match.by_own_state ||
           (n.payload.checkpoint && n.depth == match.resumable.value());
}

/// The KV that a match's request will pin; none of what is not there any more.
template <class Entries>
[[nodiscard]] pin_to_come pinned_by(Entries const& entries, match_result const& match) {
    if (match.resumable == token_count{} || !still_there(entries, match)) return {};
    auto const depth = static_cast<std::uint32_t>(match.resumable.value());
    return {entries.tree().holding(match.resume_node.id, depth), depth};
}

template <class Entries>
[[nodiscard]] lease_record open_lease(Entries& entries, request_plan const& plan) {
    lease_record lease;
    lease.request = plan.match.counted ? entries.counts().requests + 1 : 0;
    lease.granted = plan;
    if (!entries.needs_checkpoint()) lease.granted.captures = {};
    keep_passed(lease.granted.captures.at, plan.match);
    lease.position = static_cast<std::uint32_t>(plan.match.resumable.value());
    if (lease.position != 0) entries.reserve(1, 0);
    // Nothing from here on can fail.
    entries.advance_clock();
    if (lease.position == 0) return lease;
    auto const& tree = entries.tree();
    lease.node = tree.holding(plan.match.resume_node.id, lease.position);
    // What lies beyond is not reused, and may have to make room.
    if (tree[lease.node].depth != lease.position)
        lease.node = entries.split(lease.node, lease.position);
    lease.kv_pinned = true;
    entries.pin_kv(lease.node);
    if (entries.needs_checkpoint() && !lease.match().by_own_state) {
        lease.checkpoint_node = lease.node;
        entries.pin_checkpoint(lease.node);
    }
    if (plan.match.counted) entries.touch(lease.node, lease.weight());
    return lease;
}

inline void check_plan(request_plan const& plan, std::uint64_t cache) {
    if (plan.match.cache != cache)
        throw contract_violation{"acquire: the plan was not made by this cache"};
    check_weight(plan.match.weight);
}

template <class Entries>
void note_stale(Entries& entries, match_result const& match) {
    entries.advance_clock();
    entries.counts().stale += match.counted;
}

template <class Entries>
void count_request(Entries& entries, match_result const& match) {
    if (!match.counted) return;
    counters& c = entries.counts();
    flop_curve const& flops = entries.store().layout().model().flops;
    ++c.requests;
    c.hits += match.resumable > token_count{};
    c.tokens_asked += match.tokens;
    c.tokens_matched += match.matched;
    c.tokens_resumed += match.resumable;
    c.tokens_lost_past_limit += match.lost_past_limit();
    c.tokens_lost_without_checkpoint += match.lost_without_checkpoint();
    c.flops_asked += flops.up_to(match.tokens);
    c.flops_saved += flops.up_to(match.resumable);
}

template <class Entries>
void count_commit(Entries& entries, commit_outcome const& outcome) {
    counters& c = entries.counts();
    ++c.commits;
    c.declined_commits += !outcome.complete() && !outcome.forgotten;
    c.tokens_stored += outcome.stored_tokens;
    c.checkpoints_stored += outcome.stored_checkpoints;
}

} // namespace marconi::cache
