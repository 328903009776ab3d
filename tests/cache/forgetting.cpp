// What was stored and turned out to be wrong: nobody finds it any more, whoever holds it goes on.

#include <cache/short_requests.hpp>

#include <marconi/memory/host_store.hpp>

#include <support/crowd.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

using namespace cache_tests;

namespace {

template <class Cache>
byte_count forget(Cache& cache, sequence const& tokens, std::uint64_t from, scope const& in = {}) {
    byte_count const used = cache.holds().used, evicted = cache.stats().bytes_evicted;
    byte_count const freed = cache.forget(in, tokens, token_count{from});
    CHECK(used - cache.holds().used == freed);
    CHECK(cache.stats().bytes_evicted - evicted == freed);
    return freed;
}
template <class Cache>
byte_count forget(Cache& cache, std::string_view letters, std::uint64_t from) {
    return forget(cache, text(letters), from);
}

constexpr byte_count one_page{256};

/// Keeps what it is told, a letter an event.
struct short_notes {
    std::string* into;
    void observe(cache::event<std::int32_t> const& e) const {
        *into += "kcxrsm"[static_cast<std::size_t>(e.kind)];
    }
};

} // namespace

TEST_CASE("what goes on past a position is forgotten, and nothing else") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    serve(cache, "0123456789abc");
    serve(cache, "01234567xy");
    serve(cache, "0123456789", {.tenant = 1});
    SECTION("inside an edge") {
        CHECK(forget(cache, "0123456789", 9) == one_page * (1 + 2 + 3 + 2));
        CHECK(look(cache, "0123456789abcd").matched == 9);
    }
    SECTION("where an edge ends") {
        CHECK(forget(cache, "0123456789abc", 10) == one_page * (3 + 2));
        CHECK(look(cache, "0123456789abcd") == depths{10, 10, 0, 0});
    }
    SECTION("with all that begins in the same way, however it goes on") {
        CHECK(forget(cache, "0123zzz", 3) > one_page * 15);
        CHECK(look(cache, "0123456789abcd").matched == 3);
        CHECK(look(cache, "01234567xyz").matched == 3);
    }
    SECTION("from the first token on") {
        CHECK(forget(cache, "0123", 0) == one_page * (13 + 2 + 4 * 2));
        CHECK(cache.holds().scopes == 1);
    }
    SECTION("but nothing where the sequences part before") {
        CHECK(forget(cache, "01234567z", 8) == 0_B);
        CHECK(forget(cache, "z", 0) == 0_B);
        CHECK(look(cache, "0123456789abcd") == depths{13, 13, 0, 0});
        CHECK(look(cache, "01234567xyz") == depths{10, 10, 0, 0});
    }
    CHECK(look(cache, "0123456789a", {}, {.tenant = 1}) == depths{10, 10, 0, 0});
    CHECK_SOUND(cache);
    serve(cache, "0123456789abc");
    CHECK(look(cache, "0123456789abcd") == depths{13, 13, 0, 0});
    CHECK_SOUND(cache);
}

TEST_CASE("all of a scope is forgotten, whoever holds some of it") {
    small_cache cache{room_for(hybrid(), 100)};
    scope const alice{.tenant = 1}, bob{.tenant = 2};
    for (char const* const prompt : {"0123456789", "01234xyz", "abcdef", "abcxyz", "q"})
        serve(cache, prompt, alice);
    serve(cache, "0123456789", bob);
    auto const held = acquire(cache, text("0123456789abc"), alice);
    auto const table = cache.block_table(held);
    byte_count const used = cache.holds().used;
    CHECK(cache.forget({.tenant = 3}) == 0_B);
    byte_count const freed = cache.forget(alice);
    CHECK(freed == used - cache.holds().used);
    CHECK(pages_used(cache) == 10 + 2 + 10 + 2); // held, and bob's
    CHECK(cache.holds(alice).tokens == 0_tokens);
    for (char const* const prompt : {"0123456789a", "abcdefg", "q", "0"})
        CHECK(look(cache, prompt, {}, alice) == depths{});
    CHECK(look(cache, "0123456789a", {}, bob) == depths{10, 10, 0, 0});
    CHECK(cache.block_table(held) == table);
    CHECK(commit(cache, held, text("0123456789abc"), {13}).forgotten);
    CHECK_SOUND(cache);
    CHECK(cache.forget(alice) == 0_B);
    serve(cache, "0123456789", alice);
    CHECK(look(cache, "0123456789a", {}, alice) == depths{10, 10, 0, 0});
    CHECK_SOUND(cache);
}

