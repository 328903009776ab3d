#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/layout.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using memory::page_layout;
using memory::page_options;

namespace {

footprint kv_model(std::vector<kv_layer> layers) { return {.kv_layers = std::move(layers)}; }
footprint state_model(std::vector<state_piece> pieces) {
    return {.state_pieces = std::move(pieces)};
}
std::string what(footprint model, page_options options = {}) {
    try {
        (void)page_layout{std::move(model), options};
    } catch (error const& e) {
        return e.what();
    }
    return "";
}

constexpr std::uint64_t huge = 1ull << 63;

} // namespace

TEST_CASE("page_layout: offsets by hand") {
    page_layout const layout{kv_model({{6, 10}, {4, 0}, {0, 8}}), {.block_tokens = 16_tokens}};
    // K0 at 0, 16 * 6; V0 at 96, 16 * 10; K1 at 256, 16 * 4; no V1; no K2; V2 at 320, 16 * 8.
    CHECK(layout.key_offset(0, 0) == 0);
    CHECK(layout.key_offset(0, 15) == 90);
    CHECK(layout.value_offset(0, 0) == 96);
    CHECK(layout.value_offset(0, 3) == 126);
    CHECK(layout.key_offset(1, 0) == 256);
    CHECK(layout.key_offset(1, 2) == 264);
    CHECK(layout.value_offset(2, 0) == 320);
    CHECK(layout.value_offset(2, 15) == 440);
    CHECK(layout.page_bytes() == 512_B); // 448 rounded up to 256s
    CHECK(layout.block_tokens() == 16);
}

