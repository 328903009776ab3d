// Policies of your own, plugged in from outside: an admission policy that checkpoints at fixed
// positions, and an eviction policy that is one function.

#include <marconi/marconi.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

/// A checkpoint at the end of a system prompt of known length, and at the tail.
struct after_system_prompt {
    token_count length{512};

    [[nodiscard]] policy::capture_rule captures(policy::request_facts const& request) const {
        policy::capture_rule rule{.at = {}, .every = {}, .tail = true};
        if (request.matched < length && length <= request.limit) rule.at = {length};
        return rule;
    }
};
static_assert(policy::admission_policy<after_system_prompt>);

/// Evicts what saves the least for its age: the compute saved, halved every 100 ticks.
struct fading_savings {
    [[nodiscard]] double operator()(policy::usage const& history,
                                    policy::candidate_facts const& facts, tick now) const {
        double const age = static_cast<double>((now - history.last_use).value());
        return facts.flops_saved.value() * std::exp2(-age / 100);
    }
};
static_assert(policy::score_function<fading_savings>);

int main() {
    ledger_store store{model::find_preset("paper-7b").footprint(), 2_GB};
    prefix_cache cache{std::move(store), cache_options{}, after_system_prompt{},
                       policy::scored{fading_savings{}}};

    for (std::int32_t request = 0; request < 200; ++request) {
        std::vector<std::int32_t> prompt(512, 1);                   // one system prompt for all
        for (std::int32_t i = 0; i < 100 + 50 * (request % 7); ++i) // and a question of its own
            prompt.push_back(1'000 * request + i);

        auto lease = cache.open({}, prompt);
        std::vector<captured_state> captured; // a ledger only counts: it needs just positions
        for (token_count const position : lease.capture_at())
            captured.push_back({position});
        captured.push_back({token_count{prompt.size()}});
        cache.commit(lease, prompt, {.checkpoints = captured});
    }
    cache::counters const& stats = cache.stats();
    double const saved = 100 * stats.flops_saved.value() / stats.flops_asked.value();
    std::printf("%lu requests, %lu hits, %lu evictions, %.1f %% of all prefill FLOPs saved\n",
                stats.requests, stats.hits, stats.evictions(), saved);
    return stats.hits >= 150 && cache::audit(cache).empty() ? 0 : 1;
}
