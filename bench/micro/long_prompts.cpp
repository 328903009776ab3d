// Long prompts: 300 of 32,768 tokens, each asked five times (W2); and single requests of 30,000
// tokens, of which nothing, all, or all but 500 tokens are known.

#include "measure.hpp"
#include "serve.hpp"
#include "workloads.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace marconi;
using namespace marconi::micro;

/// Ceilings of a match and of a commit: a comparison with, and a copy to, memory that has not been
/// used for a while.
void report_ceilings(benchmark::State& state, text const& prompt) {
    constexpr std::size_t copies = 300;
    std::vector<text> others(copies, prompt);
    durations compares, moves;
    int difference = 0;
    for (text& other : others)
        compares.add(timed(
            [&] { difference |= std::memcmp(other.data(), prompt.data(), prompt.size() * 4); }));
    for (text& other : others)
        moves.add(timed([&] { std::memcpy(other.data(), prompt.data(), prompt.size() * 4); }));
    benchmark::DoNotOptimize(difference);
    benchmark::DoNotOptimize(others.back().data());
    state.counters["ceiling_match_us"] = compares.median_us();
    state.counters["ceiling_commit_us"] = moves.median_us();
}

constexpr std::size_t repeats = 5;

void asked_again(benchmark::State& state, model_kind model, std::size_t block, std::size_t count) {
    long_prompts const prompts{count, 32768, repeats};
    auto const cache = std::make_unique<cache_of<>>(ledger(model, block));
    stages first, again;
    std::size_t matched = 0, stored = 0;
    std::vector<bool> known(count);
    auto at = prompts.order().begin();
    for (auto _ : state) {
        text const& prompt = prompts[*at];
        served result;
        state.SetIterationTime(serve(*cache, {prompt, prompt}, known[*at] ? again : first, result));
        known[*at++] = true;
        matched += result.matched;
        stored += result.outcome.stored_tokens.value();
    }
    state.counters["match_hit_us"] = again.match.median_us();
    state.counters["commit_new_us"] = first.commit.median_us();
    state.counters["request_hit_us"] = again.request.median_us();
    state.counters["request_new_us"] = first.request.median_us();
    report_ceilings(state, prompts[0]);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.SetBytesProcessed(static_cast<std::int64_t>((matched + stored) * 4));
    expect_equal(state, matched, count * 32768 * (repeats - 1), "tokens matched");
    expect_equal(state, stored, count * 32768, "tokens stored");
}

/// What is known of a request when it comes.
enum class kind { all_new, all_known, extends };
constexpr std::size_t request_tokens = 30000;
constexpr std::size_t extension = 500;

/// The cache is always full: what is newly stored pushes out older requests.
void one_request(benchmark::State& state, model_kind model, std::size_t block, kind is) {
    constexpr std::size_t resident = 100;
    std::size_t const state_pages = memory::page_layout{
        footprint_of(model),
        {.block_tokens =
             token_count{block}}}.checkpoint_pages(token_count{request_tokens});
    std::size_t const each = request_tokens / block + 1 + 2 * state_pages;
    auto const cache = std::make_unique<cache_of<>>(ledger(model, block, resident * each));
    random_source random{6};
    std::vector<text> texts(resident / 2);
    for (text& t : texts)
        random.append_text(t, request_tokens);
    stages clocked;
    std::size_t wrong = 0, turn = 0;
    auto const ask = [&](stages& clocks) {
        text& t = texts[turn++ % texts.size()];
        if (is == kind::all_new) {
            t.clear();
            random.append_text(t, request_tokens);
        } else if (is == kind::extends) {
            t.resize(request_tokens - extension);
            random.append_text(t, extension);
        }
        std::size_t const expected = is == kind::all_new     ? 0
                                     : is == kind::all_known ? request_tokens
                                                             : request_tokens - extension;
        served result;
        double const seconds = serve(*cache, {t, t}, clocks, result);
        wrong += result.matched != expected ||
                 result.outcome.stored_tokens.value() != request_tokens - expected;
        return seconds;
    };
    stages warming;
    for (std::size_t i = 0; i < 2 * resident; ++i)
        ask(warming);
    wrong = 0;
    for (auto _ : state)
        state.SetIterationTime(ask(clocked));
    clocked.report(state);
    report_ceilings(state, texts[0]);
    state.counters["evictions"] = static_cast<double>(cache->stats().evictions());
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.SetBytesProcessed(static_cast<std::int64_t>(iterations(state) * request_tokens * 4));
    expect_equal(state, wrong, 0, "requests that found or stored too little");
}

int const registered = [] {
    for (model_kind const model : {model_kind::attention, model_kind::hybrid})
        for (std::size_t const block : {1u, 16u}) {
            for (std::size_t const count : {30u, 300u})
                benchmark::RegisterBenchmark(
                    name_of("W2_long_prompts", model, block, "prompts", count).c_str(), asked_again,
                    model, block, count)
                    ->Iterations(static_cast<std::int64_t>(count * repeats))
                    ->UseManualTime()
                    ->Unit(benchmark::kMicrosecond);
            for (auto const& [name, is] :
                 {std::pair{"request_30000/all_new", kind::all_new},
                  std::pair{"request_30000/all_known", kind::all_known},
                  std::pair{"request_30000/extends_by_500", kind::extends}})
                benchmark::RegisterBenchmark(name_of(name, model, block).c_str(), one_request,
                                             model, block, is)
                    ->UseManualTime()
                    ->Unit(benchmark::kMicrosecond);
        }
    return 0;
}();

} // namespace
