#include <model/figures.hpp>

using namespace marconi;
using namespace marconi::model;

// Each figure is arithmetic on the numbers of the model's published configuration: 2 * in * out
// FLOPs for a matrix, pairs of tokens under a causal mask, bytes as the elements demand.

TEST_CASE("jamba-1.5-mini") {
    spec const model = find_preset("jamba-1.5-mini");
    // 28 Mamba layers: 8192 channels, N = 16, step rank 256, 4 taps.
    double const mamba_1 = 2.0 * 4096 * 16384 + 2.0 * 4 * 8192 + 2.0 * 8192 * (256 + 16 + 16) +
                           2.0 * 256 * 8192 + 7.0 * 8192 * 16 + 2.0 * 8192 * 4096;
    double const attention = 2 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 1024);
    double const dense = 3 * (2.0 * 4096 * 14336);
    double const experts = 2.0 * 4096 * 16 + 2 * dense;
    check_figures(model, {},
                  {.kv_per_token = 4 * 2 * 8 * 128 * 2,
                   .checkpoint_at_1 = 28 * (8192 * 16 * 2 + 8192 * 3 * 2),
                   .checkpoint_full = 28 * (8192 * 16 * 2 + 8192 * 3 * 2),
                   .prefill = 1e4 * (28 * mamba_1 + 4 * attention + 16 * dense + 16 * experts) +
                              1e8 * 4 * (2.0 * 4096)});

    paper_formulas const paper{.d = 4096, .n = 16};
    check_figures(
        model, {.flavour = cost::paper},
        {.kv_per_token = 4 * 4 * 4096,
         .checkpoint_at_1 = 28 * (2 * 4096 * 16 + 8 * (2 * 4096 + 2 * 16)),
         .checkpoint_full = 28 * (2 * 4096 * 16 + 8 * (2 * 4096 + 2 * 16)),
         .prefill = 28 * paper.mamba(1e4) + 4 * paper.attention(1e4) + 32 * paper.mlp(1e4)});
}

TEST_CASE("nemotron-h-8b") {
    spec const model = find_preset("nemotron-h-8b");
    // 24 Mamba-2 layers: 128 heads of 64, N = 128, 8 groups. The published weight of the input
    // projection has 18,560 rows.
    double const mamba_2 =
        2.0 * 4096 * 18560 + 2.0 * 4 * (8192 + 2048) + 5.0 * 8192 * 128 + 2.0 * 8192 * 4096;
    double const attention = 2 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 1024);
    double const dense = 2 * (2.0 * 4096 * 21504);
    check_figures(
        model, {},
        {.kv_per_token = 4 * 2 * 8 * 128 * 2,
         .checkpoint_at_1 = 24 * (128 * 64 * 128 * 4 + (8192 + 2048) * 3 * 2),
         .checkpoint_full = 24 * (128 * 64 * 128 * 4 + (8192 + 2048) * 3 * 2),
         .prefill = 1e4 * (24 * mamba_2 + 4 * attention + 24 * dense) + 1e8 * 4 * (2.0 * 4096)});

    paper_formulas const paper{.d = 4096, .n = 128};
    check_figures(
        model, {.flavour = cost::paper},
        {.kv_per_token = 65'536,
         .checkpoint_at_1 = 26'787'840,
         .checkpoint_full = 26'787'840,
         .prefill = 24 * paper.mamba(1e4) + 4 * paper.attention(1e4) + 24 * paper.mlp(1e4)});
}

