#include <model/figures.hpp>

using namespace marconi;
using namespace marconi::model;

namespace {

constexpr footprint_options as_in_the_paper{.flavour = cost::paper};

/// A model of one layer, D = 4096.
spec one(layer kind) { return {.name = "one", .width = 4096, .layers = {{1, std::move(kind)}}}; }

} // namespace

TEST_CASE("the paper's table, layer by layer") {
    double const d = 4096;
    SECTION("attention: 8 L D^2 + 4 L^2 D, 4 D bytes a token") {
        spec const model = one(full_attention{.heads = 32, .kv_heads = 8, .head_dim = 128});
        CHECK(kv_bytes_per_token(model, as_in_the_paper) == byte_count{4 * 4096});
        CHECK(checkpoint_bytes(model, token_count{9}, as_in_the_paper) == byte_count{0});
        CHECK(prefill_flops(model, token_count{1}, as_in_the_paper).value() == 8 * d * d + 4 * d);
        CHECK(prefill_flops(model, token_count{1000}, as_in_the_paper).value() ==
              8e3 * d * d + 4e6 * d);
    }
    SECTION("MLP: 16 L D^2, no bytes") {
        spec const model = one(mlp{.inner_width = 3});
        CHECK(kv_bytes_per_token(model, as_in_the_paper) == byte_count{0});
        CHECK_FALSE(model.footprint(as_in_the_paper).has_checkpoints());
        CHECK(prefill_flops(model, token_count{1000}, as_in_the_paper).value() == 16e3 * d * d);
    }
    SECTION("Mamba: 12 L D^2 + 16 L D N + 10 L D, 2 D N + 8 (2 D + 2 N) bytes a checkpoint") {
        spec const model = one(mamba2{.heads = 128, .head_dim = 64, .state = 128});
        auto const costs = model.footprint(as_in_the_paper);
        REQUIRE(costs.state_pieces.size() == 2);
        CHECK(costs.state_pieces[0].fixed_bytes == 2 * 4096 * 128);
        CHECK(costs.state_pieces[1].fixed_bytes == 8 * (2 * 4096 + 2 * 128));
        CHECK(costs.kv_layers.empty());
        CHECK(prefill_flops(model, token_count{1000}, as_in_the_paper).value() ==
              12e3 * d * d + 16e3 * d * 128 + 10e3 * d);
    }
    SECTION("what the paper does not name stands for one of its three") {
        auto const flops = [](layer kind) {
            return prefill_flops(one(std::move(kind)), token_count{10}, as_in_the_paper).value();
        };
        paper_formulas const paper{.d = d, .n = 64};
        CHECK(flops(moe{.experts = 8, .active_experts = 2, .expert_width = 5}) == paper.mlp(10));
        CHECK(flops(latent_attention{
                  .heads = 16, .kv_rank = 512, .nope_dim = 128, .value_dim = 128}) ==
              paper.attention(10));
        CHECK(flops(gated_delta_net{
                  .key_heads = 2, .value_heads = 4, .key_dim = 64, .value_dim = 32}) ==
              paper.mamba(10));
        CHECK(flops(projection{.in = 4096, .out = 4096}) == 0);
    }
}

TEST_CASE("the paper's 7B model") {
    spec const model = find_preset("paper-7b");
    paper_formulas const paper{.d = 4096, .n = 128};
    SECTION("in the paper's formulas") {
        check_figures(
            model, as_in_the_paper,
            {.kv_per_token = 65'536,
             .checkpoint_at_1 = 26'787'840,
             .checkpoint_full = 26'787'840,
             .prefill = 24 * paper.mamba(1e4) + 4 * paper.attention(1e4) + 28 * paper.mlp(1e4)});
        CHECK(26'787'840 == 24 * (2 * 4096 * 128 + 8 * (2 * 4096 + 2 * 128)));
    }
    SECTION("in its real shape, elements of two bytes") {
        // Mamba-2: 128 heads of 64, N = 128, one group: 8192 channels, 256 of B and C, 4 taps.
        double const mamba_2 = 2.0 * 4096 * (8192 + 8192 + 256 + 128) + 2.0 * 4 * (8192 + 256) +
                               5.0 * 8192 * 128 + 2.0 * 8192 * 4096;
        double const attention = 4 * (2.0 * 4096 * 4096);
        double const feed_forward = 2 * (2.0 * 4096 * 16384);
        check_figures(model, {},
                      {.kv_per_token = 4 * 2 * 4096 * 2,
                       .checkpoint_at_1 = 24 * (8192 * 128 * 2 + (8192 + 256) * 3 * 2),
                       .checkpoint_full = 24 * (8192 * 128 * 2 + (8192 + 256) * 3 * 2),
                       .prefill = 1e4 * (24 * mamba_2 + 4 * attention + 28 * feed_forward) +
                                  1e8 * 4 * (2.0 * 4096)});
    }
    SECTION("the share of a prompt's FLOPs that a prefix saves") {
        auto const saved = flops_between(model, token_count{0}, token_count{300}, as_in_the_paper);
        auto const left = flops_between(model, token_count{300}, token_count{900}, as_in_the_paper);
        CHECK((saved + left).value() ==
              Approx(prefill_flops(model, token_count{900}, as_in_the_paper).value()));
        CHECK_THROWS_AS(flops_between(model, token_count{2}, token_count{1}), invalid_argument);
    }
}
