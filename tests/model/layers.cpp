#include <marconi/model/layers.hpp>

#include <support/catch.hpp>

#include <string>

using namespace marconi;
using namespace marconi::model;

namespace {

constexpr dimensions width_100{.width = 100, .bytes = {.kv = 1, .state = 4, .convolution = 2}};

/// A user's kind: an attention that keeps one byte a token and pays for it by the pair.
struct sketch_attention {
    std::uint64_t bytes = 1;
    [[nodiscard]] layer_cost shape_cost(dimensions const& around) const {
        return {.kv = {.key_bytes = bytes},
                .flops_per_token = static_cast<double>(around.width),
                .flops_per_pair = 0.5};
    }
};
static_assert(layer_kind<sketch_attention>);
static_assert(!paper_layer_kind<sketch_attention>);
static_assert(!layer_kind<int>);
static_assert(!layer_kind<dimensions>);

} // namespace

TEST_CASE("full attention: grouped heads, an output gate, an input of its own width") {
    full_attention kind{.heads = 4, .kv_heads = 2, .head_dim = 8};
    layer_cost plain = kind.shape_cost(width_100);
    CHECK(plain.kv.key_bytes == 16);
    CHECK(plain.kv.value_bytes == 16);
    CHECK(plain.kv_groups == 2);
    CHECK(plain.states.empty());
    CHECK(plain.flops_per_token == 2 * 100 * (32 + 16 + 16 + 32));
    // Q K^T and A V: 2 * 4 * 8 FLOPs per pair each, half of all pairs.
    CHECK(plain.flops_per_pair == (64 + 64) / 2);

    kind.output_gate = true;
    CHECK(kind.shape_cost(width_100).flops_per_token == 2 * 100 * (32 + 32 + 16 + 16 + 32));
    kind.output_gate = false;
    kind.input_width = 300;
    CHECK(kind.shape_cost(width_100).flops_per_token == 2 * 300 * (32 + 16 + 16) + 2 * 32 * 100);
}

TEST_CASE("full attention: values narrower than keys, or made of their projection") {
    full_attention kind{
        .heads = 4, .kv_heads = 2, .head_dim = 8, .value_dim = 5, .output_gate = true};
    layer_cost const narrow = kind.shape_cost(width_100);
    CHECK(narrow.kv.key_bytes == 16);
    CHECK(narrow.kv.value_bytes == 10);
    CHECK(narrow.flops_per_token == 2 * 100 * (32 + 16 + 10 + 20 + 20));
    CHECK(narrow.flops_per_pair == (64 + 40) / 2);

    kind = {.heads = 4, .kv_heads = 2, .head_dim = 8, .values_from_keys = true};
    layer_cost const joint = kind.shape_cost(width_100);
    CHECK(joint.kv.value_bytes == 16);
    CHECK(joint.flops_per_token == 2 * 100 * (32 + 16 + 32));
    CHECK(joint.flops_per_pair == 64);
}

TEST_CASE("sliding-window attention: the same FLOPs, its KV in the checkpoint") {
    layer_cost const costs =
        sliding_window_attention{.heads = 4, .kv_heads = 2, .head_dim = 8, .window = 7}.shape_cost(
            width_100);
    CHECK(costs.kv.key_bytes + costs.kv.value_bytes == 0);
    REQUIRE(costs.states.size() == 1);
    CHECK(costs.states[0].grouped_bytes_per_window_token == 32);
    CHECK(costs.states[0].window == 7);
    CHECK(costs.states[0].groups == 2);
    CHECK(costs.window == 7);
    CHECK(costs.flops_per_token == 2 * 100 * (32 + 16 + 16 + 32));
    CHECK(costs.flops_per_pair == 64);

    layer_cost const narrow =
        sliding_window_attention{
            .heads = 4, .kv_heads = 2, .head_dim = 8, .value_dim = 5, .window = 7}
            .shape_cost(width_100);
    CHECK(narrow.states[0].grouped_bytes_per_window_token == 16 + 10);
    CHECK(narrow.flops_per_pair == (64 + 40) / 2);

    layer_cost const apart = sliding_window_attention{.heads = 4,
                                                      .kv_heads = 2,
                                                      .head_dim = 8,
                                                      .value_dim = 5,
                                                      .window = 7,
                                                      .keys_apart = true}
                                 .shape_cost(width_100);
    REQUIRE(apart.states.size() == 2);
    CHECK(apart.states[0].grouped_bytes_per_window_token == 16);
    CHECK(apart.states[1].grouped_bytes_per_window_token == 10);
    CHECK(apart.states[1].window == 7);
    CHECK(apart.flops_per_token == narrow.flops_per_token);
}

