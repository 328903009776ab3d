// How much would a cache save on my traffic? A trace through five eviction policies at three sizes,
// on a ledger: it counts bytes and holds none, so this runs anywhere. (bench/replay does the same
// for whole files.)

#include <marconi/marconi.hpp>

#include <cstdio>
#include <random>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

namespace {

struct logged_request {
    std::vector<std::int32_t> tokens; // prompt, then answer
    std::size_t prompt = 0;
};

/// Agents that come back again and again with all they have seen, and questions that come once.
std::vector<logged_request> make_trace() {
    std::mt19937 random{1};
    std::vector<std::vector<std::int32_t>> agents(12, std::vector<std::int32_t>(1500, 1));
    std::vector<logged_request> trace;
    for (int i = 0; i < 600; ++i) {
        bool const agent = random() % 3 != 0;
        std::vector<std::int32_t> once(1500, 1);
        auto& history = agent ? agents[random() % agents.size()] : once;
        if (history.size() > 12'000) history.resize(1500);
        for (std::size_t n = 200 + random() % 800; n > 0; --n)
            history.push_back(static_cast<std::int32_t>(random() % 30'000));
        std::size_t const prompt = history.size();
        for (std::size_t n = 50 + random() % 200; n > 0; --n)
            history.push_back(static_cast<std::int32_t>(random() % 30'000));
        trace.push_back({history, prompt});
    }
    return trace;
}

/// The share of all prefill FLOPs that a cache saves.
template <class Cache>
double share_saved(Cache& cache, std::vector<logged_request> const& trace) {
    for (logged_request const& r : trace)
        tune::replay(cache, {.in = {},
                             .tokens = r.tokens,
                             .prompt = token_count{r.prompt},
                             .limit = token_count{r.prompt - 1},
                             .ended = true});
    return cache.stats().flops_saved.value() / cache.stats().flops_asked.value();
}

} // namespace

int main() {
    auto const trace = make_trace();
    footprint const model = model::find_preset("nemotron-h-8b").footprint();
    branch_and_tail const admission;
    double tightest_lru = 0, tightest_learned = 0;

    std::printf("%8s %8s %8s %10s %10s %8s\n", "", "lru", "gdsf", "marconi:1", "marconi",
                "learned");
    for (byte_count const size : {4_GB, 2_GB, 1_GB}) {
        prefix_cache recent{ledger_store{model, size}, {}, admission, lru{}};
        prefix_cache greedy{ledger_store{model, size}, {}, admission, gdsf{}};
        prefix_cache fixed{ledger_store{model, size}, {}, admission, flop_aware{1.0}};
        tuned_cache tuned{ledger_store{model, size}, {}, tuning_options{.deterministic = true}};
        learning_cache learned{ledger_store{model, size}};
        tightest_lru = share_saved(recent, trace);
        tightest_learned = share_saved(learned, trace);
        std::printf("%5.0f GB %7.1f%% %7.1f%% %9.1f%% %9.1f%% %7.1f%%\n",
                    static_cast<double>(size.value()) / 1e9, 100 * tightest_lru,
                    100 * share_saved(greedy, trace), 100 * share_saved(fixed, trace),
                    100 * share_saved(tuned, trace), 100 * tightest_learned);
    }
    return tightest_learned > tightest_lru && tightest_lru > 0 ? 0 : 1;
}