TEST_CASE("a lease goes on with what was forgotten, which goes with the last one") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    auto one = acquire(cache, text("0123456789abc")), two = acquire(cache, text("0123456789xyz"));
    auto const table = cache.block_table(one);
    CHECK(forget(cache, "0123456789", 6) == 0_B);
    CHECK_SOUND(cache);
    CHECK(look(cache, "0123456789abc") == depths{6, 0, 0, 6});
    CHECK(one.resume_at() == 10_tokens);
    CHECK(cache.block_table(one) == table);
    CHECK(cache.holds({}).tokens == 6_tokens); // what leases alone hold is of no scope

    SECTION("others bring the same tokens anew") {
        serve(cache, "0123456789");
        CHECK(look(cache, "0123456789abc") == depths{10, 10, 0, 0});
        CHECK(pages_used(cache) == 10 + 2 + 4 + 2 + 2); // with a state at 6, where they part
        one.release();
        CHECK(pages_used(cache) == 10 + 2 + 4 + 2 + 2);
        two.release();
        CHECK(pages_used(cache) == 10 + 2 + 2);
    }
    SECTION("what it stores itself is as forgotten, and its states are declined") {
        auto const outcome = commit(cache, one, text("0123456789abc"), {13});
        CHECK(outcome.stored_tokens == 3_tokens);
        CHECK(outcome.stored_checkpoints == 0);
        CHECK(outcome.declined_checkpoints == 1);
        CHECK(outcome.forgotten);
        CHECK(cache.stats().declined_commits == 0); // there was room
        CHECK(one.position() == 13_tokens);
        CHECK(cache.block_table(one).size() == 13);
        CHECK(look(cache, "0123456789abc").matched == 6);
        CHECK_SOUND(cache);
        one.release();
        CHECK(pages_used(cache) == 10 + 2); // the other's
        two.release();
    }
    SECTION("with the checkpoint let go, its KV alone stays") {
        one.let_go_checkpoint();
        two.let_go_checkpoint();
        CHECK(pages_used(cache) == 10);
        two.let_go_kv();
        CHECK(pages_used(cache) == 10);
        one.release();
    }
    SECTION("what lies above stays as long, under any pressure") {
        cache.clear();
        (void)cache.evict(1_GiB);
        CHECK(pages_used(cache) == 10 + 2);
        CHECK(forget(cache, "0", 0) == 0_B); // once more, and more of it
        CHECK(look(cache, "0123456789abc") == depths{});
        CHECK(cache.block_table(one) == table);
        CHECK_SOUND(cache);
        serve(cache, "0123456789");
        one.release();
        two.release();
        CHECK(pages_used(cache) == 10 + 2);
    }
    CHECK_SOUND(cache);
    one.release();
    two.release();
    CHECK_SOUND(cache);
    cache.clear();
    CHECK(pages_used(cache) == 0);
}

TEST_CASE("what merges since its neighbour was forgotten counts as free, too") {
    small_cache cache{room_for(attention_only(), 100, 4)};
    serve(cache, "012345abcd");
    serve(cache, "012345wxyz"); // both have a page of their own for tokens 4 to 7
    CHECK(forget(cache, "012345abcd", 6) == 2 * 4 * one_page);
    CHECK_SOUND(cache);
}

TEST_CASE("states let go of after they were forgotten go one by one, and the KV with the leases") {
    small_cache cache{room_for(hybrid(), 4000)};
    std::vector<small_cache::lease> leases;
    for (std::size_t i = 1; i <= 60; ++i) {
        serve(cache, numbered(1, 10 * i));
        leases.push_back(acquire(cache, numbered(1, 10 * i) + numbered(2, 1)));
    }
    CHECK(forget(cache, numbered(1, 600), 0) == 0_B);
    for (std::size_t i = 1; i <= leases.size(); ++i) {
        leases[i - 1].let_go_checkpoint();
        CHECK(pages_used(cache) == 600 + 2 * (leases.size() - i));
        CHECK_SOUND(cache);
    }
    leases.clear();
    CHECK(pages_used(cache) == 0);
}

