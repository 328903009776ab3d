#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>

#include <algorithm>

namespace marconi::policy {

/// Marconi's judicious admission (arXiv 2411.19379, §4.1): at most two checkpoints a request.
///
/// - The branch point, where this request leaves what is cached: the prefix above it is shared by
///   two requests, so a third is likely. It is found by the second and first used by the third.
/// - The tail, from which the next turn of a conversation goes on.
///
/// ```
/// c = min(matched, limit), rounded down to the checkpoint grid
/// captured where c - resumable >= min(block_tokens, 16)
/// ```
struct branch_and_tail {
    /// A checkpoint that saves fewer tokens than this is not worth cutting a prefill in two for,
    /// however large the blocks.
    static constexpr token_count largest_least_gain{16};
    [[nodiscard]] static token_count least_gain(request_facts const& facts) {
        return std::min(facts.block_tokens, largest_least_gain);
    }

    /// O(1). Throws invalid_argument for a checkpoint grid of 0.
    [[nodiscard]] capture_rule captures(request_facts const& facts) const {
        MARCONI_EXPECT(facts.checkpoint_grid > token_count{}, "checkpoint_grid",
                       facts.checkpoint_grid.value(), "at least 1 token");
        capture_rule rule{.at = {}, .tail = true};
        token_count const fork = std::min(facts.matched, facts.limit);
        token_count const branch = facts.checkpoint_grid * (fork / facts.checkpoint_grid);
        if (branch > facts.resumable && branch - facts.resumable >= least_gain(facts))
            rule.at.push_back(branch);
        return rule;
    }
};

static_assert(admission_policy<branch_and_tail>);

} // namespace marconi::policy
