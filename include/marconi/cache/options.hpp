#pragma once

#include <marconi/core/types.hpp>

namespace marconi::cache {

struct cache_options {
    /// Positions within a prompt to capture at are multiples of this, counted from token 0: 1 if
    /// the engine can stop anywhere, else its chunk size (a prefill that resumes inside a chunk
    /// cuts its first one short). branch_and_tail rounds down; positions off the grid that another
    /// policy names are dropped. Positions that you add to a plan, and the tail, are not rounded.
    token_count checkpoint_grid{1};
};

} // namespace marconi::cache
