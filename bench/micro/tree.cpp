// The index by itself: comparing at memory speed, splitting and merging.

#include "measure.hpp"
#include "workloads.hpp"

#include <marconi/core/types.hpp>
#include <marconi/index/match.hpp>
#include <marconi/index/radix_tree.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace {

using namespace marconi;
using namespace marconi::micro;

struct nothing {};
using tree_type = index::radix_tree<std::int32_t, nothing>;

text some_text(std::size_t tokens) {
    text t;
    random_source{8}.append_text(t, tokens);
    return t;
}

/// Runs that are equal but for the last token.
void common_prefix(benchmark::State& state) {
    auto const tokens = static_cast<std::size_t>(state.range(0));
    text const a = some_text(tokens);
    text b = a;
    b.back() ^= 1;
    std::size_t same = 0;
    double seconds = 0;
    durations each;
    for (auto _ : state) {
        seconds = timed([&] { same += index::common_prefix(a.data(), b.data(), tokens); });
        each.add(seconds);
        state.SetIterationTime(seconds);
    }
    double compare = 0;
    int difference = 0;
    durations ceiling;
    for (int i = 0; i < 200; ++i) {
        compare = timed([&] {
            benchmark::ClobberMemory();
            difference += std::memcmp(a.data(), b.data(), tokens * 4) != 0;
        });
        ceiling.add(compare);
    }
    state.counters["common_prefix_us"] = each.median_us();
    state.counters["ceiling_memcmp_us"] = ceiling.median_us();
    state.SetItemsProcessed(static_cast<std::int64_t>(iterations(state) * tokens));
    state.SetBytesProcessed(static_cast<std::int64_t>(2 * iterations(state) * tokens * 4));
    expect_equal(state, same, iterations(state) * (tokens - 1), "tokens in common");
    expect_equal(state, static_cast<std::size_t>(difference), 200, "differences");
}
BENCHMARK(common_prefix)
    ->Arg(16)
    ->Arg(512)
    ->Arg(30'000)
    ->Arg(4'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

/// Splits one long edge in its middle and undoes it, again and again: the cost is the same whatever
/// the length.
void split_and_merge(benchmark::State& state) {
    auto const tokens = static_cast<std::uint32_t>(state.range(0));
    tree_type tree{16, true};
    text const t = some_text(tokens);
    node_id const root = tree.make_root({});
    node_id const leaf = tree.add(root, tree.paths().create(0, t), tokens, true);
    durations splits, merges;
    std::size_t halves = 0;
    for (auto _ : state) {
        node_id upper;
        double const splitting = timed([&] { upper = tree.split(leaf, tokens / 2); });
        halves += tree.tokens(upper).size();
        double const merging = timed([&] {
            tree.reserve_merge(upper);
            tree.merge_into_child(upper);
        });
        splits.add(splitting);
        merges.add(merging);
        state.SetIterationTime(splitting + merging);
    }
    state.counters["split_us"] = splits.median_us();
    state.counters["merge_us"] = merges.median_us();
    state.SetItemsProcessed(static_cast<std::int64_t>(2 * state.iterations()));
    expect_equal(state, halves, iterations(state) * (tokens / 2), "tokens in upper halves");
    expect_equal(state, tree.tokens(leaf).size(), tokens, "tokens of the merged edge");
}
BENCHMARK(split_and_merge)->Arg(64)->Arg(30'000)->UseManualTime()->Unit(benchmark::kMicrosecond);

/// Merges two edges that different requests stored: the shorter one's tokens move, and a copy of
/// them is the ceiling.
void merge_across_segments(benchmark::State& state) {
    auto const tokens = static_cast<std::uint32_t>(state.range(0));
    text const t = some_text(tokens);
    std::span<std::int32_t const> const all = t;
    std::uint32_t const cut = tokens / 2;
    durations merges, copies;
    std::size_t merged = 0;
    text copy(tokens);
    for (auto _ : state) {
        tree_type tree{16, true};
        node_id const upper =
            tree.add(tree.make_root({}), tree.paths().create(0, all.first(cut)), cut, true);
        tree.add(upper, tree.paths().create(cut, all.subspan(cut)), tokens, true);
        node_id left;
        double const seconds = timed([&] {
            tree.reserve_merge(upper);
            left = tree.merge_into_child(upper);
        });
        merged += tree.tokens(left).size();
        merges.add(seconds);
        state.SetIterationTime(seconds);
        copies.add(timed([&] { std::memcpy(copy.data(), t.data(), cut * std::size_t{4}); }));
        benchmark::DoNotOptimize(copy.data());
    }
    state.counters["merge_us"] = merges.median_us();
    state.counters["ceiling_memcpy_us"] = copies.median_us();
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.SetBytesProcessed(static_cast<std::int64_t>(iterations(state) * cut * 4));
    expect_equal(state, merged, iterations(state) * tokens, "tokens of merged edges");
}
BENCHMARK(merge_across_segments)
    ->Arg(64)
    ->Arg(30'000)
    ->Iterations(2000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

} // namespace
