#pragma once

#include <marconi/core/types.hpp>

namespace marconi::cache {

struct cache_options {
    /// Prefill positions to capture at are rounded down to multiples of this: 1 where the engine
    /// can stop anywhere, else its chunk size.
    token_count checkpoint_grid{1};
};

} // namespace marconi::cache
