#include "program.hpp"

#include "describe.hpp"
#include "each_trace.hpp"
#include "exit_code.hpp"
#include "model_file.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "report_file.hpp"
#include "run.hpp"
#include "run_all.hpp"
#include "sizes.hpp"

#include <marconi/model/presets.hpp>

#include <algorithm>
#include <iterator>
#include <ostream>
#include <string>
#include <vector>

namespace marconi::replay {
namespace {

struct streams {
    std::ostream& out;
    std::ostream& err;
};

void expect_inputs_stay(options const& chosen) {
    std::vector<std::string> inputs = chosen.traces;
    if (is_model_file(chosen.model)) inputs.push_back(chosen.model);
    expect_out_is_no_input(chosen.out, inputs);
}

/// Hands each trace to `use`; then `write` reports those that worked, if any did: a later failure
/// does not throw away hours of work.
template <class Use, class Write>
int report_on(options const& chosen, streams to, Use use, Write write) {
    expect_inputs_stay(chosen);
    report_file file{chosen.out, to.out};
    trace_tally traces;
    {
        progress shown{to.err, progress::is_terminal()};
        traces = for_each_trace(chosen, to.err, shown,
                                [&](trace const& t, auto const& which) { use(t, which, shown); });
    }
    if (traces.worked == 0) return exit_code::incomplete;
    write(file.stream());
    file.finish();
    if (traces.failed == 0) return exit_code::good;
    to.err << "marconi_replay: " << traces.failed << " of " << traces.failed + traces.worked
           << " traces failed; the report has the others\n";
    return exit_code::incomplete;
}

int print_descriptions(options const& chosen, streams to) {
    std::vector<trace_statistics> statistics;
    return report_on(
        chosen, to,
        [&](trace const& t, auto const&, progress& shown) {
            statistics.push_back(describe(t, shown));
        },
        [&](std::ostream& report) { print_statistics(statistics, report); });
}

int replay(options const& chosen, streams to) {
    check_caches(chosen); // reports what is wrong for all traces before one is read
    std::vector<result> results;
    return report_on(
        chosen, to,
        [&](trace const& t, std::string const& which, progress& shown) {
            std::ranges::move(run_all(t, chosen, shown, which), std::back_inserter(results));
        },
        [&](std::ostream& report) { write_report(chosen.format, results, report); });
}

int print_models(options chosen, streams to) {
    expect_inputs_stay(chosen);
    report_file file{chosen.out, to.out};
    for (model::spec const& preset : model::presets()) {
        chosen.model = preset.name;
        footprint const f = footprint_of(chosen);
        file.stream() << preset.name << ": " << format_bytes(f.kv_bytes_per_token().value())
                      << " of KV a token, "
                      << format_bytes(f.checkpoint_bytes(token_count{1u << 20}).value())
                      << " a checkpoint, " << format_flops(f.flops.up_to(token_count{1000}).value())
                      << " for 1,000 tokens\n    " << preset.source << '\n';
    }
    file.finish();
    return exit_code::good;
}

int carry_out(int argc, char const* const* argv, streams to) {
    command_line const line = parse_command_line(argc, argv, to.out, to.err);
    if (!line.chosen) return to.out.flush() ? line.exit_code : exit_code::incomplete;
    if (line.chosen->list_models) return print_models(*line.chosen, to);
    if (line.chosen->describe) return print_descriptions(*line.chosen, to);
    return replay(*line.chosen, to);
}

} // namespace

int run_program(int argc, char const* const* argv, std::ostream& out, std::ostream& err) {
    return exit_code_of(
        [&] {
            return carry_out(argc, argv, {out, err});
        },
        "marconi_replay", exit_code::incomplete, err);
}

} // namespace marconi::replay
