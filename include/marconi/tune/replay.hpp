#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/ledger_store.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace marconi::tune {

/// A request to be played again, or for the first time: its prompt and its answer.
template <token Token>
struct replay_request {
    scope in = {};
    std::span<Token const> tokens; ///< prompt and answer: all whose KV came to exist
    token_count prompt;            ///< of these, the prompt; the rest was decoded
    token_count limit;             ///< deepest position to resume from; at most `prompt`
    bool ended = true;             ///< false if more is to come: there is no tail state yet
    double weight = 1;             ///< of a FLOP saved for it
    /// Where there are states beside those that the plan asks for, ascending.
    std::span<cache::captured_state const> captured = {};
    /// Where earlier commits of the request brought states, in any order.
    std::vector<token_count> captured_before = {};
    /// Where the answer begins, if that is not at `prompt`: before it, or past it where the prompt
    /// is cut to the part that was committed.
    std::optional<token_count> answer_from = {};
};

/// What became of a request.
struct replayed {
    cache::match_result match;
    cache::commit_outcome outcome;
    flop_count asked; ///< to process the prompt from nothing
    flop_count saved; ///< of these, by resuming
    flop_count worth; ///< saved, times the request's weight
};

/// An empty store that only counts, with the layout of `store` and a multiple of its capacity, up
/// to what page ids can number.
template <memory::store Store>
[[nodiscard]] memory::ledger_store ledger_like(Store const& store, std::uint64_t multiple = 1) {
    memory::page_layout const& layout = store.layout();
    std::uint64_t const own = store.pages().capacity();
    std::uint64_t const pages = own > most_pages / multiple ? most_pages : own * multiple;
    return {layout.model(), layout.page_bytes() * pages,
            memory::page_options{.block_tokens = token_count{layout.block_tokens()},
                                 .page_bytes = layout.page_bytes()}};
}

/// Host memory of a cache that only counts: its index, and what its pages and leases take.
template <class Cache>
[[nodiscard]] byte_count memory_of(Cache const& cache) {
    return cache.holds().metadata +
           byte_count{cache.store().pages().bytes() + cache.leases().bytes()};
}

/// Whether a commit of `size` tokens ends where the cache can resume: at a state that it brings, or
/// at the one that the request resumed by.
[[nodiscard]] inline bool ends_resumable(cache::lease_record const& lease, token_count size,
                                         std::span<cache::captured_state const> states) {
    bool const resumed_there = lease.granted.resume_at() == size && !lease.match().by_own_state;
    return resumed_there || (!states.empty() && states.back().position == size);
}

/// Positions at which an engine that does all the plan asks for captures the state of a sequence of
/// `size` tokens, ascending. O(positions).
[[nodiscard]] inline std::vector<cache::captured_state> captures_of(cache::request_plan const& plan,
                                                                    token_count size) {
    std::vector<cache::captured_state> captured;
    for (token_count const position : plan.captures.at)
        captured.push_back({position});
    if (token_count const every = plan.captures.every; every > token_count{})
        for (auto n = plan.match.limit / every + 1; every * n <= size; ++n)
            captured.push_back({every * n});
    bool const has_tail = !captured.empty() && captured.back().position == size;
    if (plan.captures.tail && size > plan.match.resumable && !has_tail) captured.push_back({size});
    return captured;
}

/// Adds a state unless it is there already.
inline void add_capture(std::vector<cache::captured_state>& to, token_count position) {
    auto const at = std::ranges::lower_bound(to, position, {}, &cache::captured_state::position);
    if (at == to.end() || at->position != position) to.insert(at, {position});
}

/// A request that is about to be played: what the cache has of it, and the states to bring.
struct prepared_replay {
    cache::request_plan plan;
    std::vector<cache::captured_state> captured;
};

/// The first half of replay(), which changes nothing.
template <class Cache>
    requires(!Cache::store_type::holds_bytes)
[[nodiscard]] prepared_replay prepare(Cache const& cache,
                                      replay_request<typename Cache::token_type> const& request) {
    MARCONI_EXPECT(request.prompt.value() <= request.tokens.size(), "prompt",
                   request.prompt.value(),
                   "at most the request's tokens, " + std::to_string(request.tokens.size()));
    auto const prompt = request.tokens.first(request.prompt.value());
    auto const found = cache.match(request.in, prompt,
                                   cache::match_options{.limit = request.limit,
                                                        .weight = request.weight,
                                                        .answer_from = request.answer_from});
    prepared_replay ready{.plan = cache.plan(found), .captured = {}};
    ready.plan.captures.tail = ready.plan.captures.tail && request.ended;
    ready.captured = captures_of(ready.plan, token_count{request.tokens.size()});
    token_count const from = ready.plan.resume_at();
    auto const add = [&](token_count position) {
        if (position > from && position.value() <= request.tokens.size())
            add_capture(ready.captured, position);
    };
    for (cache::captured_state const& state : request.captured)
        add(state.position);
    for (token_count const position : request.captured_before)
        add(position);
    return ready;
}

/// The second half. Before the commit it calls `opened(lease)`.
template <class Cache, class Opened>
replayed play(Cache& cache, replay_request<typename Cache::token_type> const& request,
              prepared_replay const& ready, Opened&& opened) {
    auto lease = cache.acquire(ready.plan);
    opened(std::as_const(lease));
    flop_curve const& flops = cache.store().layout().model().flops;
    flop_count const saved = flops.up_to(ready.plan.match.resumable);
    return {.match = ready.plan.match,
            .outcome =
                cache.commit(lease, request.tokens, cache::computed{.checkpoints = ready.captured}),
            .asked = flops.up_to(ready.plan.match.tokens),
            .saved = saved,
            .worth = saved * request.weight};
}

/// Plays one request from match to release, with a single commit at its end, on a cache whose store
/// only counts. O(tokens + depth), and O(log N) a victim. Throws invalid_argument for a prompt that
/// is longer than the tokens, and what the calls throw.
template <class Cache>
    requires(!Cache::store_type::holds_bytes)
replayed replay(Cache& cache, replay_request<typename Cache::token_type> const& request) {
    return play(cache, request, prepare(cache, request), [](auto const&) {});
}

} // namespace marconi::tune
