// Entries that go because they are old, of one scope or of all.

#include <cache/short_requests.hpp>

#include <marconi/cache/concurrent_cache.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/scored.hpp>

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

using namespace cache_tests;

namespace {

scope const alice{.tenant = 1}, bob{.tenant = 2};

/// Gdsf, whose order is another one than that of last use.
using saving_cache = counting_cache<policy::gdsf>;

template <class Cache>
bool has(Cache const& cache, std::string_view tokens, scope const& in = alice) {
    auto const found = look(cache, tokens, tokens.size(), in);
    return found.resumable == tokens.size();
}

constexpr byte_count page{256};

struct for_good {
    double operator()(policy::usage const&, policy::candidate_facts const&, tick) const {
        return std::numeric_limits<double>::infinity();
    }
};

} // namespace

TEST_CASE("of one scope goes what was used longest ago, and nothing of others") {
    saving_cache cache{room_for(hybrid(), 200)};
    serve(cache, "bbbbbb", bob);
    serve(cache, "0123456789ABCDEF", alice); // 16 pages and a checkpoint of 2
    serve(cache, "abcd", alice);
    serve(cache, "uvwxyz", alice);
    CHECK(cache.evict({.tenant = 3}, 1_GiB) == 0_B);
    CHECK(cache.evict(alice, 0_B) == 0_B);

    SECTION("as much as is asked for") {
        CHECK(cache.evict(alice, 1_B) == page * 18); // gdsf would begin with "abcd"
        CHECK_FALSE(has(cache, "0123456789ABCDEF"));
        CHECK(cache.evict(alice, page * 7) == page * 14);
        CHECK(cache.holds(alice).nodes == 0);
    }
    SECTION("what was resumed from is younger") {
        acquire(cache, text("0123456789ABCDEF+"), alice).release();
        CHECK(cache.evict(alice, 1_B) == page * 6);
        CHECK_FALSE(has(cache, "abcd"));
        CHECK(has(cache, "0123456789ABCDEF"));
    }
    SECTION("but not what a lease holds") {
        auto const lease = acquire(cache, text("0123456789ABCDEF+"), alice);
        CHECK(cache.evict(alice, 1_GiB) == page * 14);
        CHECK(has(cache, "0123456789ABCDEF"));
    }
    SECTION("a fork loses its state in its turn, as soon as one branch is left") {
        serve(cache, "abcdEFGH", alice);
        serve(cache, "abcdIJKL", alice);
        CHECK(cache.evict(alice, page * (18 + 8 + 1)) == page * (18 + 8 + 6));
        CHECK_FALSE(has(cache, "uvwxyz"));
        CHECK_FALSE(has(cache, "abcdEFGH"));
        CHECK(has(cache, "abcd"));
        CHECK(cache.evict(alice, 1_B) == page * 2);
        CHECK_FALSE(has(cache, "abcd"));
        CHECK(has(cache, "abcdIJKL")); // committed after the fork was last used
    }
    CHECK(has(cache, "bbbbbb", bob));
    CHECK(cache.stats().evictions() == cache.stats().evictions(cache::eviction_reason::on_demand));
    CHECK_SOUND(cache);
}

TEST_CASE("what merges with something younger keeps its age") {
    saving_cache cache{room_for(attention_only(), 200)};
    serve(cache, "abcdXX", alice);
    serve(cache, "abcdYY", alice);
    serve(cache, "mmm", alice);
    acquire(cache, text("abcd+"), alice).release(); // uses "abcd"
    SECTION("in the order of a scope") {
        CHECK(cache.evict(alice, page * 3) == page * (2 + 6));
        CHECK(look(cache, "abcdYY", 6, alice).matched == 0);
        CHECK(has(cache, "mmm"));
    }
    SECTION("while what is unused is forgotten") {
        CHECK(cache.forget_unused(tick{6}) == page * (2 + 2 + 3));
        CHECK(look(cache, "abcdYY", 6, alice).matched == 4);
    }
    SECTION("and afterwards") {
        cache.forget({}, text("none"), token_count{1});
        cache.forget(alice, std::span<std::int32_t const>{text("abcdX")}, token_count{4});
        CHECK(cache.holds(alice).nodes == 2);
        CHECK(cache.forget_unused(tick{6}) == page * (6 + 3)); // with a beginning used later
    }
    CHECK_SOUND(cache);
}