TEST_CASE("retained tokens: a part of the checkpoint, attended to at every token") {
    layer_cost const costs =
        retained_tokens{.heads = 4, .kv_heads = 2, .head_dim = 8, .tokens = 10}.shape_cost(
            width_100);
    CHECK(costs.kv.key_bytes + costs.kv.value_bytes == 0);
    REQUIRE(costs.states.size() == 1);
    CHECK(costs.states[0].grouped_bytes == 10 * 32);
    CHECK(costs.states[0].groups == 2);
    CHECK(costs.flops_per_token == 10 * (64 + 64));
    CHECK(costs.flops_per_pair == 0);
}

TEST_CASE("latent attention: queries with and without a rank of their own") {
    latent_attention kind{.heads = 4, .kv_rank = 10, .nope_dim = 5, .rope_dim = 3, .value_dim = 6};
    layer_cost const direct = kind.shape_cost(width_100);
    CHECK(direct.kv.key_bytes == 13);
    CHECK(direct.kv.value_bytes == 0);
    CHECK(direct.kv_groups == 1);
    CHECK(direct.parallel_heads == 4);
    double const rest = 2 * 100 * 13 + 2 * 10 * 4 * (5 + 6) + 2 * 4 * 6 * 100;
    CHECK(direct.flops_per_token == 2 * 100 * 4 * 8 + rest);
    CHECK(direct.flops_per_pair == 4 * (8 + 6));
    kind.query_rank = 20;
    CHECK(kind.shape_cost(width_100).flops_per_token == 2 * 100 * 20 + 2 * 20 * 4 * 8 + rest);
}

TEST_CASE("state-space layers: a state and a convolution of fixed size") {
    layer_cost const first =
        mamba{.channels = 200, .state = 16, .step_rank = 7, .convolution = 4}.shape_cost(width_100);
    REQUIRE(first.states.size() == 2);
    CHECK(first.states[0].bytes == 200 * 16 * 4);
    CHECK(first.states[1].bytes == 200 * 3 * 2);
    CHECK(first.flops_per_token == 2 * 100 * 400 + 2 * 4 * 200 + 2 * 200 * (7 + 32) + 2 * 7 * 200 +
                                       7 * 200 * 16 + 2 * 200 * 100);
    CHECK(first.flops_per_pair == 0);

    layer_cost const second =
        mamba2{.heads = 10, .head_dim = 20, .state = 16, .groups = 2}.shape_cost(width_100);
    REQUIRE(second.states.size() == 2);
    CHECK(second.states[0].bytes == 200 * 16 * 4);
    CHECK(second.states[1].bytes == 200 * 3 * 2);
    CHECK(second.states[1].grouped_bytes == 2 * 2 * 16 * 3 * 2);
    CHECK(second.states[1].groups == 2);
    CHECK(second.flops_per_token ==
          2 * 100 * (400 + 64 + 10) + 2 * 4 * 264 + 5 * 200 * 16 + 2 * 200 * 100);

    layer_cost const griffin = rg_lru{.channels = 60, .heads = 3}.shape_cost(width_100);
    REQUIRE(griffin.states.size() == 2);
    CHECK(griffin.states[0].bytes == 60 * 4);
    CHECK(griffin.states[1].bytes == 60 * 3 * 2);
    CHECK(griffin.flops_per_token ==
          3 * 2 * 100 * 60 + 2 * 4 * 60 + 2 * (3 * 2 * 20 * 20) + 6 * 60);

    layer_cost const convolved = short_convolution{.channels = 100}.shape_cost(width_100);
    REQUIRE(convolved.states.size() == 1);
    CHECK(convolved.states[0].bytes == 100 * 2 * 2);
    CHECK(convolved.flops_per_token == 2 * 100 * 300 + 2 * 100 + 2 * 3 * 100 + 2 * 100 * 100);
}

