#include <marconi/policy/eviction/reuse_odds.hpp>
#include <marconi/tune/reuse_statistics.hpp>

#include <support/catch.hpp>

#include <cstddef>
#include <cstdint>

using namespace marconi;
using policy::age_bucket;
using policy::reuse_class;
using policy::reuse_kind;
using tune::reuse_statistics;

namespace {

constexpr reuse_class leaf{reuse_kind::passing, 0}, often_used_leaf{reuse_kind::passing, 7};
constexpr reuse_class inner{reuse_kind::resuming, 0};

} // namespace

TEST_CASE("exposure falls into the buckets of the ages it lasted") {
    reuse_statistics seen;
    seen.exposed(leaf, 0, 13);
    double const expected[] = {2, 1, 1, 2, 2, 4, 1}; // ages 0-1, 2, 3, 4-5, 6-7, 8-11, 12
    for (std::size_t b = 0; b < 7; ++b)
        CHECK(seen.seen(leaf, b).ticks == expected[b]);
    CHECK(seen.seen(leaf, 7).ticks == 0);
    CHECK(seen.seen(inner, 0).ticks == 0);

    seen.exposed(leaf, 10, 10);
    seen.exposed(leaf, 9, 11);
    CHECK(seen.seen(leaf, age_bucket::of(9)).ticks == 6);
    std::uint64_t const long_ago = std::uint64_t{1} << 40;
    seen.exposed(leaf, long_ago, long_ago + 5);
    CHECK(seen.seen(leaf, age_bucket::count - 1).ticks == 5);

    seen.reused(leaf, 5);
    seen.reused(often_used_leaf, 5);
    CHECK(seen.seen(leaf, age_bucket::of(4)).uses == 1);
    CHECK(seen.seen(reuse_class{reuse_kind::passing, 3}, age_bucket::of(4)).uses ==
          1); // three or more
}

namespace {

/// As if so many entries had been watched up to age 95, a hundredth of them used at each tick.
void watch(reuse_statistics& seen, reuse_class of, int entries) {
    for (std::size_t b = 0; b <= age_bucket::of(95); ++b) {
        std::uint64_t const from = age_bucket::first(b), to = age_bucket::first(b + 1);
        for (int i = 0; i < entries; ++i)
            seen.exposed(of, from, to);
        for (std::uint64_t i = 0; i < (to - from) * static_cast<unsigned>(entries) / 100; ++i)
            seen.reused(of, from);
    }
}

} // namespace

TEST_CASE("odds are the mean discount of the next reuse, at the rate that was seen") {
    reuse_statistics seen;
    watch(seen, leaf, 10'000);
    for (double const horizon : {1.0, 3.0, 10.0}) {
        auto const odds = seen.odds(horizon);
        for (std::size_t b = 0; b <= age_bucket::of(40); ++b) // after 100 ticks on average
            CHECK(odds.at(leaf, b) == Approx(0.01 / (0.01 + 1 / horizon)).epsilon(0.02));
        auto const unseen = reuse_statistics{}.odds(horizon);
        CHECK(odds.at(inner, 4) == unseen.at(inner, 4));
    }
    CHECK(seen.odds(1e300).at(leaf, 3) == Approx(1)); // if not soon, then later
}

TEST_CASE("what comes back after a fixed time is dear when that is near") {
    reuse_statistics seen;
    for (int i = 0; i < 1000; ++i) {
        seen.exposed(leaf, 0, 1000);
        seen.reused(leaf, 1000);
    }
    auto const odds = seen.odds(50);
    std::size_t const then = age_bucket::of(1000);
    for (std::size_t b = 0; b < then; ++b)
        CHECK(odds.at(leaf, b) < odds.at(leaf, then));
    CHECK(odds.at(leaf, then) > 100 * odds.at(leaf, age_bucket::of(100)));
}

TEST_CASE("before anything is seen, the longer unused the longer yet") {
    auto const odds = reuse_statistics{}.odds(10);
    reuse_class::each([&](reuse_class of) {
        for (std::size_t b = 1; b < age_bucket::of(1'000'000); ++b)
            CHECK(odds.at(of, b) < odds.at(of, b - 1));
    });
    for (std::size_t b = 0; b < age_bucket::of(1'000'000); ++b)
        CHECK(odds.at(inner, b) < odds.at(leaf, b));
}

TEST_CASE("a class of which little was seen is like all others, until more is") {
    reuse_statistics seen;
    watch(seen, leaf, 10'000);
    std::size_t const b = age_bucket::of(10);
    double const like_all = seen.odds(1).at(often_used_leaf, b);
    CHECK(like_all == Approx(seen.odds(1).at(leaf, b)).epsilon(0.05));
    for (std::uint64_t i = 0; i < 10; ++i) {
        seen.exposed(often_used_leaf, 8, 12);
        seen.reused(often_used_leaf, 10);
    }
    double const a_little = seen.odds(1).at(often_used_leaf, b);
    CHECK(a_little > like_all);
    CHECK(a_little < 8 * like_all);
    for (std::uint64_t i = 0; i < 10'000; ++i) {
        seen.exposed(often_used_leaf, 8, 12);
        seen.reused(often_used_leaf, 10);
    }
    CHECK(seen.odds(1).at(often_used_leaf, b) == Approx(0.25 / (0.25 + 1)).epsilon(0.1));
}

TEST_CASE("states in answers are like others, until more of them is seen") {
    reuse_class const answer{reuse_kind::passing, 0, true};
    std::size_t const b = age_bucket::of(10);
    reuse_statistics seen;
    watch(seen, leaf, 10'000);
    double const others = seen.odds(1).at(leaf, b);
    CHECK(seen.odds(1).at(answer, b) == Approx(others).epsilon(0.01));
    for (int i = 0; i < 10'000; ++i)
        seen.exposed(answer, 0, 95); // and never used
    CHECK(seen.odds(1).at(answer, b) < others / 100);
    CHECK(seen.odds(1).at(leaf, b) == Approx(others).epsilon(0.01));
    // What is as often used is most like it, in an answer or not.
    reuse_statistics mixed;
    watch(mixed, often_used_leaf, 10'000);
    for (int i = 0; i < 10'000; ++i)
        mixed.exposed(answer, 0, 95);
    CHECK(mixed.odds(1).at(leaf, b) < mixed.odds(1).at(often_used_leaf, b) / 10);
}

TEST_CASE("what fades away leaves what was known before") {
    reuse_statistics seen;
    watch(seen, leaf, 10'000);
    seen.fade(0.5);
    CHECK(seen.seen(leaf, 0).uses == 50);
    CHECK(seen.seen(leaf, 0).ticks == 5'000);
    seen.fade(0);
    for (std::size_t b = 0; b < age_bucket::count; ++b)
        CHECK(seen.odds(10).at(leaf, b) == reuse_statistics{}.odds(10).at(leaf, b));
}
