#pragma once

// The engine with one policy's cache, behind one interface for all policies.

#include "engine.hpp"

#include <replay/baselines.hpp>
#include <replay/policy_name.hpp>
#include <replay/request.hpp>

#include <marconi/marconi.hpp>

#include <chrono>
#include <cstddef>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tiny {

/// What one request took up to its first token, in milliseconds.
struct first_token {
    /// How far its prefill was after a step.
    struct point {
        std::size_t tokens = 0;
        double wall = 0;
        double cpu = 0; ///< of the whole process
    };
    double wall = 0;
    double cpu = 0;
    std::size_t resumed = 0;
    std::vector<point> steps = {}; ///< the last is that of the first token
};

class contender {
public:
    virtual ~contender() = default;
    /// Serves one request to its end, with the answer that the trace has.
    virtual first_token serve(marconi::replay::request const& asked) = 0;
};

template <class Cache>
class contender_with : public contender {
public:
    /// `empties_when_full`: a request that does not fit whole empties the cache, as in
    /// marconi_replay's baselines, since some engines find out after they have evicted all there
    /// was.
    contender_with(model& runs, std::unique_ptr<Cache> cache, engine_options options,
                   bool empties_when_full = false)
        : cache_{std::move(cache)},
          engine_{runs, cache_.get(), options},
          empties_when_full_{empties_when_full} {}

    first_token serve(marconi::replay::request const& asked) override {
        auto const output = asked.output();
        request r{.in = {},
                  .prompt = {asked.input().begin(), asked.input().end()},
                  .answer_tokens = std::max<std::size_t>(1, output.size()),
                  .answer = {output.begin(), output.end()}};
        std::size_t const prompt = r.prompt.size();
        std::clock_t const cpu_start = std::clock();
        auto const start = std::chrono::steady_clock::now();
        auto const id = engine_.submit(std::move(r));
        first_token took;
        std::vector<sequence> done;
        for (std::size_t tokens = 0; tokens < prompt;) {
            if (!engine_.step()) break;
            std::chrono::duration<double, std::milli> const wall =
                std::chrono::steady_clock::now() - start;
            double const cpu =
                1000.0 * static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
            done = engine_.take_finished(); // it may have ended with its first token
            tokens = done.empty() ? engine_.computed(id) : prompt; // 0 if it has to start over
            took.steps.push_back({tokens, wall.count(), cpu});
        }
        if (!took.steps.empty()) {
            took.wall = took.steps.back().wall;
            took.cpu = took.steps.back().cpu;
        }
        while (engine_.step()) {
        }
        if (done.empty()) done = engine_.take_finished();
        if (done[0].end != ending::answered)
            throw marconi::error{"a request of " + std::to_string(done[0].tokens.size()) +
                                 " tokens has no room in the cache; try a larger capacity"};
        took.resumed = done[0].resumed;
        if (empties_when_full_ && cache_->stats().declined_commits != declined_) {
            cache_->clear();
            declined_ = cache_->stats().declined_commits;
        }
        return took;
    }

private:
    std::unique_ptr<Cache> cache_;
    engine<Cache> engine_;
    bool empties_when_full_;
    std::uint64_t declined_ = 0;
};

/// The engine as marconi_replay sets up a policy of that name.
[[nodiscard]] inline std::unique_ptr<contender>
make_contender(marconi::replay::policy_name const& chosen, model& runs,
               marconi::byte_count capacity, marconi::page_options cut, engine_options options) {
    using namespace marconi;
    auto const with = [&]<class Admission, class Eviction>(Admission admission, Eviction eviction,
                                                           bool empties_when_full = false) {
        using cache_type = prefix_cache<host_store, Admission, Eviction>;
        return std::unique_ptr<contender>{std::make_unique<contender_with<cache_type>>(
            runs,
            std::make_unique<cache_type>(host_store{runs.footprint(), capacity, cut},
                                         cache_options{}, admission, eviction),
            options, empties_when_full)};
    };
    if (chosen.kind == "vllm+") return with(always{token_count{32}}, replay::leaf_lru{});
    if (chosen.kind == "sglang+") return with(branch_and_tail{}, replay::leaf_lru{}, true);
    spaced const admission{token_count{chosen.checkpoint_every}};
    if (chosen.kind == "lru") return with(admission, lru{});
    if (chosen.kind == "gdsf") return with(admission, gdsf{});
    if (chosen.kind == "marconi" && chosen.alpha)
        return with(branch_and_tail{}, flop_aware{*chosen.alpha});
    if (chosen.kind == "marconi") {
        using cache_type = tuned_cache<host_store>;
        return std::make_unique<contender_with<cache_type>>(
            runs,
            std::make_unique<cache_type>(host_store{runs.footprint(), capacity, cut},
                                         cache_options{}, tuning_options{.deterministic = true}),
            options);
    }
    if (chosen.kind == "learned") {
        using cache_type = learning_cache<host_store, spaced>;
        return std::make_unique<contender_with<cache_type>>(
            runs,
            std::make_unique<cache_type>(host_store{runs.footprint(), capacity, cut},
                                         cache_options{}, learning_options{}, admission),
            options);
    }
    MARCONI_EXPECT(chosen.kind == "none", "policy", chosen.text(), "one that is served");
    options.memory = kv_memory::copy; // in slots of its own
    using cache_type = prefix_cache<host_store>;
    return std::make_unique<contender_with<cache_type>>(runs, nullptr, options);
}

} // namespace tiny
