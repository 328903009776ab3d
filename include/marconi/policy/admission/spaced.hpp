#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/concepts.hpp>

namespace marconi::policy {

/// branch_and_tail, and a checkpoint every so many tokens of what is new in a prompt, on its way
/// from the branch point to the limit. They serve twice over. A document that a second request
/// asks about is resumed by that one already, which loses at most `every` tokens of it; with the
/// branch point alone it is found by the second and used by the third. And of a long entry the end
/// can be evicted without the rest.
///
/// Most of them are never used, and which are, differs from load to load: this goes with eviction
/// that finds out (tune::learning_cache). Any other keeps them as if all were alike.
///
/// The engine copies its state at each: where its chunks end, or where the kernel of its scan has
/// the state in any case. Positions are multiples of `every`, rounded up to the checkpoint grid, so
/// that requests agree on them.
///
/// ```
/// step = ceil(every / checkpoint_grid) * checkpoint_grid
/// captured at the multiples p of step, branch or resumable < p <= limit,
///     but for a first one that gains less than min(block_tokens, 16) tokens
/// ```
struct spaced {
    token_count every{512}; ///< 0: nothing but branch and tail

    /// O(new tokens / step). Throws as branch_and_tail does.
    [[nodiscard]] capture_rule captures(request_facts const& facts) const {
        capture_rule rule = branch_and_tail{}.captures(facts);
        if (every == token_count{} || every > facts.limit) return rule;
        token_count const grid = facts.checkpoint_grid;
        token_count const step = grid * ((every - token_count{1}) / grid + 1);
        token_count const from = rule.at.empty() ? facts.resumable : rule.at.back();
        for (token_count p = step * (from / step + 1); p <= facts.limit; p += step)
            if (p - from >= branch_and_tail::least_gain(facts)) rule.at.push_back(p);
        return rule;
    }
};

static_assert(admission_policy<spaced>);

} // namespace marconi::policy