TEST_CASE("page_layout: a page is the block rounded up to 256 bytes") {
    auto const page = [](std::uint64_t bytes, token_count block) {
        return page_layout{kv_model({{bytes, 0}}), {.block_tokens = block}}.page_bytes().value();
    };
    CHECK(page(1, 1_tokens) == 256);
    CHECK(page(256, 1_tokens) == 256);
    CHECK(page(257, 1_tokens) == 512);
    CHECK(page(1, 256_tokens) == 256);
    CHECK(page(3, 17_tokens) == 256);
    CHECK(page(65'536, 16_tokens) == 1'048'576);
}

TEST_CASE("page_layout: blocks that a range of tokens touches") {
    page_layout const layout{kv_model({{2, 2}}), {.block_tokens = 16_tokens}};
    CHECK(layout.blocks_touched(0, 0) == 0);
    CHECK(layout.blocks_touched(7, 7) == 0);
    CHECK(layout.blocks_touched(0, 1) == 1);
    CHECK(layout.blocks_touched(0, 16) == 1);
    CHECK(layout.blocks_touched(0, 17) == 2);
    CHECK(layout.blocks_touched(15, 17) == 2);
    CHECK(layout.blocks_touched(16, 17) == 1);
    CHECK(layout.blocks_touched(5, 100) == 7);
    for (std::uint64_t const block : {1u, 2u, 17u, 256u}) {
        page_layout const other{kv_model({{2, 2}}), {.block_tokens = token_count{block}}};
        for (std::uint64_t begin = 0; begin < 60; ++begin)
            for (std::uint64_t end = begin + 1; end < 600; end += 7) {
                std::uint64_t touched = 1;
                for (std::uint64_t t = begin + 1; t < end; ++t)
                    touched += t % block == 0;
                REQUIRE(other.blocks_touched(begin, end) == touched);
            }
    }
}

TEST_CASE("page_layout: a model with no KV takes its page size from the options") {
    page_layout const standard{state_model({{.fixed_bytes = 1000}}), {}};
    CHECK(standard.page_bytes() == 64_KiB);
    CHECK(standard.blocks_touched(0, 1000) == 0);
    CHECK(standard.checkpoint_pages(5_tokens) == 1);
    page_layout const small{state_model({{.fixed_bytes = 1000}}), {.page_bytes = 256_B}};
    CHECK(small.page_bytes() == 256_B);
    CHECK(small.checkpoint_pages(5_tokens) == 4);
    CHECK(small.largest_checkpoint() == small.page_bytes() * small.checkpoint_pages(1000_tokens));
    // With KV the option plays no part.
    CHECK(page_layout{kv_model({{2, 2}}), {.page_bytes = 1_B}}.page_bytes() == 256_B);
}

TEST_CASE("page_layout: a checkpoint grows until its windows are full") {
    page_layout const layout{
        state_model({{.fixed_bytes = 100},
                     {.window = 8, .bytes_per_window_token = 10},
                     {.fixed_bytes = 3, .window = 2, .bytes_per_window_token = 7}}),
        {.page_bytes = 256_B}};
    // 100 -> 112, then 10 p -> a multiple of 16, then 3 + 7 p -> a multiple of 16.
    CHECK(layout.checkpoint_bytes(0_tokens) == 128_B); // 112 + 0 + 16
    CHECK(layout.checkpoint_bytes(1_tokens) == 144_B); // 112 + 16 + 16
    CHECK(layout.checkpoint_bytes(2_tokens) == 176_B); // 112 + 32 + 32
    CHECK(layout.checkpoint_bytes(7_tokens) == 224_B); // 112 + 80 + 32
    CHECK(layout.checkpoint_bytes(8_tokens) == 224_B); // 112 + 80 + 32
    CHECK(layout.checkpoint_bytes(token_count{1ull << 40}) == 224_B);
    CHECK(layout.checkpoint_pages(8_tokens) == 1);
    CHECK(layout.model().checkpoint_bytes(8_tokens) == 197_B); // without padding
}

TEST_CASE("page_layout: a checkpoint has all pieces, those of equal sizes, too") {
    page_layout const layout{state_model({{.fixed_bytes = 100},
                                          {.window = 2, .bytes_per_window_token = 7},
                                          {.fixed_bytes = 100},
                                          {.window = 2, .bytes_per_window_token = 7},
                                          {.fixed_bytes = 100}}),
                             {.page_bytes = 256_B}};
    CHECK(layout.checkpoint_bytes(0_tokens) == 336_B); // three times 112
    CHECK(layout.checkpoint_bytes(1_tokens) == 368_B); // and twice 16
    CHECK(layout.checkpoint_bytes(9_tokens) == 368_B);
}

TEST_CASE("page_layout: an attention-only model has checkpoints of nothing") {
    page_layout const layout{kv_model({{2, 2}}), {}};
    CHECK(layout.checkpoint_bytes(100_tokens) == 0_B);
    CHECK(layout.checkpoint_pages(100_tokens) == 0);
}

TEST_CASE("page_layout: options out of range throw and say what is allowed") {
    CHECK(what(kv_model({{2, 2}}), {.block_tokens = 0_tokens}) ==
          "block_tokens is 0; expected 1 to 256");
    CHECK(what(kv_model({{2, 2}}), {.block_tokens = 257_tokens}) ==
          "block_tokens is 257; expected 1 to 256");
    CHECK(what({}) == "footprint is empty; expected a model with KV, or checkpoints, or both");
    CHECK(what(kv_model({{0, 0}})) ==
          "footprint is empty; expected a model with KV, or checkpoints, or both");
    for (state_piece const nothing : {state_piece{}, {.bytes_per_window_token = 8}, {.window = 8}})
        CHECK(what(state_model({nothing, nothing})) ==
              "bytes of a checkpoint is 0; expected more than 0, where there is no KV");
    for (std::uint64_t const bytes : {0u, 1u, 255u, 257u, 1000u})
        CHECK(what(state_model({{.fixed_bytes = 8}}), {.page_bytes = byte_count{bytes}}) ==
              "page_bytes is " + std::to_string(bytes) +
                  "; expected a multiple of 256, at least 256");
    CHECK_THROWS_AS((page_layout{{}, {}}), invalid_argument);
}

TEST_CASE("page_layout: footprints that overflow throw and say where") {
    CHECK_THROWS_AS((page_layout{kv_model({{huge, 0}}), {}}), size_overflow);
    CHECK(what(kv_model({{huge, 0}})) == "KV block: 9223372036854775808 * 16 does not fit 64 bits");
    CHECK(what(kv_model({{huge, huge}}), {.block_tokens = 1_tokens}) ==
          "KV block: 9223372036854775808 + 9223372036854775808 does not fit 64 bits");
    CHECK(what(kv_model({{~0ull, 0}}), {.block_tokens = 1_tokens}) ==
          "KV block: 18446744073709551615 + 255 does not fit 64 bits");
    CHECK(what(state_model({{.window = huge, .bytes_per_window_token = 2}})) ==
          "window: 9223372036854775808 * 2 does not fit 64 bits");
    CHECK(what(state_model({{.fixed_bytes = ~0ull, .window = 1, .bytes_per_window_token = 1}})) ==
          "window: 18446744073709551615 + 1 does not fit 64 bits");
    CHECK(what(state_model({{.fixed_bytes = huge}, {.fixed_bytes = huge}}))
              .starts_with("checkpoint: "));
    CHECK(what(state_model({{.fixed_bytes = ~0ull}})).starts_with("checkpoint: "));
}

TEST_CASE("page_layout: fingerprints tell layouts apart that cut differently") {
    auto const of = [](footprint model, page_options options = {}) {
        return page_layout{std::move(model), options}.fingerprint();
    };
    footprint const model{.model = "one name",
                          .kv_layers = {{64, 32}, {16, 0}},
                          .state_pieces = {{100, 5, 8}, {40, 0, 0}}};
    footprint renamed = model;
    renamed.model = "another";
    CHECK(of(model) == of(renamed));

    std::vector<std::uint64_t> all{of(model), of(model, {.block_tokens = 8_tokens})};
    auto const changed = [&](auto&& change) {
        footprint other = model;
        change(other);
        all.push_back(of(other));
    };
    changed([](footprint& f) { f.kv_layers[0] = {32, 64}; });
    changed([](footprint& f) { f.kv_layers[1] = {17, 0}; });
    changed([](footprint& f) { f.kv_layers.pop_back(); });
    changed([](footprint& f) { f.state_pieces[0].fixed_bytes = 101; });
    changed([](footprint& f) { f.state_pieces[0].window = 6; });
    changed([](footprint& f) { f.state_pieces[0].bytes_per_window_token = 9; });
    changed([](footprint& f) { std::swap(f.state_pieces[0], f.state_pieces[1]); });
    changed([](footprint& f) { f.state_pieces.clear(); });
    footprint const recurrent = state_model({{100, 0, 0}});
    all.push_back(of(recurrent, {.page_bytes = 256_B}));
    all.push_back(of(recurrent, {.page_bytes = 512_B}));
    std::ranges::sort(all);
    CHECK(std::ranges::adjacent_find(all) == all.end());
}
