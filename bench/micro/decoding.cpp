// What decoding in place costs in the cache: 256 requests run at a time, and each gets one more
// token at every step. Covers all calls that an engine makes for this, with contexts of 1,000 and
// of 32,000 tokens.

#include "measure.hpp"
#include "serve.hpp"
#include "workloads.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace {

using namespace marconi;
using namespace marconi::micro;

constexpr std::size_t running = 256;
constexpr std::size_t steps = 500;
constexpr std::size_t block = 16;

struct decoding {
    cache_of<>::lease lease;
    text tokens;
    std::vector<page_id> table;
    std::size_t settled = 0;
};

/// Adds a token to a request; each kind of call has its own clock.
void step(cache_of<>& cache, decoding& r, random_source& random, durations& reserving,
          durations& updating, durations& committing, durations& whole_tables) {
    random.append_text(r.tokens, 1);
    token_count const end{r.tokens.size()};
    reserving.add(timed([&] { (void)cache.reserve(r.lease, end); }));
    updating.add(timed([&] {
        auto const fresh = cache.block_table(r.lease, r.settled);
        r.table.resize(r.settled);
        r.table.insert(r.table.end(), fresh.begin(), fresh.end());
        r.settled = r.lease.position().value() / block;
    }));
    whole_tables.add(timed([&] { benchmark::DoNotOptimize(cache.block_table(r.lease)); }));
    committing.add(timed([&] { (void)cache.commit(r.lease, r.tokens); }));
}

void decode(benchmark::State& state, model_kind model, std::size_t context) {
    auto const cache = std::make_unique<cache_of<>>(ledger(model, block));
    random_source random{7};
    std::vector<decoding> requests(running);
    for (decoding& r : requests) {
        random.append_text(r.tokens, context);
        r.lease = cache->acquire(cache->plan(cache->match({}, r.tokens)));
        (void)cache->reserve(r.lease, token_count{context});
        (void)cache->commit(r.lease, r.tokens);
    }
    durations reserving, updating, committing, whole_tables;
    std::size_t wrong = 0;
    for (auto _ : state)
        for (decoding& r : requests)
            step(*cache, r, random, reserving, updating, committing, whole_tables);
    for (decoding const& r : requests)
        wrong += r.table != cache->block_table(r.lease) ||
                 r.lease.position() != token_count{context + steps};
    state.counters["reserve_us"] = reserving.median_us();
    state.counters["update_table_us"] = updating.median_us();
    state.counters["whole_table_us"] = whole_tables.median_us();
    state.counters["commit_us"] = committing.median_us();
    state.SetItemsProcessed(static_cast<std::int64_t>(iterations(state) * running));
    expect_equal(state, wrong, 0, "requests whose table or position is not what it should be");
}

int const registered = [] {
    for (model_kind const model : {model_kind::attention, model_kind::hybrid})
        for (std::size_t const context : {1'000u, 32'000u})
            benchmark::RegisterBenchmark(
                name_of("decode_in_place", model, block, "context", context).c_str(), decode, model,
                context)
                ->Iterations(steps)
                ->Unit(benchmark::kMicrosecond);
    return 0;
}();

} // namespace
