// What a cache tells a store with streams of the pages that engines use in place.

#include <cache/short_requests.hpp>

#include <support/ordered_ledger.hpp>

#include <cstddef>
#include <utility>

using namespace cache_tests;
using support::ordered_ledger;

namespace {

constexpr ordered_ledger::stream one{1}, two{2};

/// Blocks of four tokens; the prompt of 40 is in the cache.
struct fixture {
    std::size_t admitted = 0;
    std::size_t marks = 0;
    cache::prefix_cache<ordered_ledger> cache{store(admitted, &marks)};
    sequence tokens = numbered(1, 40);
    decltype(cache)::lease lease;

    fixture() {
        (void)serve(cache, tokens);
        tokens.resize(80, 7);
        lease = acquire(cache, tokens);
        REQUIRE(lease.position() == 40_tokens);
    }
    static ordered_ledger store(std::size_t& admitted, std::size_t* marks = nullptr) {
        memory::page_options const cut = blocks_of(4);
        ordered_ledger made{hybrid(), memory::page_layout{hybrid(), cut}.page_bytes() * 100, cut};
        made.admitted = &admitted;
        made.marks = marks;
        return made;
    }
    /// Pages that the call admits a reader to.
    template <class Call>
    std::size_t admits(Call&& call) {
        std::size_t const before = admitted;
        call();
        return admitted - before;
    }
    /// How often a stream is asked for a mark when the lease is released.
    std::size_t marks_of_release() {
        marks = 0;
        lease.release();
        return marks;
    }
    std::size_t reserves(std::uint64_t until, ordered_ledger::stream on) {
        return admits([&] { (void)cache.reserve(lease, token_count{until}, on); });
    }
    void commit_in_place(std::size_t until, ordered_ledger::stream on) {
        REQUIRE(cache.commit(lease, std::span{tokens}.first(until), {}, on).position ==
                token_count{until});
    }
};

/// To it a cache copies; nothing comes of that.
struct with_bytes : ordered_ledger {
    using ordered_ledger::ordered_ledger;
    static constexpr bool holds_bytes = true;
    static constexpr bool reads_views = false;
};

} // namespace

TEST_CASE("a stream that reads a lease's pages is admitted to each of them once") {
    fixture f;
    CHECK(f.reserves(44, one) == 10);
    CHECK(f.reserves(44, one) == 1); // the new one
    for (std::uint64_t until = 48; until <= 80; until += 4)
        CHECK(f.reserves(until, one) <= 1);
    CHECK(f.admits([&] { f.lease.used_on(one); }) == 1);
    CHECK(f.admits([&] { f.lease.used_on(one); }) == 0);
    CHECK(f.admits([&] { f.lease.used_on(two); }) == 20);
    CHECK(f.admits([&] { f.lease.used_on(two); }) == 0);
}

TEST_CASE("it is admitted anew to what was written or replaced since") {
    fixture f;
    (void)f.reserves(62, one);
    f.lease.used_on(one);
    f.lease.used_on(two);
    SECTION("by a commit, on whatever stream") {
        f.commit_in_place(62, one);
        CHECK(f.admits([&] { f.lease.used_on(two); }) == 2 * 6); // nodes' and lease's
        CHECK(f.admits([&] { f.lease.used_on(one); }) == 2 * 6);
        f.commit_in_place(62, one);
        CHECK(f.admits([&] { f.lease.used_on(two); }) == 2 * 1); // the block it stands in
    }
    SECTION("by a reservation on another stream") {
        CHECK(f.reserves(70, two) == 0);
        CHECK(f.admits([&] { f.lease.used_on(one); }) == 8); // from where the lease stands
    }
    SECTION("by pages that come in the place of those given back") {
        f.cache.unreserve(f.lease, 50_tokens);
        CHECK(f.reserves(62, one) == 0);
        CHECK(f.admits([&] { f.lease.used_on(one); }) == 3);
    }
    SECTION("by pages of others in the place of its own") {
        f.commit_in_place(62, one);
        f.marks = 0;
        (void)f.cache.deduplicate(f.lease);
        CHECK(f.marks == 2); // who gets what it gave back waits for both
        CHECK(f.admits([&] { f.lease.used_on(two); }) >= 16);
    }
    SECTION("by storing again what went when the lease had let go") {
        f.commit_in_place(62, one);
        f.lease.let_go_kv();
        CHECK(f.admits([&] { f.lease.used_on(two); }) == 0); // there is nothing to read
        f.commit_in_place(62, one);
        CHECK(f.admits([&] { f.lease.used_on(two); }) >= 16);
    }
    CHECK_SOUND(f.cache);
}

