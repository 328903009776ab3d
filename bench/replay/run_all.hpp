#pragma once

// Replays a trace through caches: every policy at every capacity.

#include "options.hpp"
#include "progress.hpp"
#include "request.hpp"
#include "result.hpp"

#include <string>
#include <vector>

namespace marconi::replay {

/// Throws invalid_argument if the options are wrong whatever the trace: the model is unknown, or a
/// size is less than a page of it.
void check_caches(options const& chosen);

/// One trace through all caches that the options name, `chosen.jobs` at a time; results of policies
/// without a limit, then in the order of capacities, then policies. Also throws invalid_argument if
/// a share of what an infinite cache would hold is less than a page. `which` says of which trace
/// progress is shown, if there are several.
[[nodiscard]] std::vector<result> run_all(trace const& requests, options const& chosen,
                                          progress& shown = progress::unseen(),
                                          std::string const& which = "");

} // namespace marconi::replay