TEST_CASE("a lease that has right pages of its own keeps them, instead of what was forgotten") {
    using host_cache = cache::prefix_cache<memory::host_store>;
    support::set_up<host_cache> s{support::attention_model(), 4, 1_MiB};
    sequence const all = support::numbers(16);
    support::request<host_cache> right{s.cache, s.model, all}, wrong{s.cache, s.model, all};
    wrong.commit([] {});
    for (page_id const page : s.cache.block_table(wrong.lease()))
        std::ranges::fill(s.cache.store().page(page), std::byte{0xAA});
    REQUIRE(right.write_in_place(16));
    CHECK(right
              .commit(
                  16, {}, [] {}, true)
              .stored_tokens == 0_tokens);
    CHECK(right.reads_right());
    s.cache.forget({}, all, 0_tokens);
    CHECK(s.cache.deduplicate(right.lease()) == 0_B);
    CHECK(right.reads_right());
    s.check();
}

TEST_CASE("a plan made before is stale if it would use what was forgotten") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123");
    serve(cache, "0123456789");
    auto const held = acquire(cache, text("0123456789a")); // so that it is not simply gone
    auto const above = cache.plan(cache.match({}, text("0123x")));
    auto const past = cache.plan(cache.match({}, text("0123456789x")));
    forget(cache, "0123456789", 5);
    CHECK(cache.acquire(past).stale());
    CHECK(cache.acquire(above).resume_at() == 4_tokens);
    CHECK(cache.obtainable(1_GiB, past.match) == cache.obtainable(1_GiB));
    CHECK_SOUND(cache);
}

TEST_CASE("a lease that let go of its KV brings all of its rows again, for others to find") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789a"));
    lease.let_go_checkpoint();
    lease.let_go_kv();
    CHECK(forget(cache, "0123456789", 4) == one_page * (6 + 2));
    CHECK(commit(cache, lease, text("0123456789a"), {11}).stored_tokens == 7_tokens);
    CHECK(look(cache, "0123456789ab") == depths{11, 11, 0, 0});
    CHECK_SOUND(cache);
}

TEST_CASE("an observer is told that what was forgotten is removed, and no more of it") {
    std::string told;
    counting_cache<policy::lru, policy::branch_and_tail, short_notes> cache{
        room_for(hybrid(), 100), {}, {}, {}, short_notes{&told}};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789a"));
    told.clear();
    forget(cache, "0123456789", 6);
    CHECK(told == "sxr"); // split, the checkpoint, the rest
    commit(cache, lease, text("0123456789ab"), {12});
    lease.release();
    CHECK(told == "sxr");
    std::string snapshot;
    cache.snapshot(short_notes{&snapshot});
    CHECK(snapshot == "k");
}

TEST_CASE("to forget needs a token past the position") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    std::string const before = inventory(cache);
    CHECK(message_of<invalid_argument>([&] { forget(cache, "0123", 4); }) ==
          "from is 4; expected less than the number of tokens, 4");
    CHECK_THROWS_AS(forget(cache, "", 0), invalid_argument);
    CHECK(inventory(cache) == before);
}

TEST_CASE("what a commit was copying to when it was forgotten goes with its lease") {
    auto const block = GENERATE(1u, 4u, 7u);
    auto const from = GENERATE(0u, 1u, 4u, 11u, 12u, 16u);
    auto const in_place = GENERATE(false, true);
    CAPTURE(block, from, in_place);
    using host_cache = cache::prefix_cache<memory::host_store>;
    support::set_up<host_cache> s{support::hybrid_model(), block, 1_MiB};
    sequence const all = support::numbers(23);
    support::request<host_cache> slow{s.cache, s.model, all};
    slow.commit(12, {12}, [] {});
    if (in_place) REQUIRE(slow.write_in_place(23));
    slow.commit(
        23, {23},
        [&] {
            s.cache.forget({}, std::span<std::int32_t const>{all}, token_count{from});
            s.check();
        },
        in_place);
    s.check();
    CHECK(slow.reads_right());
    CHECK(slow.lease().position() == 23_tokens);
    bool const under_way = from >= 12; // it was not there yet to be forgotten
    auto const found = s.cache.match({}, all, {.limit = 23_tokens});
    CHECK(found.matched.value() == (under_way ? 23 : from));
    CHECK(found.resumable.value() == (under_way ? 23 : 0));
    slow.lease().release();
    s.check();
    CHECK(s.cache.match({}, all).matched.value() == (under_way ? 22 : from) + under_way);
    s.cache.clear();
    CHECK(s.cache.holds().used == 0_B);
}
