#include "commands.hpp"
#include "proof.hpp"

#include <replay/progress.hpp>

#include <cstdio>
#include <iostream>
#include <memory>
#include <utility>

namespace tiny {
namespace {

std::map<std::string, kv_memory> const memories{{"copy", kv_memory::copy},
                                                {"in-place", kv_memory::in_place}};

struct prove_command {
    proof_options options;
    std::string memory = "in-place";
    std::string planted = "none";

    command define(CLI::App& app, std::shared_ptr<prove_command> self) {
        CLI::App* const sub = app.add_subcommand(
            "prove", "Runs random requests through a cache that is short of room and compares "
                     "every logit with the same request from scratch. Exits with 0 if no bit "
                     "differs, 1 if one does or the cache is found inconsistent, 2 if nothing was "
                     "put to the test");
        sub->add_option("--requests", options.requests, "Number of requests")
            ->capture_default_str();
        sub->add_option("--seed", options.seed, "Seed of the requests")->capture_default_str();
        sub->add_option("--mode", memory, "Where KV is while a request runs: " + names(memories))
            ->check(CLI::IsMember(memories))
            ->capture_default_str();
        std::map<std::string, bug> bugs;
        for (auto const& [name, which] : bug_names)
            bugs.emplace(name, which);
        sub->add_option("--plant", planted, "Mistake to plant in the engine: " + names(bugs))
            ->check(CLI::IsMember(bugs))
            ->capture_default_str();
        define_model(*sub, options.shape);
        return {sub, [self] { return self->run(); }};
    }

    int run() {
        options.memory = memories.at(memory);
        for (auto const& [name, which] : bug_names)
            if (name == planted) options.planted = which;
        proof_result r;
        {
            using marconi::replay::progress;
            progress shown{std::cerr, progress::is_terminal()};
            shown.begin("requests", options.requests);
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
        if (r.first_wrong) std::printf("first difference after %lu requests\n", *r.first_wrong);
        if (r.differing != 0 || !r.faults.empty()) return 1;
        if (r.resumed_tokens != 0 && r.evictions != 0) return 0;
        std::printf("nothing was resumed, or nothing evicted: this proves nothing\n");
        return 2;
    }
};

} // namespace

command define_prove(CLI::App& app) {
    auto const made = std::make_shared<prove_command>();
    return made->define(app, made);
}

} // namespace tiny
