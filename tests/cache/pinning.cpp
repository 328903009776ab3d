// What a lease holds stays; what it lets go, or never committed, does not.

#include <cache/short_requests.hpp>

#include <support/last_words.hpp>

#include <string>
#include <type_traits>

using namespace cache_tests;

namespace {

/// Other requests, more than there is room for.
template <class Cache>
void flood(Cache& cache, std::int32_t name = 0) {
    for (std::int32_t i = 0; i < 50; ++i)
        serve(cache, numbered(1000 + name * 50 + i, 10));
}

constexpr byte_count everything{1u << 30};

} // namespace

TEST_CASE("what a lease resumes from stays, under any pressure") {
    small_cache cache{room_for(hybrid(), 40)};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789a"));
    auto const table = cache.block_table(lease);
    flood(cache);
    CHECK(cache.stats().evictions() > 40);
    (void)cache.evict(everything);
    cache.clear();
    CHECK(look(cache, "0123456789a") == depths{10, 10, 0, 0});
    CHECK(cache.block_table(lease) == table);
    CHECK(pages_used(cache) == 12);
    CHECK_SOUND(cache);
    lease.release();
    CHECK(look(cache, "0123456789a") == depths{10, 10, 0, 0});
    flood(cache);
    CHECK(look(cache, "0123456789a") == depths{});
    CHECK_SOUND(cache);
}

TEST_CASE("what lies above a pinned node stays, but for its checkpoints") {
    small_cache cache{room_for(hybrid(), 60)};
    serve(cache, "0123456789");
    serve(cache, "0123456789abcd");
    auto const lease = acquire(cache, text("0123456789abcdx"));
    CHECK(lease.resume_at() == 14_tokens);
    (void)cache.evict(everything);
    CHECK(look(cache, "0123456789abcdx") == depths{14, 14, 0, 0});
    CHECK(look(cache, "0123456789x") == depths{10, 0, 0, 10});
    CHECK(cache.holds().nodes == 1);
    CHECK(pages_used(cache) == 14 + 2);
    CHECK_SOUND(cache);
}

TEST_CASE("of a long entry a lease pins what it resumes from, and no more") {
    small_cache cache{room_for(attention_only(), 100)};
    sequence const theirs = numbered(1, 90);
    serve(cache, theirs);
    auto lease = acquire(cache, first(theirs, 16) + numbered(2, 84));
    CHECK(lease.resume_at() == 16_tokens);
    CHECK(cache.holds().nodes == 2);
    CHECK_SOUND(cache);
    SECTION("the rest makes room") {
        CHECK(cache.reserve(lease, 100_tokens) == 100_tokens);
        CHECK(cache.match({}, theirs).matched == 16_tokens);
    }
    SECTION("and is one with it again when the lease ends") {
        lease.release();
        CHECK(cache.holds().nodes == 1);
        CHECK(cache.match({}, theirs, {.limit = 90_tokens}).matched == 90_tokens);
    }
    SECTION("also where somebody cut it since the match") {
        auto const plan = cache.plan(cache.match({}, first(theirs, 60) + numbered(3, 2)));
        serve(cache, first(theirs, 70) + numbered(4, 2));
        auto const other = cache.acquire(plan);
        REQUIRE(other.resume_at() == 60_tokens);
        (void)cache.evict(everything);
        CHECK(cache.match({}, theirs).matched == 60_tokens);
    }
    CHECK_SOUND(cache);
}

TEST_CASE("of what was known a commit pins up to its own end, and no more") {
    small_cache cache{room_for(hybrid(), 30)};
    sequence const tokens = numbered(1, 18);
    (void)commit(cache, acquire(cache, tokens), tokens); // KV alone: nothing to resume from
    auto lease = acquire(cache, tokens);
    CHECK(cache.reserve(lease, 12_tokens) == 12_tokens);
    CHECK(commit(cache, lease, first(tokens, 12)).complete());
    CHECK(lease.position() == 12_tokens);
    CHECK(cache.reserve(lease, 18_tokens) == 18_tokens); // 12 known ones and its own
    CHECK(pages_used(cache) == 12 + 18);
    CHECK_SOUND(cache);
    CHECK(commit(cache, lease, tokens).complete());
    lease.release();
    CHECK(pages_used(cache) == 18);
    CHECK(cache.holds().nodes == 1);
    CHECK_SOUND(cache);
}

