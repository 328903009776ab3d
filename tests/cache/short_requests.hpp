#pragma once

// Requests short enough to follow by hand: a letter is a token, a token's KV is 256 bytes, a
// checkpoint 512, and n tokens take n^2 FLOPs. In blocks of one token a page is a token and a
// checkpoint two pages.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cache_tests {

using namespace marconi;
using sequence = std::vector<std::int32_t>;

inline sequence text(std::string_view letters) { return {letters.begin(), letters.end()}; }

/// `count` tokens that no other `name` shares, and that differ from each other.
inline sequence numbered(std::int32_t name, std::size_t count) {
    sequence tokens;
    for (std::size_t i = 0; i < count; ++i)
        tokens.push_back(name * 100'000 + static_cast<std::int32_t>(i));
    return tokens;
}
inline sequence operator+(sequence head, sequence const& tail) {
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
}
inline sequence first(sequence tokens, std::size_t count) {
    tokens.resize(count);
    return tokens;
}

inline footprint hybrid() {
    return {.model = "hybrid",
            .kv_layers = {{128, 128}},
            .state_pieces = {{.fixed_bytes = 512}},
            .flops = {.per_pair = 1}};
}
inline footprint attention_only() {
    return {.model = "attention only", .kv_layers = {{128, 128}}, .flops = {.per_pair = 1}};
}
inline footprint recurrent_only() {
    return {.model = "recurrent only",
            .state_pieces = {{.fixed_bytes = 512}},
            .flops = {.per_token = 1}};
}
/// A checkpoint at position p takes min(p, 5) * 256 bytes.
inline footprint sliding_window() {
    return {.model = "sliding window",
            .kv_layers = {{128, 128}},
            .state_pieces = {{.fixed_bytes = 0, .window = 5, .bytes_per_window_token = 256}},
            .flops = {.per_pair = 1}};
}

inline memory::page_options blocks_of(std::uint64_t tokens) {
    return {.block_tokens = token_count{tokens}, .page_bytes = byte_count{256}};
}
inline memory::ledger_store room_for(footprint const& model, std::uint64_t pages,
                                     std::uint64_t block_tokens = 1) {
    memory::page_options const cut = blocks_of(block_tokens);
    return {model, memory::page_layout{model, cut}.page_bytes() * pages, cut};
}

template <class Eviction = policy::lru, class Admission = policy::branch_and_tail,
          class Observer = cache::no_observer>
using counting_cache = cache::prefix_cache<memory::ledger_store, Admission, Eviction, Observer>;
using small_cache = counting_cache<>;

template <class Cache>
std::uint64_t pages_used(Cache const& cache) {
    return cache.holds().used / cache.store().layout().page_bytes();
}

/// Checkpoints for a store that only counts.
inline std::vector<cache::captured_state> states_at(std::vector<std::uint64_t> const& positions) {
    std::vector<cache::captured_state> states;
    for (std::uint64_t const p : positions)
        states.push_back({.position = token_count{p}});
    return states;
}

template <class Cache>
typename Cache::lease acquire(Cache& cache, sequence const& prompt, scope const& in = {},
                              cache::match_options options = {}) {
    return cache.open(in, prompt, options);
}

template <class Cache>
cache::commit_outcome commit(Cache& cache, typename Cache::lease const& lease,
                             sequence const& tokens,
                             std::vector<std::uint64_t> const& checkpoints = {}) {
    auto const states = states_at(checkpoints);
    return cache.commit(lease, tokens, {.checkpoints = states}, typename Cache::stream{});
}

/// A request from match to release, whose engine captures what the plan names.
template <class Cache>
cache::commit_outcome serve_answer(Cache& cache, sequence const& prompt, sequence const& answer,
                                   scope const& in = {}) {
    auto const lease = acquire(cache, prompt, in);
    sequence const tokens = prompt + answer;
    std::vector<std::uint64_t> captured;
    for (std::uint64_t p = 1; p <= tokens.size(); ++p)
        if (lease.should_capture(token_count{p}, p == tokens.size())) captured.push_back(p);
    return commit(cache, lease, tokens, captured);
}
/// The same of a prompt alone.
template <class Cache>
cache::commit_outcome serve(Cache& cache, sequence const& tokens, scope const& in = {}) {
    return serve_answer(cache, tokens, {}, in);
}
template <class Cache>
cache::commit_outcome serve(Cache& cache, std::string_view letters, scope const& in = {}) {
    return serve(cache, text(letters), in);
}

/// The four answers of a match.
struct depths {
    std::uint64_t matched = 0, resumable = 0, lost_past_limit = 0, lost_without_checkpoint = 0;

    friend bool operator==(depths const&, depths const&) = default;
    friend std::ostream& operator<<(std::ostream& out, depths const& d) {
        return out << "matched " << d.matched << ", resumable " << d.resumable << ", lost "
                   << d.lost_past_limit << " past the limit and " << d.lost_without_checkpoint
                   << " without a checkpoint";
    }
};

template <class Cache>
depths look(Cache const& cache, sequence const& prompt,
            std::optional<std::uint64_t> limit = std::nullopt, scope const& in = {}) {
    cache::match_options options;
    if (limit) options.limit = token_count{*limit};
    cache::match_result const found = cache.match(in, prompt, options);
    return {found.matched.value(), found.resumable.value(), found.lost_past_limit().value(),
            found.lost_without_checkpoint().value()};
}
template <class Cache>
depths look(Cache const& cache, std::string_view prompt,
            std::optional<std::uint64_t> limit = std::nullopt, scope const& in = {}) {
    return look(cache, text(prompt), limit, in);
}

/// Everything that a cache holds, in words: two caches with equal inventories behave the same.
template <class Cache>
std::string inventory(Cache const& cache, bool histories = true) {
    auto const& entries = cache.internals();
    auto const& tree = entries.tree();
    auto const list = [](auto const& values, auto const& number) {
        std::string all;
        for (auto const& v : values)
            all += " " + std::to_string(number(v));
        return all;
    };
    auto const of_page = [](page_id p) { return p.value(); };
    std::string all;
    for (std::uint32_t i = 0; i < tree.slots(); ++i) {
        node_id const id{i};
        if (!tree.live(id)) continue;
        auto const& n = tree[id];
        all += "node " + std::to_string(i) + " generation " +
               std::to_string(tree.ref(id).generation) + " parent " +
               std::to_string(n.parent.value()) + " depth " + std::to_string(n.depth) + " tokens" +
               list(tree.tokens(id), [](std::int32_t t) { return t; }) + " pages" +
               list(entries.pages(n), of_page);
        if (entries.has_checkpoint(id))
            all += " checkpoint" + list(entries.checkpoint(id).pages(), of_page);
        all += " pins " + std::to_string(n.payload.kv_pins) + " " +
               std::to_string(n.payload.checkpoint_pins);
        if (histories)
            all += " used " + std::to_string(n.payload.history.last_use.value()) + " times " +
                   std::to_string(n.payload.history.uses);
        all += "\n";
    }
    cache::occupancy const o = cache.holds();
    for (std::uint64_t const n : {o.capacity.value(), o.used.value(), o.checkpoints.value(),
                                  o.nodes, o.checkpoint_count, o.leases, o.scopes})
        all += std::to_string(n) + " ";
    return all;
}

/// Why a call failed; empty if it did not, and where the exception is of another kind.
template <class Error, class Call>
std::string message_of(Call&& call) {
    try {
        call();
    } catch (Error const& e) {
        return e.what();
    } catch (std::exception const& e) {
        return std::string{"another exception: "} + e.what();
    }
    return "no exception";
}

} // namespace cache_tests

/// No invariant of a cache is broken.
#define CHECK_SOUND(subject) CHECK(marconi::cache::audit(subject) == std::vector<std::string>{})
