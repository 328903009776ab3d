// marconi_replay: what a prefix cache saves on a trace of requests.

#include "describe.hpp"
#include "options.hpp"
#include "report.hpp"
#include "trace_reader.hpp"

#include <exception>
#include <iostream>

namespace {

using namespace marconi::replay;

std::vector<trace> read_traces(options const& chosen) {
    std::vector<trace> traces;
    for (std::string const& path : chosen.traces)
        traces.push_back(read_trace(path, chosen.limit));
    for (workload const kind : chosen.synthetic) {
        trace made =
            make_synthetic({.kind = kind, .seed = chosen.seed, .sessions = chosen.sessions});
        if (made.requests.size() > chosen.limit) made.requests.resize(chosen.limit);
        traces.push_back(std::move(made));
    }
    return traces;
}

void print_descriptions(options const& chosen) {
    report_file file{chosen.out, std::cout};
    std::vector<trace_statistics> statistics;
    for (trace const& t : read_traces(chosen))
        statistics.push_back(describe(t));
    print_statistics(statistics, file.stream());
    file.finish();
}

} // namespace

int main(int argc, char** argv) {
    try {
        command_line const line = parse_command_line(argc, argv, std::cout, std::cerr);
        if (!line.chosen) return line.exit_code;
        if (!line.chosen->describe)
            throw marconi::error{"only --describe is at hand so far; replaying is not"};
        print_descriptions(*line.chosen);
        return 0;
    } catch (std::exception const& e) {
        std::cerr << "marconi_replay: " << e.what() << '\n';
        return 1;
    }
}
