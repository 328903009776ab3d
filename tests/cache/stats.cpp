#include <cache/short_requests.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>

using namespace cache_tests;
using marconi::cache::counters;

TEST_CASE("a difference of counters leaves none out") {
    std::array<std::uint64_t, sizeof(counters) / sizeof(std::uint64_t)> numbers;
    std::iota(numbers.begin(), numbers.end(), 1u);
    auto const some = std::bit_cast<counters>(numbers);
    CHECK(some.requests == 1);
    CHECK(some - some == counters{.largest_ripple = some.largest_ripple});
}

TEST_CASE("a difference of counters tells what happened in between") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, text("0123456789"));
    counters const before = cache.stats();
    serve(cache, text("0123456789ab"));
    for (int aborted = 0; aborted < 2; ++aborted)
        (void)acquire(cache, text("another"));
    cache.clear();
    counters const between = cache.stats() - before;
    CHECK(between.requests == 3);
    CHECK(between.abandoned == 2);
    CHECK(between.hits == 1);
    CHECK(between.tokens_asked == 26_tokens);
    CHECK(between.tokens_resumed == 10_tokens);
    CHECK(between.flops_asked == flop_count{144 + 2 * 49});
    CHECK(between.flops_saved == flop_count{100});
    CHECK(between.token_hit_rate() == 10.0 / 26);
    CHECK(between.flops_saved_share() == 100.0 / 242);
    CHECK(counters{}.token_hit_rate() + counters{}.flops_saved_share() == 0);
    CHECK(between.tokens_stored == 2_tokens);
    CHECK(between.evictions() == cache.stats().evictions());
    CHECK(between.evictions() > 0);
}

TEST_CASE("what nobody asked for is in no figure but those of commits") {
    small_cache cache{room_for(hybrid(), 100)};
    CHECK(cache.match({}, text("01")).counted);
    cache::match_options const loads{.limit = 0_tokens, .counted = false};
    {
        auto const lease = acquire(cache, text("01234567"), {}, loads);
        commit(cache, lease, text("01234567"), {8});
    }
    acquire(cache, text("012345678"), {}, {.counted = false}).release(); // finds what it loads
    counters expected;
    expected.commits = 1;
    expected.tokens_stored = 8_tokens;
    expected.checkpoints_stored = 1;
    CHECK(cache.stats() == expected);

    serve(cache, "01234567ab");
    CHECK(cache.stats().requests == 1);
    CHECK(cache.stats().hits == 1);
    CHECK(cache.stats().tokens_asked == 10_tokens);
}
