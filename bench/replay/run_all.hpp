#pragma once

// Replays a trace through caches: every policy at every capacity.

#include "options.hpp"
#include "request.hpp"
#include "result.hpp"

#include <vector>

namespace marconi::replay {

/// Throws invalid_argument where the options are wrong whatever the trace: the model is unknown, or
/// a size holds no page of it.
void check_caches(options const& chosen);

/// One trace through all caches that the options name, `chosen.jobs` at a time; results in the
/// order of capacities, then policies, those without a limit at the first capacity alone. Throws
/// invalid_argument also where a share of what an infinite cache would hold is less than a page.
[[nodiscard]] std::vector<result> run_all(trace const& requests, options const& chosen);

} // namespace marconi::replay
