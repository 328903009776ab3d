// marconi_replay: what a prefix cache saves on a trace of requests.

#include "describe.hpp"
#include "options.hpp"
#include "report.hpp"
#include "trace_reader.hpp"

#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace marconi::replay;

/// Calls `use` with one trace after another: several at once might not fit the memory.
template <class Use>
void for_each_trace(options const& chosen, Use use) {
    for (std::string const& path : chosen.traces)
        use(read_trace(path, chosen.limit));
    for (workload const kind : chosen.synthetic) {
        trace made =
            make_synthetic({.kind = kind, .seed = chosen.seed, .sessions = chosen.sessions});
        if (made.requests.size() > chosen.limit) made.requests.resize(chosen.limit);
        use(std::move(made));
    }
}

void print_descriptions(options const& chosen) {
    report_file file{chosen.out, std::cout};
    std::vector<trace_statistics> statistics;
    for_each_trace(chosen, [&](trace const& t) { statistics.push_back(describe(t)); });
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