TEST_CASE("nemotron-3-nano-30b-a3b") {
    spec const model = find_preset("nemotron-3-nano-30b-a3b");
    // 23 Mamba-2 layers: 64 heads of 64, N = 128, 8 groups: 4096 channels, 2048 of B and C.
    double const mamba_2 = 2.0 * 2688 * (4096 + 4096 + 2048 + 64) + 2.0 * 4 * (4096 + 2048) +
                           5.0 * 4096 * 128 + 2.0 * 4096 * 2688;
    double const attention = 2 * (2.0 * 2688 * 4096) + 2 * (2.0 * 2688 * 256);
    // 6 of 128 experts of width 1856, and 3712 that every token passes; two matrices each.
    double const experts = 2.0 * 2688 * 128 + 2 * (2.0 * 2688 * (6 * 1856 + 3712));
    check_figures(
        model, {},
        {.kv_per_token = 6 * 2 * 2 * 128 * 2,
         .checkpoint_at_1 = 23 * (4096 * 128 * 4 + (4096 + 2048) * 3 * 2),
         .checkpoint_full = 23 * (4096 * 128 * 4 + (4096 + 2048) * 3 * 2),
         .prefill = 1e4 * (23 * mamba_2 + 6 * attention + 23 * experts) + 1e8 * 6 * (2.0 * 4096)});

    paper_formulas const paper{.d = 2688, .n = 128};
    check_figures(
        model, {.flavour = cost::paper},
        {.kv_per_token = 6 * 4 * 2688,
         .checkpoint_at_1 = 23 * (2 * 2688 * 128 + 8 * (2 * 2688 + 2 * 128)),
         .checkpoint_full = 23 * (2 * 2688 * 128 + 8 * (2 * 2688 + 2 * 128)),
         .prefill = 23 * paper.mamba(1e4) + 6 * paper.attention(1e4) + 23 * paper.mlp(1e4)});
}

TEST_CASE("nemotron-3-super-120b-a12b: experts of a latent width") {
    // 40 Mamba-2 layers as Nemotron-H-8B has them.
    double const mamba_2 =
        2.0 * 4096 * 18560 + 2.0 * 4 * (8192 + 2048) + 5.0 * 8192 * 128 + 2.0 * 8192 * 4096;
    double const attention = 2 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 256);
    // 22 of 512 experts of width 2688 on 1024 elements, to which a matrix leads and back another;
    // 5376 of the whole width that every token passes.
    double const experts = 2.0 * 4096 * 512 + 2 * (2.0 * 4096 * 1024) +
                           2 * (2.0 * 1024 * 22 * 2688) + 2 * (2.0 * 4096 * 5376);
    check_figures(
        find_preset("nemotron-3-super-120b-a12b"), {},
        {.kv_per_token = 8 * 2 * 2 * 128 * 2,
         .checkpoint_at_1 = 40 * (8192 * 128 * 4 + (8192 + 2048) * 3 * 2),
         .checkpoint_full = 40 * (8192 * 128 * 4 + (8192 + 2048) * 3 * 2),
         .prefill = 1e4 * (40 * mamba_2 + 8 * attention + 40 * experts) + 1e8 * 8 * (2.0 * 4096)});
}

TEST_CASE("zamba2-7b: shared blocks have a KV for each application") {
    spec const model = find_preset("zamba2-7b");
    CHECK(model.footprint().kv_layers.size() == 13);
    CHECK(model.footprint().state_pieces.size() == 2 * 81);
    // 81 Mamba-2 layers: 112 heads of 64, N = 64, 2 groups: 7168 channels, 256 of B and C.
    double const mamba_2 = 2.0 * 3584 * (7168 + 7168 + 256 + 112) + 2.0 * 4 * (7168 + 256) +
                           5.0 * 7168 * 64 + 2.0 * 7168 * 3584;
    // 13 applications: Q, K and V from 7168 to 32 * 224 = 7168, out to 3584.
    double const attention = 3 * (2.0 * 7168 * 7168) + 2.0 * 7168 * 3584;
    double const dense = 3 * (2.0 * 3584 * 14336) + 2.0 * 3584 * 128 + 2.0 * 128 * 28672;
    double const back = 2.0 * 3584 * 3584;
    check_figures(model, {},
                  {.kv_per_token = 13 * 2 * 7168 * 2,
                   .checkpoint_at_1 = 81 * (7168 * 64 * 2 + (7168 + 256) * 3 * 2),
                   .checkpoint_full = 81 * (7168 * 64 * 2 + (7168 + 256) * 3 * 2),
                   .prefill = 1e4 * (81 * mamba_2 + 13 * (attention + dense + back)) +
                              1e8 * 13 * (2.0 * 7168)});

    paper_formulas const paper{.d = 3584, .n = 64};
    check_figures(
        model, {.flavour = cost::paper},
        {.kv_per_token = 13 * 4 * 3584,
         .checkpoint_at_1 = 81 * (2 * 3584 * 64 + 8 * (2 * 3584 + 2 * 64)),
         .checkpoint_full = 81 * (2 * 3584 * 64 + 8 * (2 * 3584 + 2 * 64)),
         .prefill = 81 * paper.mamba(1e4) + 13 * paper.attention(1e4) + 13 * paper.mlp(1e4)});
}

