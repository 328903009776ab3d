// Choosing a victim and letting it go, among a thousand to a million nodes of conversations as
// traces show them. The script `instructions` counts what evict_one takes.

#include "measure.hpp"
#include "serve.hpp"
#include "workloads.hpp"

#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

// Under callgrind the setup is not watched, or it would take hours.
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#endif

namespace {

using namespace marconi;
using namespace marconi::micro;

/// Not inlined, so that a profiler can tell it from the setup.
template <class Cache>
[[gnu::noinline]] byte_count evict_one(Cache& cache) {
    return cache.evict(byte_count{1});
}

constexpr std::size_t block = 16;

template <class Eviction>
Eviction make_policy() {
    if constexpr (std::same_as<Eviction, policy::flop_aware>)
        return policy::flop_aware{1};
    else
        return Eviction{};
}

template <class Eviction>
void victims(benchmark::State& state, model_kind model, std::size_t nodes) {
    cache_of<Eviction> cache{ledger(model, block), {}, {}, make_policy<Eviction>()};
    endless_chat chat{std::min<std::size_t>(nodes / 20, 2000)};
    while (cache.holds().nodes < nodes)
        fill(cache, chat.next());

    CALLGRIND_START_INSTRUMENTATION;
    // An eviction, then turns of conversations that make up for it.
    durations evictions;
    std::size_t freed = 0;
    std::uint64_t const before = cache.stats().evictions();
    for (auto _ : state) {
        byte_count bytes;
        double const seconds = timed([&] { bytes = evict_one(cache); });
        evictions.add(seconds);
        state.SetIterationTime(seconds);
        freed += bytes > byte_count{};
        while (cache.holds().nodes < nodes)
            fill(cache, chat.next());
    }
    state.counters["evict_us"] = evictions.median_us();
    state.counters["evictions"] = static_cast<double>(cache.stats().evictions() - before);
    state.counters["candidates"] = static_cast<double>(cache.holds().candidates);
    state.counters["nodes"] = static_cast<double>(cache.holds().nodes);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    expect_equal(state, freed, iterations(state), "evictions that freed something");
}

template <class Eviction>
void register_victims(char const* of) {
    for (model_kind const model : {model_kind::hybrid, model_kind::attention})
        for (std::size_t const nodes : {1'000u, 10'000u, 100'000u, 1'000'000u}) {
            // Without checkpoints a conversation is one node: a million take too much memory.
            if (model == model_kind::attention && nodes > 100'000) continue;
            benchmark::RegisterBenchmark(name_of(of, model, block, "nodes", nodes).c_str(),
                                         victims<Eviction>, model, nodes)
                ->Iterations(2000)
                ->UseManualTime()
                ->Unit(benchmark::kMicrosecond);
        }
}

int const registered = [] {
    register_victims<policy::lru>("victims/lru");
    register_victims<policy::gdsf>("victims/gdsf");
    register_victims<policy::flop_aware>("victims/flop_aware");
    register_victims<policy::expected_savings>("victims/expected_savings");
    return 0;
}();

} // namespace
