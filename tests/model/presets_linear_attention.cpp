#include <model/figures.hpp>

using namespace marconi;
using namespace marconi::model;

TEST_CASE("qwen3-next-80b-a3b") {
    spec const model = find_preset("qwen3-next-80b-a3b");
    // 36 gated delta nets: 16 key and 32 value heads of 128: 2048 + 2048 + 4096 channels through
    // the convolution, an output gate of 4096, two gates for each of 32 heads.
    double const delta =
        2.0 * 2048 * (8192 + 4096 + 64) + 2.0 * 4 * 8192 + 7.0 * 32 * 128 * 128 + 2.0 * 4096 * 2048;
    // 12 attention layers: 16 heads of 256 with an output gate, 2 KV heads.
    double const attention = 3 * (2.0 * 2048 * 4096) + 2 * (2.0 * 2048 * 512);
    double const experts = 2.0 * 2048 * 512 + 11 * 3 * (2.0 * 2048 * 512);
    check_figures(
        model, {},
        {.kv_per_token = 12 * 2 * 2 * 256 * 2,
         .checkpoint_at_1 = 36 * (32 * 128 * 128 * 4 + 8192 * 3 * 2),
         .checkpoint_full = 36 * (32 * 128 * 128 * 4 + 8192 * 3 * 2),
         .prefill = 1e4 * (36 * delta + 12 * attention + 48 * experts) + 1e8 * 12 * (2.0 * 4096)});

    paper_formulas const paper{.d = 2048, .n = 128};
    check_figures(
        model, {.flavour = cost::paper},
        {.kv_per_token = 12 * 4 * 2048,
         .checkpoint_at_1 = 36 * (2 * 2048 * 128 + 8 * (2 * 2048 + 2 * 128)),
         .checkpoint_full = 36 * (2 * 2048 * 128 + 8 * (2 * 2048 + 2 * 128)),
         .prefill = 36 * paper.mamba(1e4) + 12 * paper.attention(1e4) + 48 * paper.mlp(1e4)});
}

TEST_CASE("qwen3.5-9b and qwen3.5-35b-a3b") {
    // Gated delta nets as Qwen3-Next has them.
    auto const delta = [](double width) {
        return 2.0 * width * (8192 + 4096 + 64) + 2.0 * 4 * 8192 + 7.0 * 32 * 128 * 128 +
               2.0 * 4096 * width;
    };
    std::uint64_t const state = 32 * 128 * 128 * 4 + 8192 * 3 * 2;
    double const attention_9b = 3 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 1024);
    double const dense = 3 * (2.0 * 4096 * 12288);
    check_figures(find_preset("qwen3.5-9b"), {},
                  {.kv_per_token = 8 * 2 * 4 * 256 * 2,
                   .checkpoint_at_1 = 24 * state,
                   .checkpoint_full = 24 * state,
                   .prefill = 1e4 * (24 * delta(4096) + 8 * attention_9b + 32 * dense) +
                              1e8 * 8 * (2.0 * 4096)});

    double const attention_35b = 3 * (2.0 * 2048 * 4096) + 2 * (2.0 * 2048 * 512);
    double const experts = 2.0 * 2048 * 256 + 9 * 3 * (2.0 * 2048 * 512);
    check_figures(find_preset("qwen3.5-35b-a3b"), {},
                  {.kv_per_token = 10 * 2 * 2 * 256 * 2,
                   .checkpoint_at_1 = 30 * state,
                   .checkpoint_full = 30 * state,
                   .prefill = 1e4 * (30 * delta(2048) + 10 * attention_35b + 40 * experts) +
                              1e8 * 10 * (2.0 * 4096)});
}

