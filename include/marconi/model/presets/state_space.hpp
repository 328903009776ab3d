#pragma once

// Hybrids of attention and state-space layers or convolutions. The figures are those of each
// model's published configuration; `bytes` are its reference implementation's element sizes.

#include <marconi/model/spec.hpp>

namespace marconi::model {

/// AI21 Jamba 1.5 Mini, the size of Jamba v0.1: 32 layers, every 8th attends, every 2nd has
/// experts.
[[nodiscard]] inline spec jamba_1_5_mini() {
    return {.name = "jamba-1.5-mini",
            .source = "https://huggingface.co/ai21labs/AI21-Jamba-1.5-Mini/blob/main/config.json",
            .width = 4096,
            .vocabulary = 65536,
            .bytes = {.kv = 2, .state = 2, .convolution = 2},
            .layers = {
                {28, mamba{.channels = 8192, .state = 16, .step_rank = 256}},
                {4, full_attention{.heads = 32, .kv_heads = 8, .head_dim = 128}},
                {16, mlp{.inner_width = 14336}},
                {16, moe{.experts = 16, .active_experts = 2, .expert_width = 14336}},
            }};
}

/// NVIDIA Nemotron-H-8B: 52 layers, each a Mamba-2, an MLP (squared ReLU, no gate) or attention.
[[nodiscard]] inline spec nemotron_h_8b() {
    return {.name = "nemotron-h-8b",
            .source = "https://huggingface.co/nvidia/Nemotron-H-8B-Base-8K/blob/main/config.json",
            .width = 4096,
            .vocabulary = 131072,
            .bytes = {.kv = 2, .state = 4, .convolution = 2},
            .layers = {
                {24, mamba2{.heads = 128, .head_dim = 64, .state = 128, .groups = 8}},
                {4, full_attention{.heads = 32, .kv_heads = 8, .head_dim = 128}},
                {24, mlp{.inner_width = 21504, .gated = false}},
            }};
}

/// NVIDIA Nemotron 3 Nano: 52 layers, each a Mamba-2, experts (squared ReLU, no gate) or attention.
[[nodiscard]] inline spec nemotron_3_nano_30b_a3b() {
    return {.name = "nemotron-3-nano-30b-a3b",
            .source = "https://huggingface.co/nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16/blob/main/"
                      "config.json",
            .width = 2688,
            .vocabulary = 131072,
            .bytes = {.kv = 2, .state = 4, .convolution = 2},
            .layers = {
                {23, mamba2{.heads = 64, .head_dim = 64, .state = 128, .groups = 8}},
                {6, full_attention{.heads = 32, .kv_heads = 2, .head_dim = 128}},
                {23, moe{.experts = 128,
                         .active_experts = 6,
                         .expert_width = 1856,
                         .shared_width = 3712,
                         .gated = false}},
            }};
}

/// NVIDIA Nemotron 3 Super: 88 layers of the same kinds, except that the chosen experts work on
/// 1,024 elements, a projection of the 4,096.
[[nodiscard]] inline spec nemotron_3_super_120b_a12b() {
    return {.name = "nemotron-3-super-120b-a12b",
            .source = "https://huggingface.co/nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4/blob/"
                      "main/config.json",
            .width = 4096,
            .vocabulary = 131072,
            .bytes = {.kv = 2, .state = 4, .convolution = 2},
            .layers = {
                {40, mamba2{.heads = 128, .head_dim = 64, .state = 128, .groups = 8}},
                {8, full_attention{.heads = 32, .kv_heads = 2, .head_dim = 128}},
                {40, moe{.experts = 512,
                         .active_experts = 22,
                         .expert_width = 2688,
                         .shared_width = 5376,
                         .latent_width = 1024,
                         .gated = false}},
            }};
}

/// Zyphra Zamba2-7B: 81 Mamba-2 layers, 13 of them preceded by an application of one of two shared
/// transformer blocks. Each application has KV of its own; its attention reads the residual stream
/// beside the embeddings, 2 * 3584 elements; its MLP has an adapter of rank 128 per application; a
/// projection leads back.
[[nodiscard]] inline spec zamba2_7b() {
    return {
        .name = "zamba2-7b",
        .source = "https://huggingface.co/Zyphra/Zamba2-7B-Instruct/blob/main/config.json",
        .width = 3584,
        .vocabulary = 32000,
        .bytes = {.kv = 2, .state = 2, .convolution = 2},
        .layers = {
            {81, mamba2{.heads = 112, .head_dim = 64, .state = 64, .groups = 2}},
            {13, full_attention{.heads = 32, .kv_heads = 32, .head_dim = 224, .input_width = 7168}},
            {13, mlp{.inner_width = 14336}},
            {13, projection{.in = 3584, .out = 128}},
            {13, projection{.in = 128, .out = 28672}},
            {13, projection{.in = 3584, .out = 3584}},
        }};
}

/// IBM Granite-4.0-H-Small: 36 Mamba-2 and 4 attention layers, experts in all 40.
[[nodiscard]] inline spec granite_4_0_h_small() {
    return {
        .name = "granite-4.0-h-small",
        .source = "https://huggingface.co/ibm-granite/granite-4.0-h-small/blob/main/config.json",
        .width = 4096,
        .vocabulary = 100352,
        .bytes = {.kv = 2, .state = 2, .convolution = 2},
        .layers = {
            {36, mamba2{.heads = 128, .head_dim = 64, .state = 128, .groups = 1}},
            {4, full_attention{.heads = 32, .kv_heads = 8, .head_dim = 128}},
            {40,
             moe{.experts = 72, .active_experts = 10, .expert_width = 768, .shared_width = 1536}},
        }};
}

/// TII Falcon-H1-7B: in each of 44 blocks, attention and Mamba-2 side by side.
[[nodiscard]] inline spec falcon_h1_7b() {
    return {.name = "falcon-h1-7b",
            .source = "https://huggingface.co/tiiuae/Falcon-H1-7B-Base/blob/main/config.json",
            .width = 3072,
            .vocabulary = 130048,
            .bytes = {.kv = 2, .state = 2, .convolution = 2},
            .layers = {
                {44, mamba2{.heads = 24, .head_dim = 128, .state = 256, .groups = 1}},
                {44, full_attention{.heads = 12, .kv_heads = 2, .head_dim = 128}},
                {44, mlp{.inner_width = 12288}},
            }};
}

/// Liquid AI LFM2-1.2B: 10 gated short convolutions, whose last two inputs are all the state there
/// is, and 6 attention layers. The width of its MLPs is 2/3 of the configured one.
[[nodiscard]] inline spec lfm2_1_2b() {
    return {.name = "lfm2-1.2b",
            .source = "https://huggingface.co/LiquidAI/LFM2-1.2B/blob/main/config.json",
            .width = 2048,
            .vocabulary = 65536,
            .layers = {
                {10, short_convolution{.channels = 2048, .convolution = 3}},
                {6, full_attention{.heads = 32, .kv_heads = 8, .head_dim = 64}},
                {16, mlp{.inner_width = 8192}},
            }};
}

} // namespace marconi::model
