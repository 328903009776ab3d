// How long calls wait for each other: a reader, a writer and a large eviction on one
// concurrent_cache, and the longest time that each call took, waiting for the lock included.

#include "measure.hpp"
#include "serve.hpp"
#include "workloads.hpp"

#include <marconi/cache/concurrent_cache.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/memory/views.hpp>
#include <marconi/policy/eviction/gdsf.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace marconi;
using namespace marconi::literals;
using namespace marconi::micro;
using shared_cache = cache::concurrent_cache<cache_of<policy::gdsf>>;

/// Durations of one kind of call, the worst of which matter.
struct waits {
    std::vector<double> seconds;

    template <class Call>
    void around(Call&& call) {
        seconds.push_back(timed(call));
    }
    void report(benchmark::State& state, std::string const& name) {
        std::sort(seconds.begin(), seconds.end());
        if (seconds.empty()) return state.SkipWithError("a thread had no turn");
        auto const at = [&](double share) {
            return seconds[static_cast<std::size_t>(share *
                                                    static_cast<double>(seconds.size() - 1))] *
                   1e6;
        };
        state.counters[name + "_p50_us"] = at(0.5);
        state.counters[name + "_p999_us"] = at(0.999);
        state.counters[name + "_worst_us"] = at(1);
    }
};

void fill_shared(shared_cache& cache, request const& r, waits& opening, waits& committing) {
    shared_cache::lease lease;
    opening.around([&] { lease = cache.open({}, r.prompt); });
    std::vector<cache::captured_state> states;
    for (token_count const at : lease.capture_at())
        states.push_back({at});
    token_count const end{r.whole.size()};
    if (lease.resume_at() < end) states.push_back({end});
    committing.around([&] { (void)cache.commit(lease, r.whole, {.checkpoints = states}); });
}

/// Starts with `nodes` nodes; then serves `requests` requests beside a reader, while another thread
/// evicts a tenth of the cache again and again. (With more threads than cores the worst case is the
/// scheduler's: it puts a thread aside that holds the lock.)
void contention(benchmark::State& state) {
    constexpr std::size_t nodes = 100'000, requests = 20'000;
    waits matching, opening, committing, evicting;
    for (auto _ : state) {
        shared_cache cache{ledger(model_kind::hybrid, 16)};
        endless_chat chat{2000};
        waits unused;
        while (cache.holds().nodes < nodes)
            fill_shared(cache, chat.next(), unused, unused);
        text const prompt = [&] {
            auto const known = chat.next().prompt;
            return text(known.begin(), known.end());
        }();

        std::atomic<bool> working{true};
        std::thread reader{[&] {
            while (working)
                matching.around([&] { benchmark::DoNotOptimize(cache.match({}, prompt)); });
        }};
        std::thread evictor{[&] {
            while (working)
                if (cache.holds().nodes > nodes / 2)
                    evicting.around(
                        [&] { (void)cache.evict(byte_count{cache.holds().used.value() / 10}); });
                else
                    std::this_thread::yield();
        }};
        for (std::size_t i = 0; i < requests; ++i)
            fill_shared(cache, chat.next(), opening, committing);
        working = false;
        reader.join();
        evictor.join();
    }
    matching.report(state, "match");
    opening.report(state, "open");
    committing.report(state, "commit");
    evicting.report(state, "evict_a_tenth");
    state.SetItemsProcessed(static_cast<std::int64_t>(iterations(state) * requests));
}
BENCHMARK(contention)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

/// Long prompts stored in the host's memory, 64 MB a commit, beside a reader, which waits for the
/// copies only if they are made under the lock.
void copies(benchmark::State& state) {
    constexpr std::size_t tokens = 2'000, requests = 200;
    footprint const model{.kv_layers = std::vector<kv_layer>(16, {1024, 1024}),
                          .flops = {.per_token = 1}};
    waits matching, committing;
    for (auto _ : state) {
        cache::concurrent_cache cache{memory::host_store{model, 256_MiB}};
        std::vector<std::byte> memory(tokens * 1024, std::byte{1}); // shared by all layers
        std::vector<memory::kv_layer_view> const layers(
            16, {.key = memory.data(), .value = memory.data()});
        std::atomic<bool> working{true};
        std::thread reader{[&] {
            text const prompt(tokens, 1);
            while (working)
                matching.around([&] { benchmark::DoNotOptimize(cache.match({}, prompt)); });
        }};
        for (std::size_t i = 0; i < requests; ++i) {
            text const prompt(tokens, static_cast<text::value_type>(i));
            auto const lease = cache.open({}, prompt);
            committing.around([&] { (void)cache.commit(lease, prompt, {.kv = {layers}}); });
        }
        working = false;
        reader.join();
    }
    matching.report(state, "match");
    committing.report(state, "commit");
    state.SetItemsProcessed(static_cast<std::int64_t>(iterations(state) * requests));
}
BENCHMARK(copies)
    ->Name("contention/copies")
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

} // namespace