TEST_CASE("a checkpoint that is let go may be evicted, and the KV stays") {
    small_cache cache{room_for(hybrid(), 40)};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789a"));
    lease.let_go_checkpoint();
    lease.let_go_checkpoint();
    CHECK(look(cache, "0123456789a") == depths{10, 10, 0, 0});
    CHECK(cache.evict(everything) == byte_count{2 * 256});
    CHECK(look(cache, "0123456789a") == depths{10, 0, 0, 10});
    CHECK(cache.block_table(lease).size() == 10);
    CHECK_SOUND(cache);
    lease.release();
    CHECK(cache.holds().candidates == 1);
    CHECK(cache.evict(everything) == byte_count{10 * 256});
    CHECK(cache.holds().scopes == 0);
}

TEST_CASE("KV that is let go stays while its checkpoint is held") {
    small_cache cache{room_for(hybrid(), 40)};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789a"));
    lease.let_go_kv();
    lease.let_go_kv();
    CHECK(cache.evict(everything) == 0_B);
    CHECK(look(cache, "0123456789a") == depths{10, 10, 0, 0});
    CHECK_SOUND(cache);
    lease.let_go_checkpoint();
    CHECK(cache.evict(everything) == byte_count{12 * 256});
    CHECK(cache.holds().nodes == 0);
    CHECK(lease.resume_at() == 10_tokens);
    CHECK_SOUND(cache);
}

TEST_CASE("a node that lost its checkpoint merges when its last pin goes") {
    small_cache cache{room_for(hybrid(), 40)};
    serve(cache, "0123456789");
    auto one = acquire(cache, text("0123456789a"));
    auto other = acquire(cache, text("0123456789a"));
    serve(cache, "0123456789bcde");
    CHECK(cache.holds().nodes == 2);
    one.let_go_checkpoint();
    CHECK(cache.holds().candidates == 1); // the leaf
    other.let_go_checkpoint();
    CHECK(cache.holds().candidates == 2);
    CHECK(cache.evict(1_B) == byte_count{2 * 256}); // last used before the leaf came
    CHECK(cache.holds().nodes == 2);
    CHECK(cache.stats().merges == 0);
    one.release();
    CHECK(cache.holds().nodes == 2);
    CHECK_SOUND(cache);
    other.release();
    CHECK(cache.holds().nodes == 1);
    CHECK(cache.stats().merges == 1);
    CHECK(look(cache, "0123456789bcdef") == depths{14, 14, 0, 0});
    CHECK_SOUND(cache);
}

TEST_CASE("of an aborted request nothing remains but what it had committed") {
    small_cache cache{room_for(hybrid(), 60, 4)};
    serve(cache, "0123456789");
    std::string const before = inventory(cache, false);
    SECTION("nothing") {
        acquire(cache, text("something else"));
        acquire(cache, text("0123456789abcdef"));
        CHECK(inventory(cache, false) == before);
    }
    SECTION("no reservation") {
        {
            auto const fresh = acquire(cache, text("something else"));
            auto const resumed = acquire(cache, text("0123456789abcdef"));
            CHECK(cache.reserve(fresh, 14_tokens) == 14_tokens);
            CHECK(cache.reserve(resumed, 16_tokens) == 16_tokens);
            CHECK(cache.holds().leases == 2);
            CHECK_SOUND(cache);
        }
        CHECK(inventory(cache, false) == before);
    }
    SECTION("what was committed before") {
        auto lease = acquire(cache, text("something else"));
        commit(cache, lease, text("something"), {9});
        CHECK(cache.reserve(lease, 14_tokens) == 14_tokens);
        lease = {};
        CHECK(look(cache, "something else") == depths{9, 9, 0, 0});
        CHECK(pages_used(cache) == (3 + 1) + (3 + 1));
    }
    CHECK(cache.holds().leases == 0);
    CHECK_SOUND(cache);
}

