#pragma once

// Models of attention alone, with and without windows. The figures are those of each model's
// published configuration.

#include <marconi/model/spec.hpp>

#include <cstdint>
#include <string>

namespace marconi::model {

/// Google Gemma 3 27B, its text part: five of every six layers attend to the last 1,024 tokens.
[[nodiscard]] inline spec gemma_3_27b() {
    return {.name = "gemma-3-27b",
            .source = "https://huggingface.co/google/gemma-3-27b-it/blob/main/config.json",
            .width = 5376,
            .vocabulary = 262208,
            .layers = {
                {52,
                 sliding_window_attention{
                     .heads = 32, .kv_heads = 16, .head_dim = 128, .window = 1024}},
                {10, full_attention{.heads = 32, .kv_heads = 16, .head_dim = 128}},
                {62, mlp{.inner_width = 21504}},
            }};
}

/// Google Gemma 4 31B, its text part: five of every six layers attend to the last 1,024 tokens; the
/// sixth has fewer and wider KV heads, and makes its values from its keys' projection.
[[nodiscard]] inline spec gemma_4_31b() {
    return {
        .name = "gemma-4-31b",
        .source = "https://huggingface.co/nvidia/Gemma-4-31B-IT-NVFP4/blob/main/config.json",
        .width = 5376,
        .vocabulary = 262144,
        .layers = {
            {50,
             sliding_window_attention{
                 .heads = 32, .kv_heads = 16, .head_dim = 256, .window = 1024}},
            {10,
             full_attention{.heads = 32, .kv_heads = 4, .head_dim = 512, .values_from_keys = true}},
            {60, mlp{.inner_width = 21504}},
        }};
}

/// Xiaomi MiMo-V2-Flash: 39 of 48 layers attend to the last 128 tokens; keys are wider than values.
/// Experts in all layers but the first.
[[nodiscard]] inline spec mimo_v2_flash() {
    return {.name = "mimo-v2-flash",
            .source = "https://huggingface.co/XiaomiMiMo/MiMo-V2-Flash/blob/main/config.json",
            .width = 4096,
            .vocabulary = 152576,
            .layers = {
                {39,
                 sliding_window_attention{
                     .heads = 64, .kv_heads = 8, .head_dim = 192, .value_dim = 128, .window = 128}},
                {9, full_attention{.heads = 64, .kv_heads = 4, .head_dim = 192, .value_dim = 128}},
                {1, mlp{.inner_width = 16384}},
                {47, moe{.experts = 256, .active_experts = 8, .expert_width = 2048}},
            }};
}

/// OpenAI gpt-oss: every second layer attends to the last 128 tokens; experts in all.
[[nodiscard]] inline spec gpt_oss(std::string const& size, std::uint64_t layers,
                                  std::uint64_t experts) {
    return {
        .name = "gpt-oss-" + size,
        .source = "https://huggingface.co/openai/gpt-oss-" + size + "/blob/main/config.json",
        .width = 2880,
        .vocabulary = 201088,
        .layers = {
            {layers / 2,
             sliding_window_attention{.heads = 64, .kv_heads = 8, .head_dim = 64, .window = 128}},
            {layers / 2, full_attention{.heads = 64, .kv_heads = 8, .head_dim = 64}},
            {layers, moe{.experts = experts, .active_experts = 4, .expert_width = 2880}},
        }};
}
[[nodiscard]] inline spec gpt_oss_20b() { return gpt_oss("20b", 24, 32); }
[[nodiscard]] inline spec gpt_oss_120b() { return gpt_oss("120b", 36, 128); }

/// Meta Llama 3.1 8B: full attention in every layer, so any token is resumable.
[[nodiscard]] inline spec llama_3_1_8b() {
    return {.name = "llama-3.1-8b",
            .source = "https://huggingface.co/meta-llama/Llama-3.1-8B/blob/main/config.json",
            .width = 4096,
            .vocabulary = 128256,
            .layers = {
                {32, full_attention{.heads = 32, .kv_heads = 8, .head_dim = 128}},
                {32, mlp{.inner_width = 14336}},
            }};
}

} // namespace marconi::model
