// Where copies find the bytes of a page in an engine's memory, against the plain formula of
// memory/views.hpp.

#include <marconi/core/footprint.hpp>
#include <marconi/memory/divider.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/places.hpp>
#include <marconi/memory/views.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

using namespace marconi;

namespace {

/// A layer's keys in an engine that has a gap, or none, after each head, token and block. Positive
/// strides, so that what is far apart by them never meets.
struct engine {
    std::uint32_t heads = 1, head_bytes = 1;
    std::ptrdiff_t head_stride = 0, token_stride = 0, block_stride = 0;
    std::uint32_t block_tokens = 0; // none, if 0
    std::vector<std::int32_t> blocks{};
    std::vector<std::byte> memory{};
    std::size_t key = 0; // where in it the first is

    [[nodiscard]] std::uint32_t row() const { return heads * head_bytes; }
    [[nodiscard]] std::byte* at(std::uint64_t token, std::uint32_t in_row) {
        std::ptrdiff_t offset = in_row / head_bytes * head_stride + in_row % head_bytes;
        if (block_tokens == 0)
            return start() + offset + static_cast<std::ptrdiff_t>(token) * token_stride;
        offset += blocks[token / block_tokens] * block_stride;
        return start() + offset + static_cast<std::ptrdiff_t>(token % block_tokens) * token_stride;
    }
    [[nodiscard]] std::byte* start() { return memory.data() + key; }

    /// Whether the last byte of a head, or of a token, is followed by the next one's first.
    [[nodiscard]] bool heads_adjoin() const { return heads == 1 || head_stride == head_bytes; }
    [[nodiscard]] bool tokens_adjoin() const { return heads_adjoin() && token_stride == row(); }

    /// Bytes that are neighbours from that one on, in a page that ends before token `end`.
    [[nodiscard]] std::uint64_t run(std::uint64_t token, std::uint32_t in_row,
                                    std::uint64_t end) const {
        if (!heads_adjoin()) return head_bytes - in_row % head_bytes;
        if (!tokens_adjoin()) return row() - in_row;
        if (block_tokens != 0) end = std::min(end, (token / block_tokens + 1) * block_tokens);
        return (end - token) * row() - in_row;
    }
};

constexpr std::uint64_t token_slots = 40;

engine random_engine(std::mt19937& random) {
    auto const below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    engine e;
    std::uint32_t const unit = 1u << below(6);
    auto const gap = [&] {
        return static_cast<std::ptrdiff_t>(below(2) ? 0 : (1u << below(6)) * below(3));
    };
    e.heads = 1 + below(4);
    e.head_bytes = unit * (1 + below(3));
    e.head_stride = e.head_bytes + (e.heads > 1 ? gap() : 0);
    e.token_stride = e.heads * e.head_stride + gap();
    std::ptrdiff_t bytes = e.token_stride * static_cast<std::ptrdiff_t>(token_slots);
    if (below(2)) {
        e.block_tokens = 1 + below(9);
        e.block_stride = e.block_tokens * e.token_stride + gap();
        for (std::int32_t i = 0; i < static_cast<std::int32_t>(token_slots); ++i)
            e.blocks.push_back(i);
        std::shuffle(e.blocks.begin(), e.blocks.end(), random);
        bytes = e.block_stride * static_cast<std::ptrdiff_t>(token_slots);
    }
    e.key = unit * below(4);
    e.memory.resize(e.key + static_cast<std::size_t>(bytes));
    return e;
}

bool aligned(std::byte const* at, std::uint64_t run, std::uint32_t alignment) {
    return (reinterpret_cast<std::uintptr_t>(at) | run) % alignment == 0;
}

} // namespace

TEST_CASE("places: a run is as long as memory goes on in page and engine, and no longer") {
    std::mt19937 random{1};
    auto const below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    alignas(256) static std::byte page[1 << 16]; // of which only the address matters
    std::size_t long_runs = 0, wide_runs = 0;
    for (int trial = 0; trial < 400; ++trial) {
        engine e = random_engine(random);
        footprint const model{.kv_layers = {{e.row(), 0}}};
        std::uint32_t const block = 1 + below(below(2) ? 4 : 40);
        memory::page_layout const layout{model, {.block_tokens = token_count{block}}};
        memory::kv_layer_view const layer{.key = e.start(),
                                          .key_stride = e.token_stride,
                                          .heads = e.heads,
                                          .key_head_stride = e.head_stride,
                                          .key_block_stride = e.block_stride};
        memory::kv_view const view{{&layer, 1}, e.blocks, e.block_tokens};
        std::uint32_t const begin = below(token_slots);
        std::uint32_t const end = begin + 1 + below(token_slots - begin);
        memory::kv_range const range =
            memory::make_range({token_count{begin}, token_count{end}, {}, view}, layout);
        memory::kv_part const part = memory::make_part(memory::kv_kind::key, view, 0, layout);
        REQUIRE(layout.page_bytes().value() <= sizeof(page));

        for (std::uint32_t i = 0; i < layout.blocks_touched(begin, end); ++i) {
            std::uint32_t const start = (begin / block + i) * block;
            std::uint32_t const first = std::max(start, begin), last = std::min(start + block, end);
            REQUIRE(range.first_row(i) == first - start);
            REQUIRE(range.end_row(i) == last - start);
            std::uint64_t left_of_run = 0;
            for (std::uint32_t at = (first - start) * e.row(); at < (last - start) * e.row();
                 ++at) {
                std::uint32_t const token = start + at / e.row(), in_row = at % e.row();
                memory::place const found = locate(part, range, page, i, at);
                std::uint64_t const run =
                    std::min<std::uint64_t>(found.run, (last - start) * e.row() - at);
                bool right = found.in_page == page + at && found.in_engine == e.at(token, in_row) &&
                             run == e.run(token, in_row, last);
                if (left_of_run == 0) { // where a copy begins with it
                    left_of_run = run;
                    right = right && aligned(found.in_page, run, part.alignment) &&
                            aligned(found.in_engine, run, part.alignment);
                    long_runs += run > e.row();
                    wide_runs += part.alignment == 16;
                }
                --left_of_run;
                if (right) continue;
                CAPTURE(trial, begin, end, block, token, in_row, run, part.alignment);
                FAIL("another place, run or alignment");
            }
        }
    }
    CHECK(long_runs > 200);
    CHECK(wide_runs > 200);
}

TEST_CASE("places: what divides by nothing in particular divides by 1") {
    memory::divider const by;
    CHECK(by.divisor() == 1);
    for (std::uint32_t const n : {0u, 1u, 2u, 3u, 1u << 31, 0xFFFF'FFFFu})
        CHECK(by.quotient(n) == n);
}