TEST_CASE("qwen3.5-27b and qwen3.5-397b-a17b: more value heads") {
    // 16 key heads of 128 beside 48 or 64 value heads: 2048 + 2048 + values channels.
    auto const delta = [](double width, double heads) {
        double const values = 128 * heads, channels = 4096 + values;
        return 2 * width * (channels + values + 2 * heads) + 2.0 * 4 * channels +
               7 * heads * 128 * 128 + 2 * values * width;
    };
    // 24 heads of 256, 4 KV heads; 32 and 2.
    double const attention_27b = 3 * (2.0 * 5120 * 6144) + 2 * (2.0 * 5120 * 1024);
    double const dense = 3 * (2.0 * 5120 * 17408);
    std::uint64_t const state_27b = 48 * 128 * 128 * 4 + 10240 * 3 * 2;
    check_figures(find_preset("qwen3.5-27b"), {},
                  {.kv_per_token = 16 * 2 * 4 * 256 * 2,
                   .checkpoint_at_1 = 48 * state_27b,
                   .checkpoint_full = 48 * state_27b,
                   .prefill = 1e4 * (48 * delta(5120, 48) + 16 * attention_27b + 64 * dense) +
                              1e8 * 16 * (2.0 * 6144)});

    double const attention_397b = 3 * (2.0 * 4096 * 8192) + 2 * (2.0 * 4096 * 512);
    double const experts = 2.0 * 4096 * 512 + 11 * 3 * (2.0 * 4096 * 1024);
    std::uint64_t const state_397b = 64 * 128 * 128 * 4 + 12288 * 3 * 2;
    check_figures(find_preset("qwen3.5-397b-a17b"), {},
                  {.kv_per_token = 15 * 2 * 2 * 256 * 2,
                   .checkpoint_at_1 = 45 * state_397b,
                   .checkpoint_full = 45 * state_397b,
                   .prefill = 1e4 * (45 * delta(4096, 64) + 15 * attention_397b + 60 * experts) +
                              1e8 * 15 * (2.0 * 8192)});
}

TEST_CASE("kimi-linear-48b-a3b: latent attention stores one vector a token") {
    spec const model = find_preset("kimi-linear-48b-a3b");
    auto const costs = model.footprint();
    REQUIRE(costs.kv_layers.size() == 7);
    CHECK(costs.kv_layers[0].key_bytes == (512 + 64) * 2);
    CHECK(costs.kv_layers[0].value_bytes == 0);
    CHECK(costs.state_pieces.size() == 20 * 4);
    // 20 Kimi delta layers: 32 heads of 128, three convolutions, two gates of rank 128.
    double const delta = 4 * (2.0 * 2304 * 4096) + 3 * (2.0 * 4 * 4096) +
                         2 * (2.0 * 2304 * 128 + 2.0 * 128 * 4096) + 2.0 * 2304 * 32 +
                         7.0 * 32 * 128 * 128;
    // 7 latent layers: 32 queries of 128 + 64; keys of 128 and values of 128 from a rank of 512.
    double const latent =
        2.0 * 2304 * 32 * 192 + 2.0 * 2304 * 576 + 2.0 * 512 * 32 * 256 + 2.0 * 32 * 128 * 2304;
    double const dense = 3 * (2.0 * 2304 * 9216);
    double const experts = 2.0 * 2304 * 256 + 9 * 3 * (2.0 * 2304 * 1024);
    check_figures(model, {},
                  {.kv_per_token = 7 * 576 * 2,
                   .checkpoint_at_1 = 20 * (32 * 128 * 128 * 4 + 3 * 4096 * 3 * 2),
                   .checkpoint_full = 20 * (32 * 128 * 128 * 4 + 3 * 4096 * 3 * 2),
                   .prefill = 1e4 * (20 * delta + 7 * latent + dense + 26 * experts) +
                              1e8 * 7 * (32.0 * 192 + 32.0 * 128)});

    paper_formulas const paper{.d = 2304, .n = 128};
    check_figures(
        model, {.flavour = cost::paper},
        {.kv_per_token = 7 * 4 * 2304,
         .checkpoint_at_1 = 20 * (2 * 2304 * 128 + 8 * (2 * 2304 + 2 * 128)),
         .checkpoint_full = 20 * (2 * 2304 * 128 + 8 * (2 * 2304 + 2 * 128)),
         .prefill = 20 * paper.mamba(1e4) + 7 * paper.attention(1e4) + 27 * paper.mlp(1e4)});
}