TEST_CASE("what comes free when a fork merges afterwards is told, too") {
    saving_cache cache{room_for(attention_only(), 200, 4)};
    serve(cache, "abcdefXX", alice);
    tick const then = cache.now();
    serve(cache, "abcdefYY", alice); // repeats "ef" in a page of its own
    byte_count const used = cache.holds().used;
    CHECK(cache.forget_unused(then) == page * 4); // of "efXX", which the fork had, too
    CHECK(used - cache.holds().used == page * 4);
    CHECK(has(cache, "abcdefYY"));
    CHECK_SOUND(cache);
}

TEST_CASE("a cache that nobody uses forgets all that it has") {
    saving_cache cache{room_for(hybrid(), 200)};
    serve(cache, "the last of the day", alice);
    tick const an_hour_ago = cache.now();
    CHECK(cache.forget_unused(an_hour_ago) > 0_B);
    CHECK(cache.holds().nodes == 0);
}

TEST_CASE("what a policy keeps for good goes all the same") {
    counting_cache<policy::scored<for_good>> cache{room_for(hybrid(), 200)};
    serve(cache, "abc", alice);
    serve(cache, "def", alice);
    CHECK(cache.evict(1_GiB) == 0_B);
    CHECK(cache.evict(alice, 1_B) == page * 5);
    CHECK(cache.forget_unused(cache.now()) == page * 5);
}

TEST_CASE("what nobody used since a time is forgotten, with what only it needed") {
    for (auto const& model : {hybrid(), attention_only(), recurrent_only(), sliding_window()}) {
        CAPTURE(model.model);
        saving_cache cache{room_for(model, 200)};
        CHECK(cache.now() == tick{0});
        serve(cache, "old one", alice);
        serve(cache, "shared by old ones", alice);
        serve(cache, "shared by new ones", alice);
        serve(cache, "old one", bob);
        CHECK(cache.now() == tick{8}); // an acquire and a commit each
        tick const then = cache.now();
        serve(cache, "new one", bob);
        acquire(cache, text("shared by new ones, too"), alice).release();

        byte_count const used = cache.holds().used;
        byte_count const freed = cache.forget_unused(then);
        CHECK(freed > 0_B);
        CHECK(freed == used - cache.holds().used);
        CHECK(cache.stats().bytes_evicted == freed);
        CHECK(cache.stats().evictions() == cache.stats().evictions(cache::eviction_reason::clear));
        CHECK_FALSE(has(cache, "old one", alice));
        CHECK_FALSE(has(cache, "old one", bob));
        CHECK_FALSE(has(cache, "shared by old ones", alice));
        CHECK(has(cache, "new one", bob));
        CHECK(has(cache, "shared by new ones", alice));
        CHECK_SOUND(cache);
        CHECK(cache.forget_unused(then) == 0_B);

        auto const held = acquire(cache, text("new one, held"), bob);
        cache.forget_unused(cache.now());
        CHECK(has(cache, "new one", bob));
        CHECK(cache.holds().scopes == 1);
        CHECK_SOUND(cache);
    }
}

TEST_CASE("a cache of many threads forgets, too") {
    cache::concurrent_cache<saving_cache> cache{room_for(hybrid(), 200)};
    auto const put = [&](std::string_view tokens) {
        sequence const all = text(tokens);
        auto const states = states_at({all.size()});
        cache.commit(cache.open(alice, all), all, {.checkpoints = states});
    };
    put("old one");
    tick const then = cache.now();
    put("new one");
    put("newer one");
    CHECK(cache.forget_unused(then) == page * 9);
    CHECK(cache.evict(alice, 1_B) > 0_B);
    cache.alone([](auto const& c) {
        CHECK_FALSE(has(c, "new one"));
        CHECK(has(c, "newer one"));
        CHECK_SOUND(c);
    });
}

TEST_CASE("a cache of many threads evicts no more than it is asked to") {
    cache::concurrent_cache<saving_cache> cache{room_for(attention_only(), 200)};
    for (std::string_view const tokens : {"aaaa", "bbbbbb"})
        cache.alone([&](auto& c) { serve(c, tokens); });
    CHECK(cache.evict(page * 4) == page * 4);
    CHECK(cache.evict(page * 5) == page * 6);
}
