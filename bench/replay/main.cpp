// marconi_replay: what a prefix cache saves on a trace of requests.

#include "describe.hpp"
#include "options.hpp"
#include "report.hpp"
#include "run.hpp"
#include "sizes.hpp"
#include "trace_reader.hpp"

#include <marconi/core/error.hpp>
#include <marconi/model/presets.hpp>

#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace marconi::replay;

/// Calls `use` with one trace after another: several at once might not fit the memory.
template <class Use>
void for_each_trace(options const& chosen, Use use) {
    std::vector<std::string> const names = trace_names(chosen.traces);
    for (std::size_t i = 0; i < names.size(); ++i) {
        trace read = read_trace(chosen.traces[i], chosen.limit);
        read.name = names[i];
        use(std::move(read));
    }
    for (workload const kind : chosen.synthetic) {
        trace made =
            make_synthetic({.kind = kind, .seed = chosen.seed, .sessions = chosen.sessions});
        if (made.requests.size() > chosen.limit) made.requests.resize(chosen.limit);
        use(std::move(made));
    }
}

void expect_out_is_no_trace(options const& chosen) {
    std::error_code none_there;
    for (std::string const& trace : chosen.traces)
        if (chosen.out && std::filesystem::equivalent(trace, *chosen.out, none_there))
            marconi::throw_invalid("--out", "'" + *chosen.out + "'", "no file that is read");
}

void print_descriptions(options const& chosen) {
    expect_out_is_no_trace(chosen);
    report_file file{chosen.out, std::cout};
    std::vector<trace_statistics> statistics;
    for_each_trace(chosen, [&](trace const& t) { statistics.push_back(describe(t)); });
    print_statistics(statistics, file.stream());
    file.finish();
}

void print_models(options chosen) {
    for (marconi::model::spec const& preset : marconi::model::presets()) {
        chosen.model = preset.name;
        marconi::footprint const f = footprint_of(chosen);
        std::cout << preset.name << ": " << format_bytes(f.kv_bytes_per_token().value())
                  << " of KV a token, "
                  << format_bytes(f.checkpoint_bytes(marconi::token_count{1u << 20}).value())
                  << " a checkpoint, "
                  << format_flops(f.flops.up_to(marconi::token_count{1000}).value())
                  << " for 1,000 tokens\n    " << preset.source << '\n';
    }
}

void replay(options const& chosen) {
    (void)footprint_of(chosen); // a wrong name is told before a trace is read
    expect_out_is_no_trace(chosen);
    report_file file{chosen.out, std::cout};
    std::vector<result> results;
    for_each_trace(chosen, [&](trace const& t) {
        for (result& r : run_all(t, chosen))
            results.push_back(std::move(r));
    });
    write_report(chosen.format, results, file.stream());
    file.finish();
}

} // namespace

int main(int argc, char** argv) {
    try {
        command_line const line = parse_command_line(argc, argv, std::cout, std::cerr);
        if (!line.chosen) return line.exit_code;
        if (line.chosen->list_models)
            print_models(*line.chosen);
        else if (line.chosen->describe)
            print_descriptions(*line.chosen);
        else
            replay(*line.chosen);
        return 0;
    } catch (std::exception const& e) {
        std::cerr << "marconi_replay: " << e.what() << '\n';
        return 1;
    }
}
