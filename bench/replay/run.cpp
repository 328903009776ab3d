#include "run.hpp"

#include "baselines.hpp"
#include "future.hpp"
#include "model_file.hpp"
#include "replayer.hpp"

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/error.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/model/presets.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/tune/learning_cache.hpp>
#include <marconi/tune/tuned_cache.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>

namespace marconi::replay {
namespace {

/// More than any trace fills, yet few enough pages for page ids to count.
byte_count unlimited(footprint const& model, memory::page_options const& cut) {
    return memory::page_layout{model, cut}.page_bytes() *
           (std::numeric_limits<std::uint32_t>::max() - 1);
}

/// One run, set up for any of the policies.
struct run {
    trace const& requests;
    footprint const& model;
    options const& chosen;
    progress& shown;
    result r;

    [[nodiscard]] memory::ledger_store store(byte_count capacity) const {
        return {model, capacity, {.block_tokens = token_count{chosen.block_tokens}}};
    }
    [[nodiscard]] cache::cache_options cache_options() const {
        return {.checkpoint_grid = token_count{chosen.checkpoint_grid}};
    }

    template <class Cache>
    void through(
        Cache& cache, when_full full = when_full::stores_what_fits,
        std::function<void(std::size_t)> const& before = [](std::size_t) {}) {
        auto const start = std::chrono::steady_clock::now();
        measurements measured{model, chosen.ttft};
        replay_trace(cache, requests, chosen, measured, shown, full, before);
        measured.write(r);
        cache::occupancy const holds = cache.holds();
        r.evictions = cache.stats().evictions();
        r.peak_bytes = holds.peak.value();
        r.nodes = holds.nodes;
        r.checkpoints = holds.checkpoint_count;
        r.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    template <class Admission, class Eviction>
    void with(byte_count capacity, Admission admission, Eviction eviction,
              when_full full = when_full::stores_what_fits) {
        cache::prefix_cache cache{store(capacity), cache_options(), std::move(admission),
                                  std::move(eviction)};
        through(cache, full);
    }
    template <class Eviction>
    void with_alpha(byte_count capacity, policy::branch_and_tail admission,
                    std::optional<double> alpha, when_full full = when_full::stores_what_fits) {
        if (alpha) {
            with(capacity, admission, Eviction{*alpha}, full);
            r.alpha = alpha;
            return;
        }
        tune::tuned_cache<memory::ledger_store, policy::branch_and_tail, Eviction> cache{
            store(capacity), cache_options(), {.deterministic = true}, admission};
        through(cache, full);
        r.alpha = cache.eviction().alpha();
    }
    void while_learning(byte_count capacity, policy::spaced admission) {
        tune::learning_cache cache{store(capacity), cache_options(), {}, admission};
        through(cache);
    }
    void knowing_what_comes(byte_count capacity, policy::spaced admission) {
        future const what_comes{requests, chosen.whole_prompt};
        known_nodes nodes;
        cache::prefix_cache cache{store(capacity), cache_options(), admission,
                                  foresight{what_comes, nodes}, known_nodes_observer{&nodes}};
        through(cache, when_full::stores_what_fits, [&](std::size_t i) { nodes.current = i; });
    }
    void without_cache() {
        measurements measured{model, chosen.ttft};
        for (request const& q : requests.requests)
            measured.add(token_count{q.prompt_tokens}, {}, 0);
        measured.write(r);
        shown.advance(requests.requests.size());
    }
};

} // namespace

footprint footprint_of(options const& chosen) {
    if (is_model_file(chosen.model)) return read_model(chosen.model);
    if (std::ranges::count(model::presets(), chosen.model, &model::spec::name) == 0)
        throw_invalid("model", "'" + chosen.model + "'",
                      "a preset (--list-models has them), or a file named *.json");
    auto const flavour = chosen.cost == cost_model::paper ? model::cost::paper : model::cost::shape;
    return model::find_preset(chosen.model).footprint({.flavour = flavour});
}

result run_one(trace const& requests, policy_name const& policy, byte_count capacity,
               footprint const& model, options const& chosen, progress& shown) {
    run one{requests, model, chosen, shown, {}};
    one.r.trace = requests.name;
    one.r.policy = policy.text();
    one.r.model = chosen.model;
    one.r.cost = is_model_file(chosen.model) ? "own" : name_of(chosen.cost);
    one.r.block_tokens = chosen.block_tokens;
    one.r.checkpoint_grid = chosen.checkpoint_grid;
    one.r.whole_prompt = chosen.whole_prompt;
    one.r.ttft = name_of(chosen.ttft);
    one.r.thoughts = chosen.thoughts;
    one.r.before_answer = chosen.before_answer;
    one.r.prompts_only = chosen.prompts_only;
    if (chosen.limit != options{}.limit) one.r.limit = chosen.limit;
    one.r.seed = requests.seed;
    one.r.sessions = requests.sessions;
    std::string const& kind = policy.kind;
    if (policy.has_limit()) one.r.capacity_bytes = capacity.value();
    policy::branch_and_tail const marconi{.before_answer = token_count{chosen.before_answer}};
    policy::spaced const spaced{token_count{policy.checkpoint_every}, marconi};
    memory::page_options const cut{.block_tokens = token_count{chosen.block_tokens}};
    if (kind == "none")
        one.without_cache();
    else if (kind == "vllm+")
        one.with(capacity, policy::always{token_count{32}}, leaf_lru{});
    else if (kind == "sglang+")
        one.with(capacity, policy::branch_and_tail{}, leaf_lru{}, when_full::empties);
    else if (kind == "lru")
        one.with(capacity, spaced, policy::lru{});
    else if (kind == "gdsf")
        one.with(capacity, spaced, policy::gdsf{});
    else if (kind == "learned")
        one.while_learning(capacity, spaced);
    else if (kind == "oracle")
        one.knowing_what_comes(capacity, spaced);
    else if (kind == "marconi")
        one.with_alpha<policy::flop_aware>(capacity, marconi, policy.alpha);
    else if (kind == "marconi-artifact")
        one.with_alpha<artifact_score>(capacity, {}, policy.alpha, when_full::makes_room_first);
    else if (kind == "infinite")
        one.with(unlimited(model, cut), spaced, policy::lru{});
    else
        throw contract_violation{"no policy is called " + kind};
    return one.r;
}

} // namespace marconi::replay
