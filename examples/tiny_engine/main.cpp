// tiny_engine: a small hybrid model that runs, with a prefix cache.

#include "proof.hpp"

#include <replay/progress.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <iostream>
#include <map>
#include <string>

namespace {

using namespace tiny;

std::map<std::string, kv_memory> const memories{{"copy", kv_memory::copy},
                                                {"in-place", kv_memory::in_place}};

template <class Value>
std::string names(std::map<std::string, Value> const& of) {
    std::string all;
    for (auto const& [name, value] : of)
        all += (all.empty() ? "" : ", ") + name;
    return all;
}

void define_model(CLI::App& app, model_shape& shape) {
    auto const size = [&](char const* name, std::size_t& to, char const* what) {
        app.add_option(name, to, what)->capture_default_str()->group("Model");
    };
    app.add_option("--layers", shape.layers,
                   "A letter a layer: M, Mamba-2; A, attention; S, attention over a window")
        ->capture_default_str()
        ->group("Model");
    size("--width", shape.width, "Of the residual stream");
    size("--vocabulary", shape.vocabulary, "Tokens there are");
    size("--mlp-width", shape.mlp_width, "Of the MLP after each layer");
    size("--heads", shape.heads, "Query heads of A and S");
    size("--kv-heads", shape.kv_heads, "Key and value heads; a divisor of --heads");
    size("--head-dim", shape.head_dim, "Elements of a head; even");
    size("--window", shape.window, "Tokens that S attends to");
    size("--mamba-heads", shape.mamba_heads, "Heads of M");
    size("--mamba-head-dim", shape.mamba_head_dim, "Channels of such a head");
    size("--mamba-state", shape.mamba_state, "N, the state of a channel");
    size("--taps", shape.taps, "Of M's convolution");
}

struct prove_command {
    proof_options options;
    std::string memory = "in-place";
    std::string planted = "none";

    CLI::App* define(CLI::App& app) {
        CLI::App* const sub = app.add_subcommand(
            "prove", "Random requests through a cache that is short of room; every logit is "
                     "compared with the same request from scratch. Exits 0 if no bit differs, 1 "
                     "if one does, 2 if nothing was put to the test");
        sub->add_option("--requests", options.requests, "How many")->capture_default_str();
        sub->add_option("--seed", options.seed, "Of the requests")->capture_default_str();
        sub->add_option("--mode", memory, "Where KV is while a request runs: " + names(memories))
            ->check(CLI::IsMember(memories))
            ->capture_default_str();
        std::map<std::string, bug> bugs;
        for (auto const& [name, which] : bug_names)
            bugs.emplace(name, which);
        sub->add_option("--plant", planted, "A mistake for the engine to make: " + names(bugs))
            ->check(CLI::IsMember(bugs))
            ->capture_default_str();
        define_model(*sub, options.shape);
        return sub;
    }

    int run() {
        options.memory = memories.at(memory);
        for (auto const& [name, which] : bug_names)
            if (name == planted) options.planted = which;
        proof_result r;
        {
            marconi::replay::progress shown{std::cerr, marconi::replay::progress::is_terminal(),
                                            options.requests, "requests"};
            std::uint64_t before = 0;
            options.progress = [&](std::uint64_t done) {
                shown.advance(done - std::exchange(before, done));
            };
            r = prove(options);
        }
        return report(r);
    }

    [[nodiscard]] int report(proof_result const& r) const {
        double const share = 100 * static_cast<double>(r.resumed_tokens) /
                             static_cast<double>(std::max<std::uint64_t>(1, r.asked_tokens));
        std::printf("%lu requests, %s, seed %lu: %lu answered, %lu aborted, %lu without room, %lu "
                    "preemptions\n%lu resumed from the cache (%.1f %% of all prompt tokens), %lu "
                    "evictions\n",
                    r.requests, memory.c_str(), options.seed, r.answered, r.aborted, r.no_room,
                    r.preemptions, r.resumed, share, r.evictions);
        for (std::string const& fault : r.faults)
            std::printf("audit: %s\n", fault.c_str());
        std::printf("%lu logits compared with the same requests from scratch, %lu differ\n",
                    r.compared, r.differing);
        if (r.first_wrong) std::printf("the first after %lu requests\n", *r.first_wrong);
        if (r.differing != 0 || !r.faults.empty()) return 1;
        if (r.resumed_tokens != 0 && r.evictions != 0) return 0;
        std::printf("nothing was resumed, or nothing evicted: this proves nothing\n");
        return 2;
    }
};

} // namespace

int main(int argc, char** argv) {
    CLI::App app{"A small hybrid model that runs, with a prefix cache: proves that a resumed "
                 "request is the same request, and measures what the cache is for"};
    app.require_subcommand(1);
    prove_command prove_it;
    CLI::App* const prove = prove_it.define(app);
    CLI11_PARSE(app, argc, argv);
    try {
        (void)prove;
        return prove_it.run();
    } catch (std::exception const& e) {
        std::cerr << "tiny_engine: " << e.what() << '\n';
        return 3;
    }
}
