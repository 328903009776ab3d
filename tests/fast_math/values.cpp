// Compiled with -ffast-math, where x == x is taken for granted and NaN for a number: what is not
// finite is refused all the same, or means what it should.

#include <marconi/core/finite.hpp>
#include <marconi/marconi.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

namespace {

/// A number that the compiler cannot know: "nan", "inf", "-inf", "1".
double number(char const* text) { return std::strtod(text, nullptr); }

char const* const not_finite[] = {"nan", "-nan", "inf", "-inf"};

footprint attention(double flops_per_token = 1) {
    return {
        .model = "attention", .kv_layers = {{128, 128}}, .flops = {.per_token = flops_per_token}};
}
memory::ledger_store room(footprint const& m) { return {m, 4_KiB, {.block_tokens = 1_tokens}}; }

struct constant {
    double value = 0;
    double operator()(policy::usage const&, policy::candidate_facts const&, tick) const {
        return value;
    }
};

} // namespace

TEST_CASE("numbers that are not finite are told by their bits") {
    for (char const* text : not_finite) {
        CAPTURE(text);
        CHECK_FALSE(is_finite(number(text)));
        CHECK(is_nan(number(text)) == (std::string{text}.find("nan") != std::string::npos));
        CHECK(is_plus_infinity(number(text)) == (std::string{text} == "inf"));
    }
    for (char const* text : {"0", "-0", "1", "-1e308", "1.7e308", "5e-324"}) {
        CAPTURE(text);
        CHECK(is_finite(number(text)));
        CHECK_FALSE(is_nan(number(text)));
        CHECK_FALSE(is_plus_infinity(number(text)));
    }
}

TEST_CASE("options and figures that are not finite are refused") {
    for (char const* text : not_finite) {
        CAPTURE(text);
        double const wrong = number(text);
        CHECK_THROWS_AS(policy::flop_aware{wrong}, invalid_argument);
        CHECK_THROWS_AS(room(attention(wrong)), invalid_argument);
        CHECK_THROWS_AS((learning_cache{room(attention()), {}, {.horizon = wrong}}),
                        invalid_argument);
        prefix_cache cache{room(attention())};
        std::vector<std::int32_t> const prompt{1, 2, 3};
        CHECK_THROWS_AS(cache.match({}, prompt, {.weight = wrong}), invalid_argument);
    }
}

TEST_CASE("odds that are no number count as none") {
    policy::reuse_odds odds;
    auto const of = [&](char const* text) {
        policy::reuse_class const first{policy::reuse_kind::resuming, 0};
        odds.set(first, 0, number(text));
        return odds.at(first, 0);
    };
    CHECK(of("nan") == of("0"));
    CHECK(of("inf") == of("1e300"));
    CHECK(of("inf") > of("1"));
}

TEST_CASE("a score of infinity, or none at all, keeps its candidate") {
    auto const evicted_at = [](char const* score) {
        prefix_cache cache{room(attention()),
                           {},
                           policy::branch_and_tail{},
                           policy::scored{constant{number(score)}}};
        for (std::int32_t i = 0; i < 20; ++i) {
            std::vector<std::int32_t> const tokens{10 * i, 10 * i + 1, 10 * i + 2};
            auto const lease = cache.open({}, tokens);
            (void)cache.commit(lease, tokens);
        }
        return cache.stats().evictions();
    };
    CHECK(evicted_at("nan") == 0);
    CHECK(evicted_at("inf") == 0);
    CHECK(evicted_at("-inf") > 0);
    CHECK(evicted_at("1") > 0);
}