TEST_CASE("a convolution of one tap keeps no inputs") {
    for (layer const& kind :
         {layer{mamba{.channels = 8, .state = 2, .convolution = 1}},
          layer{mamba2{.heads = 2, .head_dim = 4, .state = 2, .convolution = 1}},
          layer{rg_lru{.channels = 8, .heads = 2, .convolution = 1}}}) {
        layer_cost const costs = kind.cost_in(cost::shape, width_100);
        REQUIRE(costs.states.size() == 2);
        CHECK(costs.states[0].bytes > 0);
        CHECK(costs.states[1].bytes + costs.states[1].grouped_bytes == 0);
    }
}

TEST_CASE("delta-rule layers: a matrix per head") {
    layer_cost const gated =
        gated_delta_net{.key_heads = 2, .value_heads = 4, .key_dim = 8, .value_dim = 16}.shape_cost(
            width_100);
    REQUIRE(gated.states.size() == 2);
    CHECK(gated.states[0].bytes == 4 * 8 * 16 * 4);
    CHECK(gated.states[1].bytes == (16 + 16 + 64) * 3 * 2);
    CHECK(gated.flops_per_token ==
          2 * 100 * (96 + 64 + 8) + 2 * 4 * 96 + 7 * 4 * 8 * 16 + 2 * 64 * 100);
    CHECK(gated.parallel_heads == 2);

    layer_cost const kimi = kimi_delta_attention{.heads = 2, .head_dim = 8}.shape_cost(width_100);
    REQUIRE(kimi.states.size() == 4);
    CHECK(kimi.states[0].bytes == 2 * 8 * 8 * 4);
    for (int convolved : {1, 2, 3})
        CHECK(kimi.states[static_cast<std::size_t>(convolved)].bytes == 16 * 3 * 2);
    CHECK(kimi.flops_per_token == 4 * 2 * 100 * 16 + 3 * 2 * 4 * 16 +
                                      2 * (2 * 100 * 8 + 2 * 8 * 16) + 2 * 100 * 2 + 7 * 2 * 8 * 8);
}

TEST_CASE("layers without a state") {
    CHECK(mlp{.inner_width = 50}.shape_cost(width_100).flops_per_token == 3 * 2 * 100 * 50);
    CHECK(mlp{.inner_width = 50, .gated = false}.shape_cost(width_100).flops_per_token ==
          2 * 2 * 100 * 50);
    moe const experts{.experts = 8, .active_experts = 2, .expert_width = 30, .shared_width = 40};
    CHECK(experts.shape_cost(width_100).flops_per_token == 2 * 100 * 8 + 3 * 2 * 100 * (60 + 40));
    moe const latent{.experts = 8,
                     .active_experts = 2,
                     .expert_width = 30,
                     .shared_width = 40,
                     .latent_width = 10,
                     .gated = false};
    CHECK(latent.shape_cost(width_100).flops_per_token ==
          2 * 100 * 8 + 2 * (2 * 100 * 10) + 2 * (2 * 10 * 60 + 2 * 100 * 40));
    CHECK(projection{.in = 3, .out = 5}.shape_cost(width_100).flops_per_token == 30);
}

TEST_CASE("custom: bytes and FLOPs as given, in either flavour") {
    layer const kind = custom{.bytes_per_token = 3,
                              .bytes_per_checkpoint = 5,
                              .flops_per_token = 7,
                              .flops_per_pair = 11};
    for (cost flavour : {cost::paper, cost::shape}) {
        layer_cost const costs = kind.cost_in(flavour, width_100);
        CHECK(costs.kv.key_bytes == 3);
        REQUIRE(costs.states.size() == 1);
        CHECK(costs.states[0].grouped_bytes == 5);
        CHECK(costs.flops_per_token == 7);
        CHECK(costs.flops_per_pair == 11);
    }
    CHECK(layer{custom{}}.cost_in(cost::shape, width_100).states.empty());
    CHECK(custom{.bytes_per_checkpoint = 1}.shape_cost(width_100).states.size() == 1);
}

TEST_CASE("a kind of the user's own costs its shape in either flavour") {
    layer const kind = sketch_attention{.bytes = 9};
    for (cost flavour : {cost::paper, cost::shape}) {
        CHECK(kind.cost_in(flavour, width_100).kv.key_bytes == 9);
        CHECK(kind.cost_in(flavour, width_100).flops_per_token == 100);
    }
    layer const copy = kind;
    CHECK(copy.cost_in(cost::shape, width_100).kv.key_bytes == 9);
}

