#include "each_trace.hpp"

#include "synthetic.hpp"
#include "thoughts.hpp"
#include "trace_reader.hpp"

#include <exception>
#include <new>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace marconi::replay {
namespace {

/// File names may hold what moves a terminal's cursor, or ends a line of the report.
std::string printable(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
    return text;
}

/// A trace that is not yet read or made, and its name in the report.
struct source {
    std::string name;
    std::function<trace()> take;
};

std::vector<source> sources_of(options const& chosen, progress& shown) {
    std::vector<source> all;
    std::vector<std::string> const names = trace_names(chosen.traces);
    for (std::size_t i = 0; i < names.size(); ++i)
        all.push_back({printable(names[i]), [&, i] {
                           return read_trace(chosen.traces[i], chosen.limit, most_trace_tokens,
                                             shown);
                       }});
    for (workload const kind : chosen.synthetic)
        all.push_back({synthetic_name(kind), [&, kind] {
                           return make_synthetic({.kind = kind,
                                                  .seed = chosen.seed,
                                                  .sessions = chosen.sessions,
                                                  .limit = chosen.limit},
                                                 most_trace_tokens, shown);
                       }});
    std::set<std::string> taken; // one trace may be asked for twice, or two share a name
    for (source& s : all) {
        std::string const name = s.name;
        for (int nth = 2; !taken.insert(s.name).second; ++nth)
            s.name = name + " (" + std::to_string(nth) + ")";
    }
    return all;
}

} // namespace

trace_tally for_each_trace(options const& chosen, std::ostream& err, progress& shown,
                           std::function<void(trace const&, std::string const& which)> const& use) {
    trace_tally tally;
    std::vector<source> const all = sources_of(chosen, shown);
    for (source const& from : all) {
        std::string which;
        if (all.size() > 1)
            which = "trace " + std::to_string(&from - &all.front() + 1) + " of " +
                    std::to_string(all.size());
        auto const fails = [&](std::string const& why) {
            ++tally.failed;
            shown.wipe();
            err << "marconi_replay: " << printable(why)
                << std::endl; // hours may pass until the next one
        };
        try {
            trace taken = from.take();
            taken.name = from.name;
            add_thoughts(taken, chosen.thoughts);
            use(taken, which);
            ++tally.worked;
        } catch (trace_error const& e) { // names the file
            fails(e.what());
        } catch (std::bad_alloc const&) {
            fails(from.name + ": out of memory");
        } catch (std::exception const& e) {
            fails(from.name + ": " + e.what());
        }
    }
    return tally;
}

} // namespace marconi::replay
