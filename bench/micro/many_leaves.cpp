// Up to a million leaves of 64 tokens under 1,000 prefixes of 512 (W4): one eviction of one leaf,
// one insertion of another.

#include "measure.hpp"
#include "serve.hpp"
#include "workloads.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace marconi;
using namespace marconi::micro;

/// The ceiling of both: one load from memory that depends on the load before.
double dependent_load_us() {
    constexpr std::size_t cells = std::size_t{1} << 24;
    std::vector<std::uint32_t> next(cells);
    std::iota(next.begin(), next.end(), 0u);
    random_source random{7};
    for (std::size_t i = cells - 1; i > 0; --i) // Sattolo: one cycle through all
        std::swap(next[i], next[random.below(i)]);
    constexpr int loads = 200'000;
    std::uint32_t at = 0;
    double const seconds = timed([&] {
        for (int i = 0; i < loads; ++i)
            at = next[at];
        benchmark::DoNotOptimize(at);
    });
    return seconds / loads * 1e6;
}

void leaves_come_and_go(benchmark::State& state, model_kind model, std::size_t block,
                        std::size_t count) {
    many_leaves leaves;
    std::size_t const heap_before = heap_bytes();
    auto const cache = std::make_unique<cache_of<>>(ledger(model, block));
    for (std::size_t p = 0; p < many_leaves::prefixes; ++p)
        fill(*cache, {leaves.prefix(p), leaves.prefix(p)});
    for (std::size_t i = 0; i < count; ++i) {
        text const& sequence = leaves.next();
        fill(*cache, {sequence, sequence});
    }
    report_memory(state, *cache, heap_bytes() - heap_before,
                  many_leaves::prefixes * many_leaves::prefix_tokens +
                      count * many_leaves::leaf_tokens);
    // From here on as in a full cache.
    stages clocked;
    durations evictions;
    std::size_t stored = 0;
    std::uint64_t const evicted = cache->stats().evictions();
    for (auto _ : state) {
        double const evicting =
            timed([&] { benchmark::DoNotOptimize(cache->evict(byte_count{1})); });
        evictions.add(evicting);
        text const& sequence = leaves.next();
        served result;
        double const serving = serve(*cache, {sequence, sequence}, clocked, result);
        stored += result.outcome.stored_tokens.value();
        state.SetIterationTime(evicting + serving);
    }
    clocked.report(state);
    state.counters["evict_us"] = evictions.median_us();
    state.counters["ceiling_us"] = dependent_load_us();
    state.SetItemsProcessed(static_cast<std::int64_t>(2 * state.iterations()));
    expect_equal(state, cache->stats().evictions() - evicted, iterations(state), "evictions");
    expect_equal(state, stored, iterations(state) * many_leaves::leaf_tokens, "tokens stored");
}

int const registered = [] {
    for (model_kind const model : {model_kind::attention, model_kind::hybrid})
        for (std::size_t const block : {1u, 16u})
            for (std::size_t const count : {10'000u, 100'000u, 1'000'000u}) {
                if (model == model_kind::hybrid && block == 1) continue; // gigabytes of page ids
                benchmark::RegisterBenchmark(
                    name_of("W4_leaves", model, block, "leaves", count).c_str(), leaves_come_and_go,
                    model, block, count)
                    ->Iterations(5000)
                    ->UseManualTime()
                    ->Unit(benchmark::kMicrosecond);
            }
    return 0;
}();

} // namespace
