#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>

namespace marconi::policy {

/// A checkpoint every so many tokens, in prefill and decode: what engines that know nothing of
/// reuse do (the baseline "vLLM+" of Marconi, arXiv 2411.19379, §5). Most of these are never used
/// again: at 32 tokens, the paper's 7B model spends 9 GB on a prompt of 10,000.
struct always {
    /// At least 1. Up to the match's limit, positions off the checkpoint grid are dropped.
    token_count every{32};

    /// Throws invalid_argument for `every` = 0.
    [[nodiscard]] capture_rule captures(request_facts const&) const {
        MARCONI_EXPECT(every > token_count{}, "always.every", every.value(), "at least 1 token");
        return {.at = {}, .every = every};
    }
};

static_assert(admission_policy<always>);

} // namespace marconi::policy