TEST_CASE("granite-4.0-h-small") {
    spec const model = find_preset("granite-4.0-h-small");
    double const mamba_2 = 2.0 * 4096 * (8192 + 8192 + 256 + 128) + 2.0 * 4 * (8192 + 256) +
                           5.0 * 8192 * 128 + 2.0 * 8192 * 4096;
    double const attention = 2 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 1024);
    // 10 of 72 experts of width 768, and 1536 that every token passes.
    double const experts = 2.0 * 4096 * 72 + 3 * (2.0 * 4096 * (7680 + 1536));
    check_figures(
        model, {},
        {.kv_per_token = 4 * 2 * 8 * 128 * 2,
         .checkpoint_at_1 = 36 * (8192 * 128 * 2 + (8192 + 256) * 3 * 2),
         .checkpoint_full = 36 * (8192 * 128 * 2 + (8192 + 256) * 3 * 2),
         .prefill = 1e4 * (36 * mamba_2 + 4 * attention + 40 * experts) + 1e8 * 4 * (2.0 * 4096)});

    paper_formulas const paper{.d = 4096, .n = 128};
    check_figures(
        model, {.flavour = cost::paper},
        {.kv_per_token = 65'536,
         .checkpoint_at_1 = 36 * (2 * 4096 * 128 + 8 * (2 * 4096 + 2 * 128)),
         .checkpoint_full = 36 * (2 * 4096 * 128 + 8 * (2 * 4096 + 2 * 128)),
         .prefill = 36 * paper.mamba(1e4) + 4 * paper.attention(1e4) + 40 * paper.mlp(1e4)});
}

TEST_CASE("falcon-h1-7b: attention and Mamba-2 side by side") {
    spec const model = find_preset("falcon-h1-7b");
    // 44 blocks: 24 Mamba heads of 128, N = 256, one group; 12 heads of 128 on 2 KV heads.
    double const mamba_2 = 2.0 * 3072 * (3072 + 3072 + 512 + 24) + 2.0 * 4 * (3072 + 512) +
                           5.0 * 3072 * 256 + 2.0 * 3072 * 3072;
    double const attention = 2 * (2.0 * 3072 * 1536) + 2 * (2.0 * 3072 * 256);
    double const dense = 3 * (2.0 * 3072 * 12288);
    check_figures(model, {},
                  {.kv_per_token = 44 * 2 * 2 * 128 * 2,
                   .checkpoint_at_1 = 44 * (3072 * 256 * 2 + (3072 + 512) * 3 * 2),
                   .checkpoint_full = 44 * (3072 * 256 * 2 + (3072 + 512) * 3 * 2),
                   .prefill = 1e4 * 44 * (mamba_2 + attention + dense) + 1e8 * 44 * (2.0 * 1536)});

    paper_formulas const paper{.d = 3072, .n = 256};
    check_figures(model, {.flavour = cost::paper},
                  {.kv_per_token = 44 * 4 * 3072,
                   .checkpoint_at_1 = 44 * (2 * 3072 * 256 + 8 * (2 * 3072 + 2 * 256)),
                   .checkpoint_full = 44 * (2 * 3072 * 256 + 8 * (2 * 3072 + 2 * 256)),
                   .prefill = 44 * (paper.mamba(1e4) + paper.attention(1e4) + paper.mlp(1e4))});
}

TEST_CASE("lfm2-1.2b: convolutions keep their last two inputs") {
    spec const model = find_preset("lfm2-1.2b");
    // 10 convolutions: in to 3 * 2048, two gates, 3 taps, out. 6 of 32 heads of 64 on 8 KV heads.
    double const convolution = 2.0 * 2048 * 6144 + 2.0 * 2048 + 2.0 * 3 * 2048 + 2.0 * 2048 * 2048;
    double const attention = 2 * (2.0 * 2048 * 2048) + 2 * (2.0 * 2048 * 512);
    double const dense = 3 * (2.0 * 2048 * 8192);
    check_figures(model, {},
                  {.kv_per_token = 6 * 2 * 8 * 64 * 2,
                   .checkpoint_at_1 = 10 * 2048 * 2 * 2,
                   .checkpoint_full = 10 * 2048 * 2 * 2,
                   .prefill = 1e4 * (10 * convolution + 6 * attention + 16 * dense) +
                              1e8 * 6 * (2.0 * 2048)});
}
