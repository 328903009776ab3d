#include "commands.hpp"
#include "program.hpp"
#include "proof.hpp"

#include <marconi/core/error.hpp>

#include <replay/progress.hpp>
#include <replay/report_file.hpp>
#include <replay/sizes.hpp>

#include <memory>
#include <optional>
#include <ostream>
#include <utility>

namespace tiny {
namespace {

namespace replay = marconi::replay;

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
                     "put to the test or an option is refused, 3 if it came to no report");
        add_number(*sub, "--requests", options.requests, "Number of requests", 1, replay::any);
        add_number(*sub, "--seed", options.seed, "Seed of the requests", 0, replay::any);
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
        return {sub, [self](std::ostream& out, std::ostream& err) {
                    replay::report_file file{std::nullopt, out};
                    int const code = self->report(self->run(err), file.stream());
                    file.finish();
                    return code;
                }};
    }

    proof_result run(std::ostream& err) {
        options.memory = memories.at(memory);
        for (auto const& [name, which] : bug_names)
            if (name == planted) options.planted = which;
        (void)options.shape.spec().footprint(); // if that is refused, so is an option
        replay::progress shown{err, replay::progress::is_terminal()};
        shown.begin("requests", options.requests);
        std::uint64_t before = 0;
        options.progress = [&](std::uint64_t done) {
            shown.advance(done - std::exchange(before, done));
        };
        try {
            return prove(options);
        } catch (marconi::invalid_argument const& e) { // of the engine's, not of an option
            throw marconi::error{e.what()};
        }
    }

    [[nodiscard]] int report(proof_result const& r, std::ostream& to) const {
        double const share = 100 * static_cast<double>(r.resumed_tokens) /
                             static_cast<double>(std::max<std::uint64_t>(1, r.asked_tokens));
        to << r.requests << " requests, " << memory << ", seed " << options.seed << ": "
           << r.answered << " answered, " << r.aborted << " aborted, " << r.no_room
           << " without room, " << r.preemptions << " preemptions\n"
           << r.resumed << " resumed from the cache (" << replay::format_fixed(share, 1)
           << " % of all prompt tokens), " << r.evictions << " evictions\n";
        for (std::string const& fault : r.faults)
            to << "audit: " << fault << '\n';
        to << r.compared << " logits compared with the same requests from scratch, " << r.differing
           << " differ\n";
        if (r.first_wrong) to << "first difference after " << *r.first_wrong << " requests\n";
        if (r.differing != 0 || !r.faults.empty()) return exit_code::differs;
        if (r.resumed_tokens != 0 && r.evictions != 0) return exit_code::good;
        to << "nothing was resumed, or nothing evicted: this proves nothing\n";
        return exit_code::refused;
    }
};

} // namespace

command define_prove(CLI::App& app) {
    auto const made = std::make_shared<prove_command>();
    return made->define(app, made);
}

} // namespace tiny