TEST_CASE("a lease moves, and lets go once") {
    static_assert(!std::is_copy_constructible_v<small_cache::lease>);
    static_assert(std::is_nothrow_move_constructible_v<small_cache::lease>);
    static_assert(!std::is_move_constructible_v<small_cache>);

    small_cache cache{room_for(hybrid(), 60)};
    serve(cache, "0123456789");
    auto one = acquire(cache, text("0123456789a"));
    auto two = std::move(one);
    CHECK(one.stale());
    CHECK(two.resume_at() == 10_tokens);
    CHECK(cache.holds().leases == 1);
    SECTION("into itself") {
        auto& same = two;
        two = std::move(same);
        CHECK(two);
        CHECK(cache.holds().leases == 1);
    }
    SECTION("over another lease, which goes") {
        auto three = acquire(cache, text("other"));
        CHECK(cache.holds().leases == 2);
        three = std::move(two);
        CHECK(cache.holds().leases == 1);
        CHECK(three.resume_at() == 10_tokens);
    }
    SECTION("released twice") {
        two.release();
        CHECK_FALSE(two);
        CHECK(cache.holds().leases == 0);
        two.release();
        two.let_go_kv();
        two.let_go_checkpoint();
        CHECK(cache.holds().leases == 0);
    }
    CHECK_SOUND(cache);
}

TEST_CASE("a plan goes stale with what it would reuse") {
    small_cache cache{room_for(hybrid(), 60)};
    serve(cache, "0123456789");
    auto const plan = cache.plan(cache.match({}, text("0123456789a")));
    auto const miss = cache.plan(cache.match({}, text("another")));

    SECTION("the node went") {
        cache.clear();
        CHECK(cache.acquire(plan).stale());
    }
    SECTION("the node went and its slot holds another") {
        cache.clear();
        serve(cache, "9876543210");
        CHECK(cache.acquire(plan).stale());
    }
    SECTION("the checkpoint went and the node stayed") {
        auto lease = acquire(cache, text("0123456789a"));
        lease.let_go_checkpoint();
        (void)cache.evict(everything);
        CHECK(look(cache, "0123456789a") == depths{10, 0, 0, 10});
        CHECK(cache.acquire(plan).stale());
    }
    SECTION("the node's KV has grown past the point") { // its checkpoint merged away
        serve(cache, "0123456789abcd");
        auto const longer = acquire(cache, text("0123456789abcde"));
        (void)cache.evict(everything);
        CHECK(cache.acquire(plan).stale());
    }
    CHECK(cache.stats().stale == 1);
    CHECK(cache.acquire(miss)); // nothing of it can go
    CHECK(cache.stats().stale == 1);
    CHECK_SOUND(cache);
}

TEST_CASE("a plan outlives what it does not reuse") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    auto const plan = cache.plan(cache.match({}, text("0123456789a")));
    serve(cache, "0123");          // its node is split
    serve(cache, "0123456789abc"); // and has a child
    serve(cache, "other");
    auto const lease = cache.acquire(plan);
    REQUIRE(lease);
    CHECK(lease.resume_at() == 10_tokens);
    CHECK(cache.block_table(lease).size() == 10);
    CHECK_SOUND(cache);
}

TEST_CASE("without per-position state a plan outlives splits above and below") {
    small_cache cache{room_for(attention_only(), 100)};
    serve(cache, "0123456789");
    auto const plan = cache.plan(cache.match({}, text("01234567xy")));
    serve(cache, "0123-");
    serve(cache, "012345678-");
    auto const lease = cache.acquire(plan);
    REQUIRE(lease);
    CHECK(lease.resume_at() == 8_tokens);
    (void)cache.evict(everything);
    CHECK(look(cache, "01234567xy") == depths{8, 8, 0, 0});
    CHECK_SOUND(cache);
}

TEST_CASE("where a lease stands survives the work of others") {
    small_cache cache{room_for(hybrid(), 200, 4)};
    auto const lease = acquire(cache, text("0123456789abcdefghij"));
    commit(cache, lease, text("0123456789"), {10});
    serve(cache, "012345-----");   // splits the node
    serve(cache, "01234567++++");  // and again
    (void)cache.evict(everything); // and merges all
    CHECK(cache.holds().nodes == 1);
    auto const outcome = commit(cache, lease, text("0123456789abcdefghij"), {20});
    CHECK(outcome.stored_tokens == 10_tokens);
    CHECK(look(cache, "0123456789abcdefghijk") == depths{20, 20, 0, 0});
    CHECK_SOUND(cache);
}

#if __has_include(<sys/wait.h>)
TEST_CASE("a cache that is destroyed under live leases ends the program with a message") {
    std::string const message = support::last_words([] {
        small_cache::lease one, two;
        small_cache cache{room_for(hybrid(), 10)};
        one = acquire(cache, text("a"));
        two = acquire(cache, text("b"));
    });
    CHECK(message.find("a prefix_cache was destroyed before its leases were released: 2") !=
          std::string::npos);
}
#endif
