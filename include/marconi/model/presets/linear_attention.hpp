#pragma once

// Hybrids of attention and linear attention or gated linear recurrences. The figures are those of
// each model's published configuration; their states are kept in 4 bytes.

#include <marconi/model/spec.hpp>

#include <cstdint>

namespace marconi::model {

/// The recurrent layer of Qwen3-Next and Qwen3.5: 16 key heads, and 32 value heads or more.
[[nodiscard]] constexpr gated_delta_net qwen_delta_net(std::uint64_t value_heads = 32) {
    return {.key_heads = 16, .value_heads = value_heads, .key_dim = 128, .value_dim = 128};
}

/// Qwen3-Next-80B-A3B: 36 gated delta nets and 12 gated attention layers, experts in all 48. The
/// shared expert's gate, one number a token, is left out.
[[nodiscard]] inline spec qwen3_next_80b_a3b() {
    return {
        .name = "qwen3-next-80b-a3b",
        .source = "https://huggingface.co/Qwen/Qwen3-Next-80B-A3B-Instruct/blob/main/config.json",
        .width = 2048,
        .vocabulary = 151936,
        .layers = {
            {36, qwen_delta_net()},
            {12, full_attention{.heads = 16, .kv_heads = 2, .head_dim = 256, .output_gate = true}},
            {48,
             moe{.experts = 512, .active_experts = 10, .expert_width = 512, .shared_width = 512}},
        }};
}

/// Qwen3.5-9B, its text part: 24 gated delta nets and 8 gated attention layers.
[[nodiscard]] inline spec qwen3_5_9b() {
    return {
        .name = "qwen3.5-9b",
        .source = "https://huggingface.co/Qwen/Qwen3.5-9B/blob/main/config.json",
        .width = 4096,
        .vocabulary = 248320,
        .layers = {
            {24, qwen_delta_net()},
            {8, full_attention{.heads = 16, .kv_heads = 4, .head_dim = 256, .output_gate = true}},
            {32, mlp{.inner_width = 12288}},
        }};
}

/// Qwen3.5-35B-A3B, its text part: 30 gated delta nets and 10 gated attention layers, experts in
/// all 40. The shared expert's gate is left out.
[[nodiscard]] inline spec qwen3_5_35b_a3b() {
    return {
        .name = "qwen3.5-35b-a3b",
        .source = "https://huggingface.co/Qwen/Qwen3.5-35B-A3B/blob/main/config.json",
        .width = 2048,
        .vocabulary = 248320,
        .layers = {
            {30, qwen_delta_net()},
            {10, full_attention{.heads = 16, .kv_heads = 2, .head_dim = 256, .output_gate = true}},
            {40,
             moe{.experts = 256, .active_experts = 8, .expert_width = 512, .shared_width = 512}},
        }};
}

/// Qwen3.5-27B, its text part: 48 gated delta nets and 16 gated attention layers.
[[nodiscard]] inline spec qwen3_5_27b() {
    return {
        .name = "qwen3.5-27b",
        .source = "https://huggingface.co/Qwen/Qwen3.5-27B/blob/main/config.json",
        .width = 5120,
        .vocabulary = 248320,
        .layers = {
            {48, qwen_delta_net(48)},
            {16, full_attention{.heads = 24, .kv_heads = 4, .head_dim = 256, .output_gate = true}},
            {64, mlp{.inner_width = 17408}},
        }};
}

/// Qwen3.5-397B-A17B, its text part: 45 gated delta nets and 15 gated attention layers, experts in
/// all 60. The shared expert's gate is left out.
[[nodiscard]] inline spec qwen3_5_397b_a17b() {
    return {
        .name = "qwen3.5-397b-a17b",
        .source = "https://huggingface.co/Qwen/Qwen3.5-397B-A17B/blob/main/config.json",
        .width = 4096,
        .vocabulary = 248320,
        .layers = {
            {45, qwen_delta_net(64)},
            {15, full_attention{.heads = 32, .kv_heads = 2, .head_dim = 256, .output_gate = true}},
            {60,
             moe{.experts = 512, .active_experts = 10, .expert_width = 1024, .shared_width = 1024}},
        }};
}

/// Moonshot Kimi-Linear-48B-A3B: 20 layers of Kimi delta attention and 7 of latent attention, the
/// first followed by an MLP, the other 26 by experts.
[[nodiscard]] inline spec kimi_linear_48b_a3b() {
    return {
        .name = "kimi-linear-48b-a3b",
        .source = "https://huggingface.co/moonshotai/Kimi-Linear-48B-A3B-Instruct/blob/main/"
                  "config.json",
        .width = 2304,
        .vocabulary = 163840,
        .layers = {
            {20, kimi_delta_attention{.heads = 32, .head_dim = 128}},
            {7,
             latent_attention{
                 .heads = 32, .kv_rank = 512, .nope_dim = 128, .rope_dim = 64, .value_dim = 128}},
            {1, mlp{.inner_width = 9216}},
            {26,
             moe{.experts = 256, .active_experts = 8, .expert_width = 1024, .shared_width = 1024}},
        }};
}

/// Google RecurrentGemma-9B: 26 recurrent blocks and 12 of local attention; nothing is kept for
/// every token. Its configuration counts both halves of the gated MLP in one width of 24,576.
[[nodiscard]] inline spec recurrentgemma_9b() {
    return {
        .name = "recurrentgemma-9b",
        .source = "https://huggingface.co/google/recurrentgemma-9b/blob/main/config.json",
        .width = 4096,
        .vocabulary = 256000,
        .layers = {
            {26, rg_lru{.channels = 4096, .heads = 16}},
            {12,
             sliding_window_attention{.heads = 16, .kv_heads = 1, .head_dim = 256, .window = 2048}},
            {38, mlp{.inner_width = 12288}},
        }};
}

/// B'MOJO (arXiv 2407.06324): in every layer a fading memory (the state of an SSM, here Mamba-2)
/// beside an eidetic one: the tokens of a sliding window, and up to `retained_tokens` older ones
/// that the state predicted badly. The paper leaves the sizes open and publishes none near this
/// one; widths and heads are those of Qwen3-8B, and the retained tokens fill a second window.
[[nodiscard]] inline spec bmojo_8b(std::uint64_t window = 2048, std::uint64_t retained = 2048) {
    std::uint64_t const heads = 32;
    std::uint64_t const kv_heads = 8;
    std::uint64_t const head_dim = 128;
    return {
        .name = "bmojo-8b",
        .source = "https://arxiv.org/abs/2407.06324",
        .width = 4096,
        .vocabulary = 151936,
        .layers = {
            {36, mamba2{.heads = 128, .head_dim = 64, .state = 128}},
            {36,
             sliding_window_attention{
                 .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim, .window = window}},
            {36,
             retained_tokens{
                 .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim, .tokens = retained}},
            {36, mlp{.inner_width = 12288}},
        }};
}

} // namespace marconi::model
