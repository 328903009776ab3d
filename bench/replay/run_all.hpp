#pragma once

// Replays a trace through caches: every policy at every capacity.

#include "options.hpp"
#include "request.hpp"
#include "result.hpp"

#include <vector>

namespace marconi::replay {

/// Throws invalid_argument if the options are wrong whatever the trace: the model is unknown, or a
/// size is less than a page of it.
void check_caches(options const& chosen);

/// One trace through all caches that the options name, `chosen.jobs` at a time; results in the
/// order of capacities, then policies, those without a limit only at the first capacity. Also
/// throws invalid_argument if a share of what an infinite cache would hold is less than a page.
[[nodiscard]] std::vector<result> run_all(trace const& requests, options const& chosen);

} // namespace marconi::replay
