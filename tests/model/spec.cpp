#include <marconi/model/bytes.hpp>
#include <marconi/model/flops.hpp>
#include <marconi/model/presets.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::model;

namespace {

/// A kind that costs what it is told.
struct given {
    layer_cost costs;
    [[nodiscard]] layer_cost shape_cost(dimensions const&) const { return costs; }
};
static_assert(layer_kind<given>);

std::string refusal(spec const& model, footprint_options const& options) {
    try {
        (void)model.footprint(options);
    } catch (invalid_argument const& failure) {
        return failure.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("a footprint has an entry per application, in the order of the layers") {
    spec const model{.name = "three kinds",
                     .width = 64,
                     .layers = {{2, full_attention{.heads = 2, .kv_heads = 1, .head_dim = 4}},
                                {0, full_attention{.heads = 2, .kv_heads = 2, .head_dim = 99}},
                                {1, short_convolution{.channels = 5}},
                                {2, mamba{.channels = 7, .state = 3, .step_rank = 1}},
                                {1, custom{.bytes_per_token = 11, .bytes_per_checkpoint = 13}}}};
    auto const costs = model.footprint();
    CHECK(costs.model == "three kinds");
    std::vector<std::uint64_t> keys;
    for (kv_layer const& kv : costs.kv_layers)
        keys.push_back(kv.key_bytes);
    CHECK(keys == std::vector<std::uint64_t>{8, 8, 11});
    std::vector<std::uint64_t> fixed;
    for (state_piece const& piece : costs.state_pieces)
        fixed.push_back(piece.fixed_bytes);
    CHECK(fixed == std::vector<std::uint64_t>{20, 84, 42, 84, 42, 13});
    CHECK(costs.kv_bytes_per_token() == byte_count{8 + 8 + 8 + 8 + 11});
    CHECK(costs.checkpoint_bytes(token_count{5}) == byte_count{20 + 84 + 42 + 84 + 42 + 13});
}

TEST_CASE("a state of no bytes is no piece of a checkpoint") {
    auto const model = [](layer kind) {
        return spec{.name = "one tap", .width = 64, .layers = {{3, std::move(kind)}}};
    };
    auto const convolved = model(short_convolution{.channels = 5, .convolution = 1}).footprint();
    CHECK(convolved.state_pieces.empty());
    // So that its tokens are resumed wherever their KV is: it needs no checkpoints.
    CHECK_FALSE(convolved.has_checkpoints());

    auto const recurrent =
        model(mamba{.channels = 7, .state = 3, .step_rank = 1, .convolution = 1}).footprint();
    CHECK(recurrent.state_pieces ==
          std::vector<state_piece>(3, state_piece{.fixed_bytes = 7 * 3 * 4}));
}

TEST_CASE("a range without tokens costs no FLOPs, and none ends before it begins") {
    spec const model = find_preset("jamba-1.5-mini");
    for (token_count at : {token_count{0}, token_count{1}, token_count{1000}})
        CHECK(flops_between(model, at, at) == flop_count{0});
    CHECK(flops_between(model, token_count{0}, token_count{1}) ==
          prefill_flops(model, token_count{1}));
    try {
        (void)flops_between(model, token_count{2}, token_count{1});
        FAIL("a range that ends before it begins");
    } catch (invalid_argument const& failure) {
        CHECK(failure.what() == std::string{"from is 2; expected at most to"});
    }
}

TEST_CASE("windows of one size share a term of the FLOP curve") {
    auto const local = [](std::uint64_t window) {
        return sliding_window_attention{.heads = 1, .kv_heads = 1, .head_dim = 8, .window = window};
    };
    spec const model{.name = "local",
                     .width = 64,
                     .layers = {{2, local(16)}, {3, local(4)}, {5, local(16)}, {0, local(9)}}};
    auto const costs = model.footprint();
    REQUIRE(costs.flops.windows.size() == 2);
    CHECK(costs.flops.windows[0].window == 16);
    CHECK(costs.flops.windows[0].per_pair == 7 * 16);
    CHECK(costs.flops.windows[1].per_pair == 3 * 16);
    CHECK(costs.flops.per_pair == 0);

    // Counted pair by pair: token i attends to min(i + 1, window) tokens, itself included, at
    // 4 * 8 FLOPs each; the closed form leaves out half of the diagonal.
    double counted = 0;
    for (std::uint64_t i = 0; i < 100; ++i)
        counted += 32.0 * (7 * static_cast<double>(std::min<std::uint64_t>(i + 1, 16)) +
                           3 * static_cast<double>(std::min<std::uint64_t>(i + 1, 4)));
    double const closed =
        prefill_flops(model, token_count{100}).value() - 100 * costs.flops.per_token;
    CHECK(closed == Approx(counted).epsilon(0.1));
    CHECK(closed < counted);
}

TEST_CASE("elements of other sizes than the model's own") {
    spec const model = find_preset("jamba-1.5-mini");
    footprint_options const small{.bytes = element_sizes{.kv = 1, .state = 4, .convolution = 4}};
    CHECK(kv_bytes_per_token(model, small) == byte_count{4 * 2 * 8 * 128});
    CHECK(checkpoint_bytes(model, token_count{1}, small) ==
          byte_count{28 * (8192 * 16 * 4 + 8192 * 3 * 4)});
    std::uint64_t const fading = 8192 * 128 * 4 + (8192 + 256) * 3 * 4;
    CHECK(checkpoint_bytes(bmojo_8b(512, 64), token_count{512}, small) ==
          byte_count{36 * (fading + (512 + 64) * (2 * 8 * 128))});
}

TEST_CASE("tensor parallelism splits heads, and replicates the KV heads that are too few") {
    spec const model = find_preset("nemotron-h-8b");
    auto const whole = model.footprint();
    SECTION("2 ranks: everything halves") {
        auto const half = model.footprint({.tensor_parallel = 2});
        CHECK(half.kv_layers[0].key_bytes == whole.kv_layers[0].key_bytes / 2);
        CHECK(half.checkpoint_bytes(token_count{1}).value() * 2 ==
              whole.checkpoint_bytes(token_count{1}).value());
        CHECK(half.flops.per_token == whole.flops.per_token / 2);
        CHECK(half.flops.per_pair == whole.flops.per_pair / 2);
    }
    SECTION("16 ranks: 8 KV heads and 8 groups of B and C are held twice") {
        auto const rank = model.footprint({.tensor_parallel = 16});
        CHECK(rank.kv_layers[0].key_bytes == 1 * 128 * 2);
        CHECK(rank.state_pieces[0].fixed_bytes == 8 * 64 * 128 * 4);
        CHECK(rank.state_pieces[1].fixed_bytes == (512 + 2 * 1 * 128) * 3 * 2);
        CHECK(rank.flops.per_token == whole.flops.per_token / 16);
    }
    SECTION("a latent vector is whole on every rank, its layer's FLOPs are not") {
        spec const kimi = find_preset("kimi-linear-48b-a3b");
        auto const rank = kimi.footprint({.tensor_parallel = 8});
        CHECK(rank.kv_bytes_per_token() == kimi.footprint().kv_bytes_per_token());
        CHECK(rank.state_pieces[0].fixed_bytes == 4 * 128 * 128 * 4);
        CHECK(rank.flops.per_pair == kimi.footprint().flops.per_pair / 8);
    }
    SECTION("windows split as KV does") {
        spec const gemma = find_preset("gemma-3-27b");
        auto const rank = gemma.footprint({.tensor_parallel = 32});
        CHECK(rank.checkpoint_bytes(token_count{1'000'000}) ==
              byte_count{52 * (2 * 1 * 128 * 2) * 1024});
        CHECK(rank.flops.windows[0].per_pair == 52 * (2.0 * 4096) / 32);
    }
    SECTION("one KV head for all: replicated at every degree") {
        auto const rank = find_preset("recurrentgemma-9b").footprint({.tensor_parallel = 16});
        CHECK(rank.checkpoint_bytes(token_count{2048}) ==
              byte_count{26 * (256 * 4 + 256 * 3 * 2) + 12 * (2 * 256 * 2) * 2048});
    }
    SECTION("retained tokens split as a window's do") {
        auto const rank = bmojo_8b(512, 64).footprint({.tensor_parallel = 8});
        std::uint64_t const fading = 16 * 64 * 128 * 4 + (1024 + 2 * 128) * 3 * 2;
        CHECK(rank.checkpoint_bytes(token_count{1'000'000}) ==
              byte_count{36 * (fading + (512 + 64) * (2 * 1 * 128 * 2))});
    }
    SECTION("custom layers are whole on every rank") {
        spec const own{.name = "own",
                       .width = 8,
                       .layers = {{1, custom{.bytes_per_token = 3, .bytes_per_checkpoint = 5}}}};
        auto const rank = own.footprint({.tensor_parallel = 7});
        CHECK(rank.kv_bytes_per_token() == byte_count{3});
        CHECK(rank.checkpoint_bytes(token_count{1}) == byte_count{5});
    }
    SECTION("the paper's formulas split too") {
        auto const rank =
            find_preset("paper-7b").footprint({.flavour = cost::paper, .tensor_parallel = 4});
        CHECK(rank.kv_bytes_per_token() == byte_count{65'536 / 4});
        CHECK(rank.checkpoint_bytes(token_count{1}) == byte_count{26'787'840 / 4});
    }
}

TEST_CASE("a degree that does not fit is refused by name, value and expectation") {
    CHECK(refusal(find_preset("llama-3.1-8b"), {.tensor_parallel = 0}) ==
          "tensor_parallel is 0; expected at least 1");
    CHECK(refusal(find_preset("llama-3.1-8b"), {.tensor_parallel = 3}) ==
          "tensor_parallel is 3; expected a divisor of the layer's 32 heads or channels");
    CHECK(refusal(find_preset("llama-3.1-8b"), {.tensor_parallel = 64}) ==
          "tensor_parallel is 64; expected a divisor of the layer's 32 heads or channels");
    CHECK(refusal(find_preset("falcon-h1-7b"), {.tensor_parallel = 8}) ==
          "tensor_parallel is 8; expected a divisor of the layer's 12 heads or channels");
    spec const model{.name = "six on three",
                     .width = 8,
                     .layers = {{1, full_attention{.heads = 12, .kv_heads = 6, .head_dim = 8}}}};
    CHECK(refusal(model, {.tensor_parallel = 4}) ==
          "tensor_parallel is 4; expected a divisor or a multiple of the layer's 6 KV heads or "
          "groups");
    CHECK(refusal(model, {.tensor_parallel = 12}) == "accepted");
    spec const single{.name = "one head",
                      .width = 1,
                      .layers = {{1, full_attention{.heads = 1, .kv_heads = 1, .head_dim = 1}}}};
    CHECK(refusal(single, {}) == "accepted");
    CHECK(refusal(single, {.tensor_parallel = 2}) ==
          "tensor_parallel is 2; expected a divisor of the layer's 1 heads or channels");
    CHECK(refusal(spec{.name = "no width"}, {}) == "width is 0; expected at least 1");
    auto const deep = [](std::uint64_t count) {
        return refusal(spec{.name = "deep", .width = 8, .layers = {{count, mlp{}}}}, {});
    };
    CHECK(deep(1 << 20) == "accepted");
    CHECK(deep((1 << 20) + 1) ==
          "count is 1048577; expected at most 1048576 applications of a layer");
    CHECK(deep(~std::uint64_t{0}) ==
          "count is 18446744073709551615; expected at most 1048576 applications of a layer");
}

TEST_CASE("a user's kind is split as its groups say, if it has anything to split") {
    auto const on_two_ranks = [](layer_cost const& costs) {
        return spec{.name = "own", .width = 8, .layers = {{.kind = given{costs}}}};
    };
    footprint_options const two{.tensor_parallel = 2};
    CHECK(refusal(on_two_ranks({.kv = {.key_bytes = 3}, .kv_groups = 3}), two) ==
          "tensor_parallel is 2; expected a divisor or a multiple of the layer's 3 KV heads or "
          "groups");
    CHECK(refusal(on_two_ranks({.kv_groups = 3}), two) == "accepted");
    CHECK(refusal(on_two_ranks({.kv_groups = 0}), two) == "groups is 0; expected at least 1");
    CHECK(refusal(on_two_ranks({.states = {{.grouped_bytes = 4, .groups = 0}}}), two) ==
          "groups is 0; expected at least 1");
    // A rank holds whole bytes.
    CHECK(refusal(on_two_ranks({.states = {{.bytes = 3}}}), two) ==
          "tensor_parallel is 2; expected a degree that splits 3 bytes evenly");
}

TEST_CASE("KV of a single byte is KV, and a layer is applied once unless it says how often") {
    spec const model{.name = "small",
                     .width = 8,
                     .layers = {{.kind = given{{.kv = {.key_bytes = 1}}}},
                                {.kind = given{{.kv = {.value_bytes = 1}}}}}};
    CHECK(model.footprint().kv_layers.size() == 2);
    CHECK(model.footprint().kv_bytes_per_token() == byte_count{2});
}

TEST_CASE("sums over layers and windows that exceed 64 bits are refused") {
    std::uint64_t const huge = std::uint64_t{1} << 60;
    auto const model = [](std::uint64_t count, layer kind) {
        return spec{.name = "huge", .width = 8, .layers = {{count, std::move(kind)}}};
    };
    CHECK_NOTHROW(model(15, custom{.bytes_per_token = huge}).footprint());
    CHECK_THROWS_AS(model(16, custom{.bytes_per_token = huge}).footprint(), size_overflow);
    // All that 64 bits can say.
    CHECK_NOTHROW(model(1, custom{.bytes_per_token = ~std::uint64_t{0}}).footprint());
    CHECK_THROWS_AS(model(16, custom{.bytes_per_checkpoint = huge}).footprint(), size_overflow);
    CHECK_THROWS_AS(model(1,
                          sliding_window_attention{
                              .heads = 1, .kv_heads = 1, .head_dim = 1 << 10, .window = huge})
                        .footprint(),
                    size_overflow);
}
