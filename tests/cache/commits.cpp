// What a commit stores, and that its answer is true.

#include <cache/short_requests.hpp>

using namespace cache_tests;

namespace {

struct answer {
    std::uint64_t position = 0, stored = 0, declined = 0;
    unsigned checkpoints = 0, known = 0, declined_checkpoints = 0;
    std::uint64_t evicted = 0, evicted_pages = 0;

    friend bool operator==(answer const&, answer const&) = default;
    friend std::ostream& operator<<(std::ostream& out, answer const& a) {
        return out << "at " << a.position << ", stored " << a.stored << ", declined " << a.declined
                   << "; checkpoints stored " << a.checkpoints << ", known " << a.known
                   << ", declined " << a.declined_checkpoints << "; evicted " << a.evicted << " of "
                   << a.evicted_pages << " pages";
    }
};

template <class Cache>
answer store(Cache& cache, typename Cache::lease const& lease, sequence const& tokens,
             std::vector<std::uint64_t> const& checkpoints = {}) {
    auto const o = commit(cache, lease, tokens, checkpoints);
    CHECK(o.position == lease.position());
    CHECK(o.complete() == (o.declined_tokens == 0_tokens && o.declined_checkpoints == 0));
    CHECK_SOUND(cache);
    return {o.position.value(),        o.stored_tokens.value(),
            o.declined_tokens.value(), o.stored_checkpoints,
            o.known_checkpoints,       o.declined_checkpoints,
            o.evicted_entries,         o.evicted_bytes / cache.store().layout().page_bytes()};
}

} // namespace

TEST_CASE("two requests that commit the same tokens store them once") {
    for (std::uint64_t const block : {1u, 4u}) {
        CAPTURE(block);
        small_cache cache{room_for(hybrid(), 100, block)};
        auto const one = acquire(cache, text("0123456789"));
        auto const other = acquire(cache, text("0123456789"));
        CHECK(store(cache, one, text("0123456789"), {10}) == answer{10, 10, 0, 1, 0, 0, 0, 0});
        auto const used = pages_used(cache);
        CHECK(store(cache, other, text("0123456789"), {10}) == answer{10, 0, 0, 0, 1, 0, 0, 0});
        CHECK(pages_used(cache) == used);
        CHECK(store(cache, other, text("0123456789ab"), {12}) == answer{12, 2, 0, 1, 0, 0, 0, 0});
        CHECK(store(cache, one, text("0123456789ac"), {12}) == answer{12, 1, 0, 1, 0, 0, 0, 0});
    }
}

TEST_CASE("a request may commit several times") {
    small_cache cache{room_for(hybrid(), 100, 4)}; // a page is 4 tokens, or a checkpoint
    auto const lease = acquire(cache, text("0123456789abcdef"));
    CHECK(store(cache, lease, {}) == answer{});
    CHECK(store(cache, lease, text("012345"), {6}) == answer{6, 6, 0, 1, 0, 0, 0, 0});
    CHECK(pages_used(cache) == 2 + 1);
    CHECK(store(cache, lease, text("0123456")) == answer{7, 1, 0, 0, 0, 0, 0, 0});
    CHECK(pages_used(cache) == 2 + 1); // goes on in the slots that are left
    CHECK(store(cache, lease, text("0123456")) == answer{7, 0, 0, 0, 0, 0, 0, 0});
    CHECK(store(cache, lease, text("0123456789ab"), {9, 12}) == answer{12, 5, 0, 2, 0, 0, 0, 0});
    CHECK(pages_used(cache) == 3 + 3);
    CHECK(cache.block_table(lease).size() == 3);
    CHECK(look(cache, "0123456789abcdef") == depths{12, 12, 0, 0});
    CHECK(look(cache, "0123456789a") == depths{11, 9, 1, 1});
    CHECK(cache.stats().commits == 5);
}

TEST_CASE("slots that a request left free are not another's") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    auto const lease = acquire(cache, text("012345abcd"));
    store(cache, lease, text("012345"), {6}); // two pages and one
    auto const other = acquire(cache, text("012345xy"));
    CHECK(other.resume_at() == 6_tokens);
    store(cache, other, text("012345xy"), {8}); // a page that repeats "45", and a checkpoint
    CHECK(pages_used(cache) == 5);
    store(cache, lease, text("012345ab"), {8}); // the rest of its own page
    CHECK(pages_used(cache) == 6);
    CHECK(cache.block_table(lease)[1] != cache.block_table(other)[1]);
    CHECK(cache.block_table(lease)[0] == cache.block_table(other)[0]);
}

