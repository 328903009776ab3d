#pragma once

// The formulas of Marconi (arXiv 2411.19379v2, appendix), exactly: L tokens, model width D, state
// width N, elements of two bytes. They know neither grouped heads nor causal masks nor experts.

#include <marconi/model/layers/kind.hpp>

#include <cstdint>

namespace marconi::model::paper {

/// FLOPs 8 L D^2 + 4 L^2 D; 4 D bytes of KV per token.
[[nodiscard]] inline layer_cost attention(std::uint64_t width, std::uint64_t heads) {
    double const d = static_cast<double>(width);
    std::uint64_t const bytes = size_of("key bytes per token", std::uint64_t{2}, width);
    return {.kv = {.key_bytes = bytes, .value_bytes = bytes},
            .kv_groups = heads,
            .flops_per_token = 8 * d * d,
            .flops_per_pair = 4 * d,
            .parallel_heads = heads};
}

/// The same with the last `window` tokens' KV in the checkpoint, none per token.
[[nodiscard]] inline layer_cost windowed_attention(std::uint64_t width, std::uint64_t heads,
                                                   std::uint64_t window) {
    layer_cost result = attention(width, heads);
    result.states = {{.grouped_bytes_per_window_token = result.kv.key_bytes + result.kv.value_bytes,
                      .window = window,
                      .groups = heads}};
    result.kv = {};
    result.window = window;
    return result;
}

/// FLOPs 16 L D^2.
[[nodiscard]] inline layer_cost mlp(std::uint64_t width) {
    double const d = static_cast<double>(width);
    return {.flops_per_token = 16 * d * d};
}

/// FLOPs 12 L D^2 + 16 L D N + 10 L D; a state of 2 D N and convolutions of 8 (2 D + 2 N) bytes.
[[nodiscard]] inline layer_cost mamba(std::uint64_t width, std::uint64_t state,
                                      std::uint64_t heads) {
    double const d = static_cast<double>(width);
    double const n = static_cast<double>(state);
    std::uint64_t const two = 2;
    std::uint64_t const channels =
        checked_sum(size_of("channels", two, width), size_of("channels", two, state), "channels");
    return {.states = {{.bytes = size_of("state bytes", two, width, state)},
                       {.bytes = size_of("convolution bytes", std::uint64_t{8}, channels)}},
            .flops_per_token = 12 * d * d + 16 * d * n + 10 * d,
            .parallel_heads = heads};
}

} // namespace marconi::model::paper
