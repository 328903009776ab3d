#pragma once

// The traces that the command line names, one after another.

#include "options.hpp"
#include "request.hpp"

#include <cstddef>
#include <functional>
#include <iosfwd>

namespace marconi::replay {

struct trace_tally {
    std::size_t worked = 0;
    std::size_t failed = 0;
};

/// Calls `use` with one trace after another: several at once might not fit in memory. If one cannot
/// be read or made, or `use` throws an exception for it, `err` is told and the next one follows.
[[nodiscard]] trace_tally for_each_trace(options const& chosen, std::ostream& err,
                                         std::function<void(trace const&)> const& use);

} // namespace marconi::replay
