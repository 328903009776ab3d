// marconi_replay: what a prefix cache saves on a trace of requests.

#include "describe.hpp"
#include "options.hpp"
#include "report.hpp"
#include "report_file.hpp"
#include "run.hpp"
#include "sizes.hpp"
#include "trace_reader.hpp"

#include <marconi/core/error.hpp>
#include <marconi/model/presets.hpp>

#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <new>
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
    std::map<std::string, int> seen; // one trace may be asked for twice, or be called as another
    auto const use_apart = [&](trace of) {
        if (int const nth = ++seen[of.name]; nth > 1) of.name += " (" + std::to_string(nth) + ")";
        use(std::move(of));
    };
    for (std::size_t i = 0; i < names.size(); ++i) {
        trace read = read_trace(chosen.traces[i], chosen.limit);
        read.name = names[i];
        use_apart(std::move(read));
    }
    for (workload const kind : chosen.synthetic) {
        use_apart(make_synthetic({.kind = kind,
                                  .seed = chosen.seed,
                                  .sessions = chosen.sessions,
                                  .limit = chosen.limit}));
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
    report_file file{chosen.out, std::cout};
    for (marconi::model::spec const& preset : marconi::model::presets()) {
        chosen.model = preset.name;
        marconi::footprint const f = footprint_of(chosen);
        file.stream() << preset.name << ": " << format_bytes(f.kv_bytes_per_token().value())
                      << " of KV a token, "
                      << format_bytes(f.checkpoint_bytes(marconi::token_count{1u << 20}).value())
                      << " a checkpoint, "
                      << format_flops(f.flops.up_to(marconi::token_count{1000}).value())
                      << " for 1,000 tokens\n    " << preset.source << '\n';
    }
    file.finish();
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
        if (!line.chosen) return std::cout.flush() ? line.exit_code : 1;
        if (line.chosen->list_models)
            print_models(*line.chosen);
        else if (line.chosen->describe)
            print_descriptions(*line.chosen);
        else
            replay(*line.chosen);
        return 0;
    } catch (std::bad_alloc const&) {
        std::cerr << "marconi_replay: out of memory\n";
        return 1;
    } catch (marconi::invalid_argument const& e) { // as for what the parser refuses
        std::cerr << "marconi_replay: " << e.what() << '\n';
        return 2;
    } catch (std::exception const& e) {
        std::cerr << "marconi_replay: " << e.what() << '\n';
        return 1;
    }
}
