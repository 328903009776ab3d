#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>

namespace marconi::policy {

/// A checkpoint every so many tokens, in prefill and decode: what engines do that know nothing of
/// reuse (the baseline "vLLM+" of Marconi, arXiv 2411.19379, §5). Most of these are never used
/// again: at 32 tokens, the paper's 7B model spends 9 GB on a prompt of 10,000.
struct always {
    token_count every{32}; ///< at least 1; what is no multiple of the checkpoint grid is dropped

    /// Multiples of `every` in (resumable, limit]. O(positions). Throws invalid_argument for
    /// `every` = 0.
    [[nodiscard]] capture_rule captures(request_facts const& facts) const {
        MARCONI_EXPECT(every > token_count{}, "always.every", every.value(), "at least 1 token");
        capture_rule rule{.at = {}, .every = every};
        auto const done = facts.resumable / every;
        auto const last = facts.limit / every;
        if (last > done) rule.at.reserve(last - done);
        for (auto n = done + 1; n <= last; ++n)
            rule.at.push_back(every * n);
        return rule;
    }
};

static_assert(admission_policy<always>);

} // namespace marconi::policy
