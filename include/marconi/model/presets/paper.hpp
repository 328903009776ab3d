#pragma once

#include <marconi/model/spec.hpp>

namespace marconi::model {

/// The hybrid of 7B parameters that Marconi is measured on: 24 Mamba-2, 4 attention and 28 MLP
/// layers, D = 4096, N = 128, all elements of two bytes. The paper's formulas give 65,536 bytes of
/// KV a token and 26,787,840 a checkpoint; the shape gives heads of 128 and 64 channels, an
/// expansion of 2 and an MLP of 4 D, as the formulas imply.
[[nodiscard]] inline spec paper_7b() {
    return {.name = "paper-7b",
            .source = "https://arxiv.org/abs/2411.19379",
            .width = 4096,
            .bytes = {.kv = 2, .state = 2, .convolution = 2},
            .layers = {{24, mamba2{.heads = 128, .head_dim = 64, .state = 128}},
                       {4, full_attention{.heads = 32, .kv_heads = 32, .head_dim = 128}},
                       {28, mlp{.inner_width = 16384, .gated = false}}}};
}

} // namespace marconi::model
