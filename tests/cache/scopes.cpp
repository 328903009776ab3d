// Each scope has its own tree; all share one budget.

#include <cache/short_requests.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

using namespace cache_tests;

TEST_CASE("scopes share nothing but the budget") {
    small_cache cache{room_for(hybrid(), 100)};
    scope const scopes[] = {{.tenant = 1}, {.adapter = 1}, {.revision = 1}, {1, 1, 0}, {}};
    for (scope const& in : scopes) {
        CHECK(look(cache, "0123456789ab", std::nullopt, in) == depths{});
        serve(cache, "0123456789", in);
        CHECK(look(cache, "0123456789ab", std::nullopt, in) == depths{10, 10, 0, 0});
    }
    CHECK(cache.holds().scopes == 5);
    CHECK(cache.holds().nodes == 5);
    CHECK(pages_used(cache) == 60);
    for (scope const& in : scopes)
        CHECK(cache.holds(in) == cache::scope_occupancy{.tokens = 10_tokens,
                                                        .kv = 10 * 256_B,
                                                        .checkpoints = 2 * 256_B,
                                                        .nodes = 1,
                                                        .checkpoint_count = 1});
    CHECK(cache.holds({.tenant = 99}) == cache::scope_occupancy{});
    CHECK_SOUND(cache);

    auto lease = acquire(cache, text("0123456789ab"), scopes[1]);
    cache.clear(scopes[0]);
    cache.clear(scopes[1]); // held
    cache.clear({.tenant = 99});
    CHECK(look(cache, "0123456789ab", std::nullopt, scopes[0]) == depths{});
    CHECK(look(cache, "0123456789ab", std::nullopt, scopes[1]) == depths{10, 10, 0, 0});
    CHECK(look(cache, "0123456789ab", std::nullopt, scopes[2]) == depths{10, 10, 0, 0});
    CHECK(cache.holds().scopes == 4);
    CHECK(cache.stats().evictions(cache::eviction_reason::clear) == 1);
    lease.release();
    cache.clear();
    CHECK(cache.holds().scopes == 0);
    CHECK(cache.holds().used == 0_B);
    CHECK_SOUND(cache);

    for (std::int32_t i = 0; i < 20; ++i) // each evicts from another's
        serve(cache, numbered(i, 18), {.tenant = static_cast<std::uint64_t>(i)});
    CHECK(cache.holds().scopes == 5);
    CHECK_SOUND(cache);
}

TEST_CASE("scopes of which anything is here are listed in order") {
    small_cache cache{room_for(hybrid(), 1000)};
    CHECK(cache.scopes().empty());
    std::vector<scope> expected;
    for (std::uint64_t tenant : {7u, 1u, 300u, 2u})
        for (std::uint64_t adapter : {5u, 0u})
            for (std::uint64_t revision : {9u, 1u})
                expected.push_back({tenant, adapter, revision});
    for (scope const& in : expected)
        serve(cache, "0123", in);
    std::ranges::sort(expected);
    CHECK(cache.scopes() == expected);

    auto const held = acquire(cache, text("012345"), expected[0]);
    auto const nothing_yet = acquire(cache, text("01"), {.tenant = 4});
    commit(cache, nothing_yet, {});
    CHECK(cache.holds().scopes == expected.size() + 1); // which has a place in the tree
    CHECK(cache.scopes() == expected);

    for (scope const& in : cache.scopes()) // an adapter goes, for all tenants
        if (in.adapter == 5) cache.clear(in);
    std::erase_if(expected, [](scope const& in) { return in.adapter == 5; });
    CHECK(cache.scopes() == expected);
    cache.clear();
    CHECK(held.resume_at() == 4_tokens);
    CHECK(cache.scopes() == std::vector<scope>{expected[0]});
    CHECK_SOUND(cache);
}

TEST_CASE("of a scope each page counts once, in however many nodes it is, and no lease's own") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789"); // three blocks, of which the second is cut inside
    auto const lease = acquire(cache, text("012345abcd"));
    (void)cache.reserve(lease, 30_tokens);
    commit(cache, lease, text("012345abcd"), {6});
    cache::scope_occupancy const all = cache.holds({});
    CHECK(all.tokens == 14_tokens);
    CHECK(all.nodes == 3);
    CHECK(all.checkpoint_count == 2);
    // The first two blocks, the last of the first text, and two of the second's.
    CHECK(all.kv == 5 * cache.store().layout().page_bytes());
    CHECK(all.kv < cache.holds().kv_and_leased);
    CHECK_SOUND(cache);
}