TEST_CASE("a request that only copies keeps no page that it has gone on from") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "012345"); // two pages and a state
    auto const lease = acquire(cache, text("012345abcd"));
    REQUIRE(lease.resume_at() == 6_tokens);
    SECTION("but the one that it goes on in") {
        store(cache, lease, text("012345abcd")); // three pages: the second is a new one
        CHECK(pages_used(cache) == 3 + 1);
        store(cache, lease, text("012345abcdefgh"), {14});
        CHECK(pages_used(cache) == 4 + 2);
    }
    SECTION("one that works in place keeps it, since its block table may name it") {
        auto in_place = acquire(cache, text("ABCDEFGHIJKLMN"));
        REQUIRE(cache.reserve(in_place, 4_tokens) == 4_tokens);
        store(cache, in_place, text("ABCDEFGHIJ"));
        page_id const gone_on_from = cache.block_table(in_place)[2];
        store(cache, in_place, text("ABCDEFGHIJKLMN"));
        CHECK(cache.block_table(in_place)[2] != gone_on_from);
        CHECK(pages_used(cache) == 2 + 1 + 5);
        in_place.release();
        CHECK(pages_used(cache) == 2 + 1 + 4);
    }
    CHECK_SOUND(cache);
}

TEST_CASE("a checkpoint can be added where KV is already") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    auto const lease = acquire(cache, text("0123456"));
    CHECK(store(cache, lease, text("0123456"), {3, 7}) == answer{7, 0, 0, 2, 0, 0, 0, 0});
    CHECK(cache.holds().nodes == 3);
    CHECK(pages_used(cache) == 10 + 6);
    CHECK(look(cache, "0123456789a") == depths{10, 10, 0, 0});
    CHECK(look(cache, "01234") == depths{5, 3, 1, 1});
}

TEST_CASE("what does not fit whole is stored up to the last checkpoint that fits") {
    small_cache cache{room_for(hybrid(), 10)};
    auto const lease = acquire(cache, text("0123456789ab"));
    SECTION("the first of three") {
        CHECK(store(cache, lease, text("0123456789ab"), {4, 8, 12}) ==
              answer{4, 4, 8, 1, 0, 2, 0, 0});
        CHECK(look(cache, "0123456789ab") == depths{4, 4, 0, 0});
        CHECK(pages_used(cache) == 6);
        // Later there may be room: of what is left, 4 pages are.
        CHECK(store(cache, lease, text("0123456789ab"), {6}) == answer{6, 2, 6, 1, 0, 0, 0, 0});
        CHECK(pages_used(cache) == 10);
    }
    SECTION("all checkpoints, but not the tokens after the last") {
        CHECK(store(cache, lease, text("0123456789ab"), {8}) == answer{8, 8, 4, 1, 0, 0, 0, 0});
    }
    SECTION("nothing") {
        CHECK(store(cache, lease, text("0123456789ab"), {12}) == answer{0, 0, 12, 0, 0, 1, 0, 0});
        CHECK(store(cache, lease, text("0123456789ab")) == answer{0, 0, 12, 0, 0, 0, 0, 0});
        CHECK(look(cache, "0123456789ab") == depths{});
        CHECK(pages_used(cache) == 0);
    }
    CHECK(cache.stats().declined_commits > 0);
}

TEST_CASE("without per-position state as many tokens are stored as fit") {
    small_cache cache{room_for(attention_only(), 10)};
    auto const lease = acquire(cache, text("0123456789ab"));
    CHECK(store(cache, lease, text("0123456789ab")) == answer{10, 10, 2, 0, 0, 0, 0, 0});
    CHECK(look(cache, "0123456789ab") == depths{10, 10, 0, 0});

    small_cache blocks{room_for(attention_only(), 3, 4)};
    auto const other = acquire(blocks, text("0123456789abcd"));
    CHECK(store(blocks, other, text("01234")) == answer{5, 5, 0, 0, 0, 0, 0, 0});
    CHECK(store(blocks, other, text("0123456789abcd")) == answer{12, 7, 2, 0, 0, 0, 0, 0});
    CHECK(store(blocks, other, text("0123456789abcd")) == answer{12, 0, 2, 0, 0, 0, 0, 0});
}

TEST_CASE("a recurrent model's checkpoints are stored from the first, as far as they fit") {
    small_cache cache{room_for(recurrent_only(), 5)};
    auto const lease = acquire(cache, text("0123456789ab"));
    CHECK(store(cache, lease, text("0123456789ab"), {4, 8, 11}) == answer{8, 8, 3, 2, 0, 1, 0, 0});
    CHECK(look(cache, "0123456789ab") == depths{8, 8, 0, 0});
}