namespace {

std::string refusal_in(cost flavour, layer const& kind) {
    try {
        (void)kind.cost_in(flavour, width_100);
    } catch (invalid_argument const& failure) {
        return failure.what();
    }
    return "accepted";
}

/// What both flavours say: numbers that make no layer make none by the paper's formulas either,
/// though these ask for fewer of them.
std::string refusal(layer const& kind) {
    std::string const text = refusal_in(cost::shape, kind);
    CHECK(refusal_in(cost::paper, kind) == text);
    return text;
}

} // namespace

TEST_CASE("numbers that make no attention are refused by name") {
    full_attention const whole{.heads = 6, .kv_heads = 3, .head_dim = 8};
    CHECK(refusal(whole) == "accepted");
    auto const with = [&](std::uint64_t full_attention::*number, std::uint64_t value) {
        full_attention kind = whole;
        kind.*number = value;
        // A window changes nothing of this.
        CHECK(refusal(sliding_window_attention{.heads = kind.heads,
                                               .kv_heads = kind.kv_heads,
                                               .head_dim = kind.head_dim,
                                               .window = 5}) == refusal(kind));
        CHECK(refusal(retained_tokens{.heads = kind.heads,
                                      .kv_heads = kind.kv_heads,
                                      .head_dim = kind.head_dim,
                                      .tokens = 5}) == refusal(kind));
        return refusal(kind);
    };
    CHECK(with(&full_attention::heads, 0) == "heads is 0; expected at least 1");
    CHECK(with(&full_attention::head_dim, 0) == "head_dim is 0; expected at least 1");
    CHECK(with(&full_attention::kv_heads, 0) == "kv_heads is 0; expected a divisor of heads");
    CHECK(with(&full_attention::kv_heads, 4) == "kv_heads is 4; expected a divisor of heads");
    CHECK(with(&full_attention::kv_heads, 6) == "accepted");
    CHECK(with(&full_attention::kv_heads, 12) == "kv_heads is 12; expected a divisor of heads");

    CHECK(refusal(sliding_window_attention{.heads = 1, .kv_heads = 1, .head_dim = 1}) ==
          "window is 0; expected at least 1");
    CHECK(refusal(sliding_window_attention{
              .heads = 1, .kv_heads = 1, .head_dim = 1, .window = 1}) == "accepted");

    full_attention joint{.heads = 2, .kv_heads = 1, .head_dim = 8, .value_dim = 4};
    CHECK(refusal(joint) == "accepted");
    joint.values_from_keys = true;
    CHECK(refusal(joint) == "value_dim is 4; expected head_dim, where values are made of keys");
    joint.value_dim = 8;
    CHECK(refusal(joint) == "accepted");
}

TEST_CASE("numbers that make no latent attention are refused by name") {
    latent_attention const whole{
        .heads = 2, .kv_rank = 8, .nope_dim = 4, .rope_dim = 2, .value_dim = 1};
    CHECK(refusal(whole) == "accepted");
    auto const without = [&](auto... numbers) {
        latent_attention kind = whole;
        ((kind.*numbers = latent_attention{}.*numbers), ...);
        return refusal(kind);
    };
    CHECK(without(&latent_attention::heads) == "heads is 0; expected at least 1");
    CHECK(without(&latent_attention::kv_rank) == "kv_rank is 0; expected at least 1");
    CHECK(without(&latent_attention::value_dim) == "value_dim is 0; expected at least 1");
    CHECK(without(&latent_attention::nope_dim) == "accepted");
    CHECK(without(&latent_attention::rope_dim) == "accepted");
    CHECK(without(&latent_attention::nope_dim, &latent_attention::rope_dim) ==
          "nope_dim is 0; expected at least 1, or a rope_dim that is");
}

