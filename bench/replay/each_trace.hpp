#pragma once

// The traces that the command line names, one after another.

#include "options.hpp"
#include "progress.hpp"
#include "request.hpp"

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <string>

namespace marconi::replay {

struct trace_tally {
    std::size_t worked = 0;
    std::size_t failed = 0;
};

/// Calls `use` with one trace after another: several at once might not fit in memory. It is also
/// told which one that is, "trace 2 of 3", or nothing if there is only one. If one cannot be
/// read or made, or `use` throws an exception for it, `err` is told and the next one follows.
/// Shows how far reading and making have come.
[[nodiscard]] trace_tally
for_each_trace(options const& chosen, std::ostream& err, progress& shown,
               std::function<void(trace const&, std::string const& which)> const& use);

} // namespace marconi::replay
