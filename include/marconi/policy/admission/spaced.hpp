#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/concepts.hpp>

namespace marconi::policy {

/// branch_and_tail, and a checkpoint every so many tokens of what is new in a prompt, past the
/// branch point. For loads whose prompts begin with long shared parts, documents say, and differ in
/// what follows: the second request for a document resumes inside it already, less than a step
/// (below) short of where it leaves it. With the branch point alone, only the third does.
///
/// Where conversations merely go on, nobody uses these checkpoints, and each takes the place of
/// something else until it is evicted. `every` tokens should have at least as much KV as a
/// checkpoint has bytes, and eviction should learn which checkpoints come back:
/// tune::learning_cache does, and makes none while they do not pay.
///
/// The engine copies its state at each: where its chunks end, or where its scan kernel has the
/// state in any case. Positions are multiples of `every` rounded up to the checkpoint grid, so that
/// requests agree on them.
///
/// ```
/// step = ceil(every / checkpoint_grid) * checkpoint_grid
/// captured at the multiples p of step, branch or resumable < p <= limit,
///     but for those less than min(block_tokens, 16) past branch or resumable,
///     or past the answer's start, or less than branch_and_tail's g before it
/// ```
struct spaced {
    token_count every{4096}; ///< 0: nothing but branch and tail
    branch_and_tail base{};

    /// The step that captured positions are multiples of, unless `every` is 0. `every` must not
    /// exceed the tokens of a prompt. Throws invalid_argument for a grid of 0.
    [[nodiscard]] token_count step_on(token_count checkpoint_grid) const {
        MARCONI_EXPECT(checkpoint_grid > token_count{}, "checkpoint_grid", checkpoint_grid.value(),
                       "at least 1");
        return checkpoint_grid * ((every - token_count{1}) / checkpoint_grid + 1);
    }

    /// O(new tokens / step). Throws as branch_and_tail does.
    [[nodiscard]] capture_rule captures(request_facts const& facts) const {
        if (every == token_count{} || every > facts.limit) return base.captures(facts);
        capture_rule rule = base.branch(facts);
        token_count const step = step_on(facts.checkpoint_grid);
        token_count const from = rule.at.empty() ? facts.resumable : rule.at.back();
        token_count const answer = base.answer(facts);
        token_count const least = branch_and_tail::least_gain(facts);
        token_count const distance = base.distance(facts);
        for (token_count p = step * (from / step + 1); p <= facts.limit; p += step)
            if (p - from >= least && (answer == token_count{} || p + distance <= answer))
                rule.at.push_back(p);
        base.add(rule, answer, facts);
        return rule;
    }
};

static_assert(admission_policy<spaced>);

} // namespace marconi::policy