TEST_CASE("recurrentgemma-9b: nothing but bounded state") {
    spec const model = find_preset("recurrentgemma-9b");
    CHECK_FALSE(model.footprint().has_kv());
    CHECK(model.footprint().has_checkpoints());
    // 26 recurrent blocks of 4096 channels; gates of 16 blocks of 256 * 256.
    double const recurrent =
        3 * (2.0 * 4096 * 4096) + 2.0 * 4 * 4096 + 2 * (2.0 * 16 * 256 * 256) + 6.0 * 4096;
    // 12 local layers: 16 heads of 256 on one KV head, the last 2048 tokens.
    double const local = 2 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 256);
    double const dense = 3 * (2.0 * 4096 * 12288);
    double const pairs = 2048.0 * 2048 + 2.0 * 2048 * (10'000 - 2048);
    check_figures(
        model, {},
        {.kv_per_token = 0,
         .checkpoint_at_1 = 26 * (4096 * 4 + 4096 * 3 * 2) + 12 * (2 * 256 * 2) * 1,
         .checkpoint_full = 26 * (4096 * 4 + 4096 * 3 * 2) + 12 * (2 * 256 * 2) * 2048,
         .prefill = 1e4 * (26 * recurrent + 12 * local + 38 * dense) + pairs * 12 * (2.0 * 4096)});

    paper_formulas const paper{.d = 4096, .n = 1};
    check_figures(model, {.flavour = cost::paper},
                  {.kv_per_token = 0,
                   .checkpoint_at_1 = 26 * (2 * 4096 + 8 * (2 * 4096 + 2)) + 12 * (4 * 4096),
                   .checkpoint_full = 26 * (2 * 4096 + 8 * (2 * 4096 + 2)) + 12 * (4 * 4096) * 2048,
                   .prefill = 26 * paper.mamba(1e4) + 38 * paper.mlp(1e4) +
                              12 * 1e4 * 8 * 4096.0 * 4096 + 12 * pairs * 4 * 4096});
}

TEST_CASE("bmojo-8b: fading and eidetic memory in one checkpoint") {
    spec const model = find_preset("bmojo-8b");
    CHECK_FALSE(model.footprint().has_kv());
    double const mamba_2 = 2.0 * 4096 * (8192 + 8192 + 256 + 128) + 2.0 * 4 * (8192 + 256) +
                           5.0 * 8192 * 128 + 2.0 * 8192 * 4096;
    double const local = 2 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 1024);
    // Every token attends to 2048 retained ones: Q K^T and A V over 32 heads of 128.
    double const retained = 2048 * 2 * (2.0 * 4096);
    double const dense = 3 * (2.0 * 4096 * 12288);
    double const pairs = 2048.0 * 2048 + 2.0 * 2048 * (10'000 - 2048);
    std::uint64_t const fading = 8192 * 128 * 4 + (8192 + 256) * 3 * 2;
    std::uint64_t const token = 2 * 8 * 128 * 2;
    check_figures(
        model, {},
        {.kv_per_token = 0,
         .checkpoint_at_1 = 36 * (fading + 2048 * token + 1 * token),
         .checkpoint_full = 36 * (fading + 2048 * token + 2048 * token),
         .prefill = 1e4 * 36 * (mamba_2 + local + retained + dense) + pairs * 36 * (2.0 * 4096)});

    paper_formulas const paper{.d = 4096, .n = 128};
    std::uint64_t const state = 2 * 4096 * 128 + 8 * (2 * 4096 + 2 * 128);
    check_figures(model, {.flavour = cost::paper},
                  {.kv_per_token = 0,
                   .checkpoint_at_1 = 36 * (state + 2048 * token + 4 * 4096),
                   .checkpoint_full = 36 * (state + 2048 * token + 2048 * 4 * 4096),
                   .prefill = 36 * (paper.mamba(1e4) + paper.mlp(1e4) + 1e4 * 8 * 4096.0 * 4096 +
                                    pairs * 4 * 4096 + 1e4 * retained)});

    CHECK(checkpoint_bytes(bmojo_8b(512, 64), token_count{100'000}) ==
          byte_count{36 * (fading + (512 + 64) * token)});
}
