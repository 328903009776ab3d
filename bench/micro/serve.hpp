#pragma once

// A request's way through a cache, as in an engine, each stage with its own clock.

#include "measure.hpp"
#include "workloads.hpp"

#include <marconi/cache/outcome.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/model/presets.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace marconi::micro {

template <class Eviction = policy::lru>
using cache_of = cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, Eviction>;

/// The models measured: one that can resume after any token, the kind that the indexes of today's
/// engines know, and the paper's hybrid, which needs checkpoints.
enum class model_kind { attention, hybrid };

/// A benchmark's name: what it does, for which model, in blocks of how many tokens, and how much
/// of something else.
[[nodiscard]] inline std::string name_of(std::string_view what, model_kind model, std::size_t block,
                                         std::string_view of = {}, std::size_t count = 0) {
    std::string name{what};
    name.append(model == model_kind::attention ? "/attention" : "/hybrid");
    name.append("/block:").append(std::to_string(block));
    if (!of.empty()) name.append("/").append(of).append(":").append(std::to_string(count));
    return name;
}
[[nodiscard]] inline footprint footprint_of(model_kind kind) {
    return (kind == model_kind::attention ? model::llama_3_1_8b() : model::paper_7b()).footprint();
}

inline constexpr std::uint64_t no_limit = std::numeric_limits<std::uint32_t>::max() - 1;

/// A store of `pages` pages.
[[nodiscard]] inline memory::ledger_store ledger(model_kind kind, std::size_t block_tokens,
                                                 std::uint64_t pages = no_limit) {
    memory::page_options const options{.block_tokens = token_count{block_tokens}};
    footprint model = footprint_of(kind);
    byte_count const page = memory::page_layout{model, options}.page_bytes();
    return {std::move(model), page * pages, options};
}

/// What came of one request.
struct served {
    std::size_t matched;
    cache::commit_outcome outcome;
};

/// Durations of the stages of many requests.
struct stages {
    durations match, acquire, commit, release, request;

    /// Memory that the measurement itself takes.
    [[nodiscard]] std::size_t bytes() const {
        return match.bytes() + acquire.bytes() + commit.bytes() + release.bytes() + request.bytes();
    }
    void report(benchmark::State& state) {
        state.counters["match_us"] = match.median_us();
        state.counters["plan_acquire_us"] = acquire.median_us();
        state.counters["commit_us"] = commit.median_us();
        state.counters["release_us"] = release.median_us();
        state.counters["request_us"] = request.median_us();
    }
};

/// One request from match to release; `clocked` gets its stages. Returns the seconds it took.
template <class Cache>
double serve(Cache& cache, request const& r, stages& clocked, served& result) {
    cache::match_result match;
    cache::request_plan plan;
    typename Cache::lease lease;
    std::vector<cache::captured_state> states;
    double const matching = timed([&] { match = cache.match({}, r.prompt); });
    double const acquiring = timed([&] {
        plan = cache.plan(match);
        lease = cache.acquire(plan);
    });
    token_count const end{r.whole.size()};
    for (token_count const at : plan.captures.at)
        states.push_back({at});
    if (plan.captures.tail && plan.resume_at() < end) states.push_back({end});
    double const committing =
        timed([&] { result.outcome = cache.commit(lease, r.whole, {.checkpoints = states}); });
    double const releasing = timed([&] { lease.release(); });

    result.matched = match.matched.value();
    double const total = matching + acquiring + committing + releasing;
    clocked.match.add(matching);
    clocked.acquire.add(acquiring);
    clocked.commit.add(committing);
    clocked.release.add(releasing);
    clocked.request.add(total);
    return total;
}

/// The same without clocks, for the setup.
template <class Cache>
void fill(Cache& cache, request const& r) {
    auto const plan = cache.plan(cache.match({}, r.prompt));
    auto const lease = cache.acquire(plan);
    std::vector<cache::captured_state> states;
    for (token_count const at : plan.captures.at)
        states.push_back({at});
    token_count const end{r.whole.size()};
    if (plan.captures.tail && plan.resume_at() < end) states.push_back({end});
    (void)cache.commit(lease, r.whole, {.checkpoints = states});
}

/// What the cache costs in memory: `heap` bytes in all, for so many tokens of its nodes.
template <class Cache>
void report_memory(benchmark::State& state, Cache const& cache, std::size_t heap,
                   std::size_t tokens) {
    auto const nodes = static_cast<double>(cache.holds().nodes);
    auto const bytes = static_cast<double>(heap);
    double const text_bytes = 4.0 * static_cast<double>(tokens);
    state.counters["nodes"] = nodes;
    state.counters["bytes_a_node"] = bytes / nodes;
    state.counters["bytes_a_node_without_tokens"] = (bytes - text_bytes) / nodes;
    state.counters["bytes_a_cached_token"] = bytes / static_cast<double>(tokens);
}

} // namespace marconi::micro
