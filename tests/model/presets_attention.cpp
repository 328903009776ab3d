#include <model/figures.hpp>

#include <cstdint>
#include <map>
#include <set>
#include <string>

using namespace marconi;
using namespace marconi::model;

TEST_CASE("gemma-3-27b: windows belong to the checkpoint") {
    spec const model = find_preset("gemma-3-27b");
    // 62 layers: 32 heads of 128 on 16 KV heads; 52 see the last 1024 tokens.
    double const attention = 2 * (2.0 * 5376 * 4096) + 2 * (2.0 * 5376 * 2048);
    double const dense = 3 * (2.0 * 5376 * 21504);
    double const pairs = 1024.0 * 1024 + 2.0 * 1024 * (10'000 - 1024);
    std::uint64_t const token = 2 * 16 * 128 * 2;
    check_figures(
        model, {},
        {.kv_per_token = 10 * token,
         .checkpoint_at_1 = 52 * token,
         .checkpoint_full = 52 * token * 1024,
         .prefill = 1e4 * 62 * (attention + dense) + (52 * pairs + 10 * 1e8) * (2.0 * 4096)});

    double const d = 5376;
    check_figures(model, {.flavour = cost::paper},
                  {.kv_per_token = 10 * 4 * 5376,
                   .checkpoint_at_1 = 52 * 4 * 5376,
                   .checkpoint_full = std::uint64_t{52} * 4 * 5376 * 1024,
                   .prefill = 1e4 * 62 * (8 + 16) * d * d + (52 * pairs + 10 * 1e8) * 4 * d});

    CHECK(checkpoint_bytes(model, token_count{0}) == byte_count{0});
    CHECK(checkpoint_bytes(model, token_count{1023}) == byte_count{52 * token * 1023});
    CHECK(checkpoint_bytes(model, token_count{1025}) == byte_count{52 * token * 1024});
}

TEST_CASE("gemma-4-31b: full attention with fewer, wider KV heads") {
    // 50 layers: 32 heads of 256 on 16 KV heads, the last 1024 tokens; 10: 32 of 512 on 4, whose
    // values have no projection of their own.
    double const local = 2 * (2.0 * 5376 * 8192) + 2 * (2.0 * 5376 * 4096);
    double const full = 2 * (2.0 * 5376 * 16384) + 2.0 * 5376 * 2048;
    double const dense = 3 * (2.0 * 5376 * 21504);
    double const pairs = 1024.0 * 1024 + 2.0 * 1024 * (10'000 - 1024);
    std::uint64_t const token = 2 * 16 * 256 * 2;
    check_figures(find_preset("gemma-4-31b"), {},
                  {.kv_per_token = 10 * 2 * 4 * 512 * 2,
                   .checkpoint_at_1 = 50 * token,
                   .checkpoint_full = 50 * token * 1024,
                   .prefill = 1e4 * (50 * local + 10 * full + 60 * dense) +
                              50 * pairs * (2.0 * 8192) + 10 * 1e8 * (2.0 * 16384)});
}

TEST_CASE("mimo-v2-flash: keys of 192 and values of 128") {
    // 64 heads; 39 layers have 8 KV heads and see the last 128 tokens, 9 have 4 and see all.
    double const queries_and_out = 2.0 * 4096 * (64 * 192) + 2.0 * 4096 * (64 * 128);
    double const local = queries_and_out + 2.0 * 4096 * 8 * (192 + 128);
    double const full = queries_and_out + 2.0 * 4096 * 4 * (192 + 128);
    double const dense = 3 * (2.0 * 4096 * 16384);
    double const experts = 2.0 * 4096 * 256 + 8 * 3 * (2.0 * 4096 * 2048);
    double const pairs = 128.0 * 128 + 2.0 * 128 * (10'000 - 128);
    std::uint64_t const token = 8 * (192 + 128) * 2;
    check_figures(find_preset("mimo-v2-flash"), {},
                  {.kv_per_token = 9 * 4 * (192 + 128) * 2,
                   .checkpoint_at_1 = 39 * token,
                   .checkpoint_full = 39 * token * 128,
                   .prefill = 1e4 * (39 * local + 9 * full + dense + 47 * experts) +
                              (39 * pairs + 9 * 1e8) * (64.0 * 192 + 64.0 * 128)});
}

TEST_CASE("gpt-oss: every second layer has a window of 128 tokens") {
    double const attention = 2 * (2.0 * 2880 * 4096) + 2 * (2.0 * 2880 * 512);
    double const pairs = 128.0 * 128 + 2.0 * 128 * (10'000 - 128);
    auto const experts = [](double from) {
        return 2.0 * 2880 * from + 4 * 3 * (2.0 * 2880 * 2880);
    };
    std::uint64_t const token = 2 * 8 * 64 * 2;
    check_figures(
        find_preset("gpt-oss-120b"), {},
        {.kv_per_token = 18 * token,
         .checkpoint_at_1 = 18 * token,
         .checkpoint_full = 18 * token * 128,
         .prefill = 1e4 * 36 * (attention + experts(128)) + 18 * (pairs + 1e8) * (2.0 * 4096)});
    check_figures(
        find_preset("gpt-oss-20b"), {},
        {.kv_per_token = 12 * token,
         .checkpoint_at_1 = 12 * token,
         .checkpoint_full = 12 * token * 128,
         .prefill = 1e4 * 24 * (attention + experts(32)) + 12 * (pairs + 1e8) * (2.0 * 4096)});
}

TEST_CASE("llama-3.1-8b: no checkpoints at all") {
    spec const model = find_preset("llama-3.1-8b");
    CHECK_FALSE(model.footprint().has_checkpoints());
    double const attention = 2 * (2.0 * 4096 * 4096) + 2 * (2.0 * 4096 * 1024);
    double const dense = 3 * (2.0 * 4096 * 14336);
    check_figures(model, {},
                  {.kv_per_token = 32 * 2 * 8 * 128 * 2,
                   .checkpoint_at_1 = 0,
                   .checkpoint_full = 0,
                   .prefill = 1e4 * 32 * (attention + dense) + 1e8 * 32 * (2.0 * 4096)});

    paper_formulas const paper{.d = 4096, .n = 0};
    check_figures(model, {.flavour = cost::paper},
                  {.kv_per_token = 32 * 4 * 4096,
                   .checkpoint_at_1 = 0,
                   .checkpoint_full = 0,
                   .prefill = 32 * (paper.attention(1e4) + paper.mlp(1e4))});
}

TEST_CASE("every preset is found by its name and says where it is from") {
    std::set<std::string> names;
    for (spec const& model : presets()) {
        CHECK(names.insert(model.name).second);
        CHECK(find_preset(model.name).width == model.width);
        CHECK(model.footprint().model == model.name);
        CHECK(model.source.rfind("https://", 0) == 0);
    }
    CHECK(names.size() == 23);

    try {
        (void)find_preset("gpt-2");
        FAIL("found a model that is not there");
    } catch (invalid_argument const& failure) {
        std::string const text = failure.what();
        CHECK(text.rfind("preset is gpt-2; expected one of ", 0) == 0);
        for (std::string const& name : names)
            CHECK(text.find(name) != std::string::npos);
    }
}

// Sizes of embeddings, which no figure of this library counts: those of the configurations.
TEST_CASE("every preset has the vocabulary of its model") {
    std::map<std::string, std::uint64_t> const published{
        {"paper-7b", 0}, // not given
        {"jamba-1.5-mini", 65'536},
        {"nemotron-h-8b", 131'072},
        {"nemotron-3-nano-30b-a3b", 131'072},
        {"nemotron-3-super-120b-a12b", 131'072},
        {"zamba2-7b", 32'000},
        {"granite-4.0-h-small", 100'352},
        {"falcon-h1-7b", 130'048},
        {"lfm2-1.2b", 65'536},
        {"qwen3-next-80b-a3b", 151'936},
        {"qwen3.5-9b", 248'320},
        {"qwen3.5-27b", 248'320},
        {"qwen3.5-35b-a3b", 248'320},
        {"qwen3.5-397b-a17b", 248'320},
        {"kimi-linear-48b-a3b", 163'840},
        {"recurrentgemma-9b", 256'000},
        {"bmojo-8b", 151'936},
        {"gemma-3-27b", 262'208},
        {"gemma-4-31b", 262'144},
        {"gpt-oss-20b", 201'088},
        {"gpt-oss-120b", 201'088},
        {"mimo-v2-flash", 152'576},
        {"llama-3.1-8b", 128'256},
    };
    std::map<std::string, std::uint64_t> found;
    for (spec const& model : presets())
        found[model.name] = model.vocabulary;
    CHECK(found == published);
}

// A forward pass multiplies and adds once for each weight that a token meets, so that twice the
// published number of parameters, embeddings left out, is a figure from another source.
TEST_CASE("FLOPs a token are twice the parameters in use") {
    auto const linear = [](char const* name) {
        return find_preset(name).footprint().flops.per_token;
    };
    auto const embeddings = [](char const* name) {
        spec const model = find_preset(name);
        return static_cast<double>(model.vocabulary) * static_cast<double>(model.width);
    };
    CHECK(linear("llama-3.1-8b") ==
          Approx(2 * (8'030'261'248.0 - 2 * embeddings("llama-3.1-8b"))).epsilon(0.001));
    CHECK(linear("nemotron-h-8b") ==
          Approx(2 * (8'100'852'736.0 - 2 * embeddings("nemotron-h-8b"))).epsilon(0.02));
    // Those whose names say what a token uses, embeddings counted once or twice.
    CHECK(linear("qwen3.5-27b") ==
          Approx(2 * (27e9 - 2 * embeddings("qwen3.5-27b"))).epsilon(0.03));
    CHECK(linear("gemma-4-31b") == Approx(2 * (31e9 - embeddings("gemma-4-31b"))).epsilon(0.03));
    CHECK(linear("qwen3.5-397b-a17b") ==
          Approx(2 * (17e9 - 2 * embeddings("qwen3.5-397b-a17b"))).epsilon(0.05));
    CHECK(linear("nemotron-3-super-120b-a12b") ==
          Approx(2 * (12e9 - embeddings("nemotron-3-super-120b-a12b"))).epsilon(0.05));
    CHECK(linear("mimo-v2-flash") ==
          Approx(2 * (15e9 - embeddings("mimo-v2-flash"))).epsilon(0.05));
}