TEST_CASE("numbers that make no recurrent layer are refused by name") {
    CHECK(refusal(mamba{.channels = 4, .state = 16}) == "accepted");
    CHECK(refusal(mamba{.state = 16}) == "channels is 0; expected at least 1");
    CHECK(refusal(mamba{.channels = 4}) == "state is 0; expected at least 1");

    CHECK(refusal(mamba2{.heads = 4, .head_dim = 4, .state = 8, .groups = 2}) == "accepted");
    CHECK(refusal(mamba2{.head_dim = 4, .state = 8}) == "heads is 0; expected at least 1");
    CHECK(refusal(mamba2{.heads = 3, .state = 8}) == "head_dim is 0; expected at least 1");
    CHECK(refusal(mamba2{.heads = 3, .head_dim = 4}) == "state is 0; expected at least 1");
    CHECK(refusal(mamba2{.heads = 3, .head_dim = 4, .state = 8, .groups = 0}) ==
          "groups is 0; expected a divisor of heads");
    CHECK(refusal(mamba2{.heads = 3, .head_dim = 4, .state = 8, .groups = 2}) ==
          "groups is 2; expected a divisor of heads");

    CHECK(refusal(rg_lru{.channels = 9, .heads = 3}) == "accepted");
    CHECK(refusal(rg_lru{.heads = 3}) == "channels is 0; expected at least 1");
    CHECK(refusal(rg_lru{.channels = 10}) == "heads is 0; expected a divisor of channels");
    CHECK(refusal(rg_lru{.channels = 10, .heads = 3}) ==
          "heads is 3; expected a divisor of channels");

    CHECK(refusal(short_convolution{.channels = 1}) == "accepted");
    CHECK(refusal(short_convolution{}) == "channels is 0; expected at least 1");
    // The paper's formula has four taps, whatever the layer has.
    CHECK(refusal_in(cost::shape, mamba{.channels = 4, .state = 16, .convolution = 0}) ==
          "convolution is 0; expected at least 1 tap");
}

TEST_CASE("numbers that make no delta rule are refused by name") {
    gated_delta_net const gated{.key_heads = 3, .value_heads = 6, .key_dim = 8, .value_dim = 8};
    CHECK(refusal(gated) == "accepted");
    auto const with = [&](std::uint64_t gated_delta_net::*number, std::uint64_t value) {
        gated_delta_net kind = gated;
        kind.*number = value;
        return refusal(kind);
    };
    auto const without = [&](std::uint64_t gated_delta_net::*number) {
        return with(number, gated_delta_net{}.*number);
    };
    CHECK(without(&gated_delta_net::key_heads) == "key_heads is 0; expected at least 1");
    CHECK(without(&gated_delta_net::key_dim) == "key_dim is 0; expected at least 1");
    CHECK(without(&gated_delta_net::value_dim) == "value_dim is 0; expected at least 1");
    CHECK(without(&gated_delta_net::value_heads) ==
          "value_heads is 0; expected a multiple of key_heads");
    CHECK(with(&gated_delta_net::value_heads, 4) ==
          "value_heads is 4; expected a multiple of key_heads");
    CHECK(with(&gated_delta_net::value_heads, 3) == "accepted");

    CHECK(refusal(kimi_delta_attention{.heads = 3, .head_dim = 1}) == "accepted");
    CHECK(refusal(kimi_delta_attention{.head_dim = 8}) == "heads is 0; expected at least 1");
    CHECK(refusal(kimi_delta_attention{.heads = 3}) == "head_dim is 0; expected at least 1");
}

TEST_CASE("one of everything makes a layer, and what is left out does not count as one") {
    CHECK(refusal(full_attention{.heads = 1, .kv_heads = 1, .head_dim = 1}) == "accepted");
    CHECK(refusal(latent_attention{.heads = 1, .kv_rank = 1, .nope_dim = 1, .value_dim = 1}) ==
          "accepted");
    CHECK(refusal(latent_attention{.heads = 1, .kv_rank = 1, .rope_dim = 1, .value_dim = 1}) ==
          "accepted");
    CHECK(refusal(mamba{.channels = 1, .state = 1}) == "accepted");
    CHECK(refusal(mamba2{.heads = 1, .head_dim = 1, .state = 1}) == "accepted");
    CHECK(refusal(rg_lru{.channels = 1, .heads = 1}) == "accepted");
    CHECK(refusal(gated_delta_net{
              .key_heads = 1, .value_heads = 1, .key_dim = 1, .value_dim = 1}) == "accepted");
    CHECK(refusal(kimi_delta_attention{.heads = 1, .head_dim = 1}) == "accepted");

    CHECK(refusal(full_attention{.kv_heads = 1, .head_dim = 1}) != "accepted");
    CHECK(refusal(full_attention{.heads = 1, .head_dim = 1}) != "accepted");
    CHECK(refusal(full_attention{.heads = 1, .kv_heads = 1}) != "accepted");
    CHECK(refusal(sliding_window_attention{.kv_heads = 1, .head_dim = 1, .window = 1}) !=
          "accepted");
    CHECK(refusal(sliding_window_attention{.heads = 1, .head_dim = 1, .window = 1}) != "accepted");
    CHECK(refusal(sliding_window_attention{.heads = 1, .kv_heads = 1, .window = 1}) != "accepted");
    CHECK(refusal(retained_tokens{.kv_heads = 1, .head_dim = 1, .tokens = 1}) != "accepted");
    CHECK(refusal(retained_tokens{.heads = 1, .head_dim = 1, .tokens = 1}) != "accepted");
    CHECK(refusal(retained_tokens{.heads = 1, .kv_heads = 1, .tokens = 1}) != "accepted");
}

