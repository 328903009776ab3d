#pragma once

// Models of attention alone, with and without windows. The figures are those of each model's
// published configuration.

#include <marconi/model/spec.hpp>

#include <cstdint>
#include <string>

namespace marconi::model {

/// Google Gemma 3 27B, its text part: of six layers, five attend to the last 1,024 tokens.
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