TEST_CASE("a page that the lease got a copy of waits for the lease's streams, too") {
    fixture f;
    sequence const prompt = numbered(1, 38); // inside a block: a reservation copies it
    (void)serve(f.cache, prompt);
    f.lease = acquire(f.cache, prompt + sequence(40, 9));
    REQUIRE(f.lease.position() == 38_tokens);
    f.lease.used_on(one);
    (void)f.reserves(78, one);
    // The path's ten pages, one of them for each of two nodes; eleven of its own; and the one that
    // it got a copy of.
    CHECK(f.admits([&] { f.lease.used_on(two); }) == 11 + 11 + 1);
}

TEST_CASE("a stream is admitted once to pages that go on past where the lease stands") {
    std::size_t admitted = 0;
    memory::page_options const cut = blocks_of(4);
    ordered_ledger store{attention_only(), byte_count{1024 * 100}, cut};
    store.admitted = &admitted;
    cache::prefix_cache<ordered_ledger> cache{std::move(store)};
    (void)serve(cache, numbered(1, 40));
    auto const lease = acquire(cache, first(numbered(1, 40), 20) + sequence{7});
    REQUIRE(lease.position() == 20_tokens);
    lease.used_on(one);
    CHECK(admitted >= 5);
    admitted = 0;
    lease.used_on(one);
    CHECK(admitted == 0);
}

TEST_CASE(
    "a stream that a lease was used on is not asked for anything once the lease is released") {
    fixture f;
    f.lease.used_on(one);
    CHECK(f.marks_of_release() > 0);
    f.lease = acquire(f.cache, f.tokens); // another request, in its place
    CHECK(f.marks_of_release() == 0);
}

TEST_CASE("a stream named in a restore need not be named again, where KV is read in place") {
    fixture f;
    CHECK(f.admits([&] { f.cache.restore(f.lease, {}, {}, one); }) == 10);
    CHECK(f.admits([&] { f.lease.used_on(one); }) == 0);
}

TEST_CASE("a stream that got a copy of the KV reads none of it in place until it says so") {
    fixture f;
    memory::kv_layer_view const nothing_read{};
    CHECK(f.admits([&] { f.cache.restore(f.lease, {{&nothing_read, 1}}, {}, one); }) == 0);
    CHECK(f.admits([&] { f.lease.used_on(one); }) == 10);
}

TEST_CASE("whoever gets a lease's pages waits for streams that read them in place, and stores see "
          "to their own copies") {
    memory::kv_layer_view const nothing_read{};
    fixture reading, copying, writing;
    reading.cache.restore(reading.lease, {}, {}, one);
    CHECK(reading.marks_of_release() == 1);
    copying.cache.restore(copying.lease, {{&nothing_read, 1}}, {}, one);
    CHECK(copying.marks_of_release() == 0);
    (void)writing.reserves(44, one);  // an engine that writes in place may do so on any stream
    writing.commit_in_place(44, two); // that it names
    CHECK(writing.marks_of_release() == 2);
}

TEST_CASE("what a request is to read in place is asked of the store at once, in however many turns "
          "it came") {
    std::size_t admitted = 0, calls = 0;
    ordered_ledger store = fixture::store(admitted);
    store.admissions = &calls;
    cache::prefix_cache<ordered_ledger> cache{std::move(store)};
    sequence chat;
    for (int turn = 1; turn <= 8; ++turn) { // a checkpoint each: nodes that do not merge
        chat = chat + numbered(100 * turn, 5);
        (void)serve(cache, chat);
    }
    auto const lease = acquire(cache, chat + sequence{-1});
    REQUIRE(lease.position() == 40_tokens);
    lease.used_on(one);
    CHECK(calls == 1);
    CHECK(admitted >= 10);
    lease.used_on(one);
    CHECK(calls == 1);
}

TEST_CASE("a store is told what an engine wrote in place, and knows what it copied itself") {
    std::size_t written = 0;
    with_bytes store{hybrid(), byte_count{1024 * 100}, blocks_of(4)};
    store.written_pages = &written;
    cache::prefix_cache<with_bytes> cache{std::move(store)};
    sequence const tokens = numbered(1, 40);
    auto const lease = acquire(cache, tokens);
    memory::kv_layer_view const nothing_read{};
    (void)cache.commit(lease, first(tokens, 18), {.kv = {{&nothing_read, 1}}}, one);
    CHECK(written == 0);
    (void)cache.reserve(lease, 40_tokens, one);
    (void)cache.commit(lease, first(tokens, 30), {}, one);
    CHECK(written == 4); // of blocks 4, in which the copy had ended, to 7
    (void)cache.commit(lease, tokens, {}, one);
    CHECK(written == 4 + 3);
}
