#pragma once

// FLOPs of a model, as plain functions. Each costs O(applications of layers): to ask for many
// ranges of one model, keep its footprint.

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/model/spec.hpp>

namespace marconi::model {

/// FLOPs, on one rank, to process tokens [from, to) with the state at `from` at hand.
/// Precondition: from <= to; invalid_argument otherwise.
[[nodiscard]] inline flop_count flops_between(spec const& model, token_count from, token_count to,
                                              footprint_options const& options = {}) {
    MARCONI_EXPECT(from <= to, "from", from.value(), "at most to");
    return model.footprint(options).flops.between(from, to);
}

/// FLOPs, on one rank, of a prefill of `tokens` tokens from nothing.
[[nodiscard]] inline flop_count prefill_flops(spec const& model, token_count tokens,
                                              footprint_options const& options = {}) {
    return model.footprint(options).flops.up_to(tokens);
}

} // namespace marconi::model
