// Conversations: 2,000 sessions of 10 turns over 20 system prompts (W1). Everything is kept; or
// only a fifth of it, and nearly every turn has to make room first (W3).

#include "measure.hpp"
#include "serve.hpp"
#include "workloads.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

namespace {

using namespace marconi;
using namespace marconi::micro;

/// The ceiling of a match: each prompt's known tokens compared with a copy of them.
double compare_us(chat_sessions const& sessions, std::size_t count) {
    chat_sessions const same{count};
    durations compares;
    int difference = 0;
    for (std::size_t i = 0; i < sessions.requests().size(); ++i) {
        auto const a = sessions.requests()[i].prompt;
        auto const b = same.requests()[i].prompt;
        std::size_t const known = a.size() - chat_sessions::turn_input;
        compares.add(timed([&] { difference |= std::memcmp(a.data(), b.data(), known * 4); }));
    }
    benchmark::DoNotOptimize(difference);
    return compares.median_us();
}

void all_kept(benchmark::State& state, model_kind model, std::size_t block, std::size_t count) {
    chat_sessions const sessions{count};
    std::size_t const heap_before = heap_bytes();
    auto const cache = std::make_unique<cache_of<>>(ledger(model, block));
    stages clocked;
    std::size_t matched = 0, stored = 0, tokens = 0;
    auto r = sessions.requests().begin();
    for (auto _ : state) {
        served result;
        state.SetIterationTime(serve(*cache, *r, clocked, result));
        matched += result.matched;
        stored += result.outcome.stored_tokens.value();
        tokens += r->whole.size();
        ++r;
    }
    report_memory(state, *cache, heap_bytes() - heap_before - clocked.bytes(), stored);
    clocked.report(state);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.SetBytesProcessed(static_cast<std::int64_t>(tokens * 4));
    state.counters["ceiling_match_us"] = compare_us(sessions, count);
    expect_equal(state, matched, sessions.known_tokens(), "tokens matched");
    expect_equal(state, stored, sessions.distinct_tokens(), "tokens stored");
}

void a_fifth_kept(benchmark::State& state, model_kind model, std::size_t block, std::size_t count) {
    chat_sessions const sessions{count};
    // For the hybrid as many bytes again go to checkpoints.
    std::size_t const pages =
        sessions.distinct_tokens() / 5 / block * (model == model_kind::hybrid ? 2 : 1);
    auto const cache = std::make_unique<cache_of<>>(ledger(model, block, pages));
    byte_count const page = cache->store().layout().page_bytes();
    std::size_t const call_tokens = 2400;
    stages clocked;
    durations evictions;
    std::size_t tokens = 0, published = 0, made = 0, freed = 0;
    auto r = sessions.requests().begin();
    for (auto _ : state) {
        double seconds = 0;
        if (cache->holds().used + page * (2 * call_tokens) > cache->holds().capacity) {
            byte_count got;
            seconds = timed([&] { got = cache->evict(page * (call_tokens / block)); });
            evictions.add(seconds);
            freed += got >= page * (call_tokens / block);
            ++made;
        }
        served result;
        state.SetIterationTime(seconds + serve(*cache, *r, clocked, result));
        tokens += r->whole.size();
        published += result.outcome.position.value();
        ++r;
    }
    clocked.report(state);
    state.counters["evict_2400_tokens_us"] = evictions.median_us();
    state.counters["evictions"] = static_cast<double>(cache->stats().evictions());
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    expect_equal(state, published, tokens, "tokens published");
    expect_equal(state, freed, made, "calls that freed what they were asked for");
}

int const registered = [] {
    for (model_kind const model : {model_kind::attention, model_kind::hybrid})
        for (std::size_t const block : {1u, 16u})
            for (std::size_t const count : {100u, 2000u}) {
                auto const add = [&](char const* what, auto&& run) {
                    std::string const name = name_of(what, model, block, "sessions", count);
                    benchmark::RegisterBenchmark(name.c_str(), run, model, block, count)
                        ->Iterations(static_cast<std::int64_t>(count * chat_sessions::turns))
                        ->UseManualTime()
                        ->Unit(benchmark::kMicrosecond);
                };
                add("W1_sessions", all_kept);
                add("W3_sessions_in_a_fifth", a_fifth_kept);
            }
    return 0;
}();

} // namespace
