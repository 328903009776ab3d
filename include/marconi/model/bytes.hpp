#pragma once

// Bytes of a model's state, as plain functions. Each costs O(applications of layers): to ask for
// many positions of one model, keep its footprint.

#include <marconi/core/types.hpp>
#include <marconi/model/spec.hpp>

namespace marconi::model {

/// Bytes of KV per token, on one rank, over all layers that keep every token.
[[nodiscard]] inline byte_count kv_bytes_per_token(spec const& model,
                                                   footprint_options const& options = {}) {
    return model.footprint(options).kv_bytes_per_token();
}

/// Bytes of a checkpoint at `position`, on one rank, without padding.
[[nodiscard]] inline byte_count checkpoint_bytes(spec const& model, token_count position,
                                                 footprint_options const& options = {}) {
    return model.footprint(options).checkpoint_bytes(position);
}

} // namespace marconi::model
