#pragma once

// Replays a trace through a cache.

#include "options.hpp"
#include "progress.hpp"
#include "request.hpp"
#include "result.hpp"

#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>

namespace marconi::replay {

/// The footprint that the options ask for. Throws invalid_argument, listing the presets, if the
/// model is unknown.
[[nodiscard]] footprint footprint_of(options const& chosen);

/// One trace through one cache. `capacity` is ignored by policies without a limit.
[[nodiscard]] result run_one(trace const& requests, policy_name const& policy, byte_count capacity,
                             footprint const& model, options const& chosen,
                             progress& shown = progress::unseen());

} // namespace marconi::replay