TEST_CASE("a commit evicts for what it can store, and for nothing else") {
    small_cache cache{room_for(hybrid(), 10)};
    serve(cache, "abcdef"); // 8 pages
    auto const lease = acquire(cache, text("0123456789xy"));
    SECTION("room is made") {
        CHECK(store(cache, lease, text("012345"), {6}) == answer{6, 6, 0, 1, 0, 0, 1, 8});
        CHECK(look(cache, "abcdef") == depths{});
        CHECK(cache.stats().nodes_evicted[0] == 1); // for a commit
        CHECK(cache.stats().bytes_evicted == byte_count{8 * 256});
    }
    SECTION("declined, so nobody had to go") {
        CHECK(store(cache, lease, text("0123456789xy"), {12}) == answer{0, 0, 12, 0, 0, 1, 0, 0});
        CHECK(look(cache, "abcdef", 6) == depths{6, 6, 0, 0});
    }
    SECTION("what others hold cannot be had") {
        auto const other = acquire(cache, text("abcdefg"));
        CHECK(store(cache, lease, text("0123"), {4}) == answer{0, 0, 4, 0, 0, 1, 0, 0});
        CHECK(store(cache, lease, text("01")) == answer{2, 2, 0, 0, 0, 0, 0, 0});
    }
}

TEST_CASE("what a request itself goes on from is not evicted for it") {
    small_cache cache{room_for(hybrid(), 14)};
    serve(cache, "01234567");
    auto lease = acquire(cache, text("01234567ab"));
    lease.let_go_kv();
    lease.let_go_checkpoint();
    // 10 pages are used, 4 are free, and this takes 4 tokens and a checkpoint. Of the old entry the
    // checkpoint may go, the KV not.
    CHECK(store(cache, lease, text("01234567abcd"), {12}) == answer{12, 4, 0, 1, 0, 0, 1, 2});
    CHECK(look(cache, "01234567abcde") == depths{12, 12, 0, 0});
    CHECK(pages_used(cache) == 14);
}

TEST_CASE("a lease that let go stores again what is missing") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    auto lease = acquire(cache, text("0123456789"));
    store(cache, lease, text("0123456789"), {10});
    lease.let_go_kv();
    SECTION("all") {
        cache.clear();
        CHECK(store(cache, lease, text("0123456789abc"), {13}) == answer{13, 13, 0, 1, 0, 0, 0, 0});
    }
    SECTION("some") {
        serve(cache, "0123-");
        cache.clear();
        serve(cache, "0123-");
        CHECK(store(cache, lease, text("0123456789abc"), {13}) == answer{13, 9, 0, 1, 0, 0, 0, 0});
    }
    SECTION("nothing") {
        CHECK(store(cache, lease, text("0123456789abc"), {13}) == answer{13, 3, 0, 1, 0, 0, 0, 0});
    }
    CHECK(look(cache, "0123456789abcd") == depths{13, 13, 0, 0});
}

TEST_CASE("a lease that let go may find less room than it had, and stands where it then is") {
    small_cache cache{room_for(hybrid(), 14)};
    auto lease = acquire(cache, text("0123456789"));
    store(cache, lease, text("0123456789"), {10});
    lease.let_go_kv();
    serve(cache, "abcdefghijkl"); // takes all the room
    auto const holder = acquire(cache, text("abcdefghijklm"));
    CHECK(store(cache, lease, text("0123456789ab"), {12}) == answer{0, 0, 12, 0, 0, 1, 0, 0});
    CHECK(lease.position() == 0_tokens);
}

TEST_CASE("KV and checkpoints share one budget") {
    small_cache cache{room_for(hybrid(), 20)};
    auto const holds = [&] {
        auto const o = cache.holds();
        CHECK(o.used == o.kv_and_leased + o.checkpoints);
        return std::pair{o.kv_and_leased.value() / 256, o.checkpoints.value() / 256};
    };
    serve(cache, numbered(1, 18));
    CHECK(holds() == std::pair<std::uint64_t, std::uint64_t>{18, 2});
    for (std::int32_t i = 2; i < 8; ++i)
        serve(cache, numbered(i, 2));
    CHECK(holds() == std::pair<std::uint64_t, std::uint64_t>{10, 10});
    for (std::int32_t i = 8; i < 16; ++i) {
        auto const lease = acquire(cache, numbered(i, 9));
        store(cache, lease, numbered(i, 9), {1, 2, 3, 4, 5});
    }
    CHECK(holds() == std::pair<std::uint64_t, std::uint64_t>{9, 10});
    CHECK(cache.holds().peak == cache.holds().capacity);
    cache.clear();
    CHECK(cache.holds().used == 0_B);
    CHECK(cache.holds().peak == cache.holds().capacity);
}
