// Pages and checkpoints that are larger than copies can reckon with are refused; one unit less is
// not.

#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_copy.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/places.hpp>
#include <marconi/memory/transfer.hpp>

#include <support/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using memory::direction;

namespace {

constexpr std::uint64_t four_gib = 1ull << 32, tib = 1ull << 40;

using byte_vector = std::vector<std::byte>;

footprint states_of(std::uint64_t bytes) { return {.state_pieces = {{.fixed_bytes = bytes}}}; }

memory::page_layout cut(footprint const& model, std::uint64_t page_bytes) {
    return {model, {.page_bytes = byte_count{page_bytes}}};
}

/// Of what would be an arena and an engine's state only the bytes that are copied exist.
struct small_ends {
    byte_vector arena = byte_vector(512, std::byte{1}), state = byte_vector(512, std::byte{2});
    std::array<std::byte*, 1> pieces{state.data()};

    void copy(direction way, memory::page_layout const& layout) {
        std::vector<page_id> pages;
        for (std::uint32_t i = 0; i < layout.checkpoint_pages(1_tokens); ++i)
            pages.push_back(page_id{i});
        memory::checkpoint_transfer const one{1_tokens, pages, {pieces}};
        memory::copy(way, arena.data(), layout, {.kv = {}, .checkpoints = {&one, 1}});
    }
};

} // namespace

TEST_CASE("pages of 4 GiB are refused") {
    CHECK_THROWS_AS(cut(states_of(512), four_gib), size_overflow);
    CHECK_THROWS_WITH(cut(states_of(512), four_gib),
                      "pages of 4294967296 bytes; the limit is 2^32");
    footprint const of_kv{.kv_layers = {{1 << 23, 1 << 23}}};
    CHECK_THROWS_AS(memory::page_layout(of_kv, {.block_tokens = 256_tokens}), size_overflow);
    CHECK_NOTHROW(memory::page_layout(of_kv, {.block_tokens = 255_tokens}));
}

TEST_CASE("pages of a little less are copied") {
    small_ends ends;
    ends.copy(direction::to_pages, cut(states_of(512), four_gib - 256));
    CHECK(ends.arena == ends.state);
}

TEST_CASE("copies: a checkpoint of a TiB is refused, and nothing is touched") {
    small_ends ends;
    auto const layout = cut(states_of(tib), 1 << 30);
    CHECK_THROWS_AS(ends.copy(direction::to_pages, layout), size_overflow);
    CHECK_THROWS_WITH(ends.copy(direction::to_pages, layout),
                      "a copy: a checkpoint of 1099511627776 bytes; the limit is 2^40");
    CHECK(ends.arena == byte_vector(512, std::byte{1}));
    CHECK(ends.state == byte_vector(512, std::byte{2}));
}

TEST_CASE("a window that no position fills is as large as the position") {
    memory::page_layout const layout{
        {.state_pieces = {{.window = 1ull << 31, .bytes_per_window_token = 4096}}},
        {.page_bytes = 4096_B}};
    CHECK(layout.checkpoint_pages(10_tokens) == 10);
}