TEST_CASE("layers of nothing cost nothing") {
    auto const nothing = [](layer const& kind) {
        layer_cost const costs = kind.cost_in(cost::shape, width_100);
        CHECK(costs.kv.key_bytes + costs.kv.value_bytes == 0);
        for (state_cost const& state : costs.states)
            CHECK(state.bytes + state.grouped_bytes + state.grouped_bytes_per_window_token == 0);
        CHECK(costs.flops_per_token == 0);
        CHECK(costs.flops_per_pair == 0);
    };
    nothing(mlp{});
    CHECK(mlp{.inner_width = 3}.shape_cost({}).flops_per_token == 0);
    nothing(moe{});
    nothing(moe{.expert_width = 5});
    nothing(projection{.in = 5});
    nothing(projection{.out = 5});
    nothing(custom{});
    nothing(retained_tokens{.heads = 1, .kv_heads = 1, .head_dim = 1});
    // A router alone, of one expert, none of which is asked.
    CHECK(moe{.experts = 1, .expert_width = 5}.shape_cost(width_100).flops_per_token == 2 * 100);
    CHECK(moe{.experts = 1, .active_experts = 1}.shape_cost(width_100).flops_per_token == 2 * 100);
    // A step that is not projected: what a rank of 3 adds are two projections.
    mamba const plain{.channels = 4, .state = 2};
    mamba ranked = plain;
    ranked.step_rank = 3;
    CHECK(ranked.shape_cost(width_100).flops_per_token -
              plain.shape_cost(width_100).flops_per_token ==
          2 * (2 * 4 * 3));
}

TEST_CASE("a token is sent to at most all experts") {
    moe kind{.experts = 3, .active_experts = 3, .expert_width = 4};
    // To all of them: as much work as one MLP as wide as all together, and the router's.
    CHECK(kind.shape_cost(width_100).flops_per_token ==
          mlp{.inner_width = 3 * 4}.shape_cost(width_100).flops_per_token + 2 * 100 * 3);
    kind.active_experts = 4;
    CHECK(refusal_in(cost::shape, kind) == "active_experts is 4; expected at most experts");
}

TEST_CASE("bytes beyond 64 bits are refused") {
    std::uint64_t const huge = std::uint64_t{1} << 40;
    auto const overflows = [](layer const& kind) {
        CHECK_THROWS_AS(kind.cost_in(cost::shape, width_100), size_overflow);
    };
    overflows(full_attention{.heads = huge, .kv_heads = huge, .head_dim = huge});
    overflows(
        latent_attention{.heads = 1, .kv_rank = ~std::uint64_t{0}, .rope_dim = 1, .value_dim = 1});
    overflows(mamba{.channels = huge, .state = huge});
    overflows(mamba2{.heads = huge, .head_dim = 64, .state = huge});
    overflows(
        gated_delta_net{.key_heads = huge, .value_heads = huge, .key_dim = huge, .value_dim = 1});
    overflows(kimi_delta_attention{.heads = 1, .head_dim = huge});
    overflows(short_convolution{.channels = std::uint64_t{1} << 63, .convolution = 3});
    layer const paper = mamba2{.heads = 1, .head_dim = 1, .state = huge};
    CHECK_THROWS_AS(paper.cost_in(cost::paper, {.width = huge}), size_overflow);
}
