#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <support/catch.hpp>

#include <concepts>

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

TEST_CASE("a size that does not fit 64 bits is no literal") {
    CHECK_THROWS_AS(17'179'869'185_GiB, size_overflow);
    CHECK_THROWS_AS(20'000'000'000_GB, size_overflow);
    CHECK(17'179'869'183_GiB > 18'000'000'000_GB);
}

TEST_CASE("a quantity is divided by a number, and by another into a number") {
    CHECK(100_GB / 10 == 10_GB);
    CHECK(100_GB / 10_GB == 10);
}

TEST_CASE("a default identifier names nothing") {
    CHECK_FALSE(node_id{});
    CHECK(node_id{0});
    CHECK(page_id{7}.value() == 7);
}

TEST_CASE("scopes compare exactly") {
    CHECK(scope{.tenant = 1} != scope{.adapter = 1});
    CHECK(scope{.tenant = 1, .revision = 2} == scope{.tenant = 1, .revision = 2});
}

TEST_CASE("sizes that overflow throw and say what was computed") {
    CHECK(checked_product(1u << 20, 1u << 20, "x") == (1ull << 40));
    CHECK_THROWS_AS(checked_product(1ull << 40, 1ull << 40, "page bytes"), size_overflow);
    CHECK_THROWS_AS(checked_sum(~0ull, 1, "page bytes"), size_overflow);
    CHECK_THROWS_WITH(checked_product(1ull << 40, 1ull << 40, "page bytes"),
                      "page bytes: 1099511627776 * 1099511627776 does not fit 64 bits");
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
