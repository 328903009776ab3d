#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <support/catch.hpp>

#include <concepts>
#include <cstdint>

using namespace marconi;

template <class A, class B>
concept addable = requires(A a, B b) {
    a + b;
};

static_assert(addable<token_count, token_count>);
static_assert(!addable<token_count, byte_count>, "mixing units does not compile");
static_assert(!std::convertible_to<int, token_count>, "no accident makes a quantity");
static_assert(!std::convertible_to<node_id, page_id>);
static_assert(2_KiB == 2048_B && 3_KB == 3000_B && 1_GiB > 1_GB);

TEST_CASE("literals of bytes count in powers of 1024 or of 1000") {
    CHECK(3_B == byte_count{3});
    CHECK(3_tokens == token_count{3});
    CHECK(3_KiB == byte_count{3 * 1024});
    CHECK(3_MiB == byte_count{3 * 1024 * 1024});
    CHECK(3_GiB == byte_count{3ull * 1024 * 1024 * 1024});
    CHECK(3_KB == byte_count{3'000});
    CHECK(3_MB == byte_count{3'000'000});
    CHECK(3_GB == byte_count{3'000'000'000});
}

TEST_CASE("a size that does not fit 64 bits is no literal") {
    CHECK_THROWS_AS(17'179'869'185_GiB, size_overflow);
    CHECK_THROWS_AS(20'000'000'000_GB, size_overflow);
    CHECK(17'179'869'183_GiB > 18'000'000'000_GB);
}

TEST_CASE("quantities of a kind are added and subtracted, and multiplied by a number") {
    byte_count sum = 7_B + 3_B;
    CHECK(sum == 10_B);
    CHECK(sum - 4_B == 6_B);
    CHECK(sum * 3 == 30_B);
    CHECK(3 * sum == 30_B);
    sum += 5_B;
    CHECK(sum == 15_B);
    sum -= 14_B;
    CHECK(sum == 1_B);
    CHECK(byte_count{} == 0_B);
    CHECK(flop_count{1.5} + flop_count{2} == flop_count{3.5});
}

TEST_CASE("a quantity is divided by a number, and by another into a number") {
    CHECK(100_GB / 10 == 10_GB);
    CHECK(100_GB / 10_GB == 10);
    CHECK(107_B % 10_B == 7);
    CHECK(flop_count{3} / flop_count{2} == 1.5);
}

TEST_CASE("a default identifier names nothing") {
    CHECK_FALSE(node_id{});
    CHECK(node_id{0});
    CHECK(page_id{7}.value() == 7);
    // Every page that a store may have can be named.
    CHECK(page_id{static_cast<std::uint32_t>(most_pages - 1)});
    CHECK(page_id{static_cast<std::uint32_t>(most_pages)});
    CHECK_FALSE(page_id{static_cast<std::uint32_t>(most_pages + 1)});
}

TEST_CASE("scopes compare exactly") {
    CHECK(scope{} == scope{.tenant = 0, .adapter = 0, .revision = 0});
    CHECK(scope{.tenant = 1} != scope{.adapter = 1});
    CHECK(scope{.tenant = 1, .revision = 2} == scope{.tenant = 1, .revision = 2});
}

TEST_CASE("sizes that overflow throw and say what was computed") {
    CHECK(checked_product(1u << 20, 1u << 20, "x") == (1ull << 40));
    CHECK_THROWS_AS(checked_product(1ull << 40, 1ull << 40, "page bytes"), size_overflow);
    CHECK_THROWS_AS(checked_sum(~0ull, 1, "page bytes"), size_overflow);
    CHECK_THROWS_WITH(checked_product(1ull << 40, 1ull << 40, "page bytes"),
                      "page bytes: 1099511627776 * 1099511627776 does not fit 64 bits");
    CHECK_THROWS_WITH(checked_sum(~0ull, 1, "page bytes"),
                      "page bytes: 18446744073709551615 + 1 does not fit 64 bits");
}

TEST_CASE("sizes that just fit are computed") {
    constexpr std::uint64_t most = ~0ull;
    CHECK(checked_sum(most, 0, "x") == most);
    CHECK(checked_sum(0, most, "x") == most);
    CHECK(checked_sum(most - 7, 7, "x") == most);
    CHECK_THROWS_AS(checked_sum(most - 7, 8, "x"), size_overflow);
    CHECK(checked_product(most, 1, "x") == most);
    CHECK(checked_product(1, most, "x") == most);
    CHECK(checked_product(most, 0, "x") == 0);
    CHECK(checked_product(0, most, "x") == 0);
    CHECK(checked_product(most / 5, 5, "x") == most); // 2^64 - 1 is a multiple of 5
    CHECK_THROWS_AS(checked_product(most / 5 + 1, 5, "x"), size_overflow);
}

TEST_CASE("quotients and multiples are rounded up") {
    for (std::uint64_t divisor = 1; divisor < 6; ++divisor)
        for (std::uint64_t dividend = 0; dividend < 20; ++dividend) {
            std::uint64_t n = 0;
            while (n * divisor < dividend)
                ++n;
            CHECK(divide_up(dividend, divisor) == n);
            CHECK(round_up(dividend, divisor) == n * divisor);
        }
    CHECK(divide_up(~0ull, 2) == 1ull << 63); // nothing on the way exceeds 64 bits
}

TEST_CASE("a window's checkpoint grows until the window is full") {
    state_piece const piece{.fixed_bytes = 100, .window = 4, .bytes_per_window_token = 10};
    CHECK(piece.bytes_at(0) == 100);
    CHECK(piece.bytes_at(3) == 130);
    CHECK(piece.bytes_at(4) == 140);
    CHECK(piece.bytes_at(1000) == 140);
}

TEST_CASE("FLOPs of a window are quadratic inside and linear beyond") {
    flop_curve const curve{
        .per_token = 2, .per_pair = 0, .windows = {{.window = 4, .per_pair = 1}}};
    CHECK(curve.up_to(4_tokens).value() == 8 + 16);
    CHECK(curve.up_to(6_tokens).value() == 12 + 16 + 2 * 4 * 2);
    CHECK(curve.between(4_tokens, 6_tokens).value() == 4 + 16);
}

TEST_CASE("FLOPs of attention to all tokens grow with the square of their number") {
    flop_curve const curve{.per_token = 2, .per_pair = 3};
    CHECK(curve.up_to(0_tokens).value() == 0);
    CHECK(curve.up_to(5_tokens).value() == 2 * 5 + 3 * 5 * 5);
    CHECK(curve.between(0_tokens, 5_tokens) == curve.up_to(5_tokens));
    CHECK(curve.between(5_tokens, 5_tokens).value() == 0);
}

TEST_CASE("a footprint sums the bytes of all layers") {
    footprint const model{
        .kv_layers = {{3, 5}, {7, 0}},
        .state_pieces = {{.fixed_bytes = 100}, {.window = 4, .bytes_per_window_token = 10}}};
    CHECK(model.kv_bytes_per_token() == 15_B);
    CHECK(model.checkpoint_bytes(0_tokens) == 100_B);
    CHECK(model.checkpoint_bytes(3_tokens) == 130_B);
    CHECK(model.has_checkpoints());
    CHECK(model.has_kv());
    CHECK_FALSE(footprint{.kv_layers = {{3, 5}}}.has_checkpoints());
    CHECK_FALSE(footprint{.kv_layers = {{0, 0}}}.has_kv());
    CHECK(footprint{.kv_layers = {{0, 1}}}.has_kv());
}

TEST_CASE("what a record of costs does not name is nothing") {
    CHECK(footprint{.kv_layers = {{.key_bytes = 3}}}.kv_bytes_per_token() == 3_B);
    CHECK(footprint{.kv_layers = {{.value_bytes = 5}}}.kv_bytes_per_token() == 5_B);
    CHECK(state_piece{} == state_piece{.fixed_bytes = 0, .window = 0, .bytes_per_window_token = 0});
    CHECK(flop_curve{}.up_to(5_tokens).value() == 0);
    CHECK(flop_curve{.windows = {{.window = 4}}}.up_to(5_tokens).value() == 0);
    CHECK(flop_curve{.windows = {{.per_pair = 3}}}.up_to(5_tokens).value() == 0);
    CHECK(node_ref{node_id{7}} == node_ref{node_id{7}, 0});
}
