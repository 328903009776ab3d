// What match answers, from literals: how much of a prompt is here and why not more can be used.

#include <cache/short_requests.hpp>

#include <marconi/memory/host_store.hpp>

#include <support/engine.hpp>

using namespace cache_tests;

TEST_CASE("a cache with nothing in it matches nothing") {
    small_cache cache{room_for(hybrid(), 100)};
    CHECK(look(cache, "the quick brown fox") == depths{});
    CHECK(look(cache, "") == depths{});
    CHECK(look(cache, "", 0) == depths{});
}

TEST_CASE("match says what is here of a prompt for a hybrid model") {
    small_cache cache{room_for(hybrid(), 1000)};
    serve(cache, "the quick brown fox"); // 19 tokens, a checkpoint after the last

    SECTION("nothing, where the first token differs") {
        CHECK(look(cache, "a cat") == depths{0, 0, 0, 0});
    }
    SECTION("all of a repeat, but the engine has to compute the last token") {
        CHECK(look(cache, "the quick brown fox") == depths{19, 0, 1, 18});
    }
    SECTION("all of a repeat, where the limit allows it") {
        CHECK(look(cache, "the quick brown fox", 19) == depths{19, 19, 0, 0});
        CHECK(look(cache, "the quick brown fox", 18) == depths{19, 0, 1, 18});
        CHECK(look(cache, "the quick brown fox", 0) == depths{19, 0, 19, 0});
    }
    SECTION("a prefix has KV and no checkpoint") {
        CHECK(look(cache, "the quick") == depths{9, 0, 1, 8});
        CHECK(look(cache, "the quick", 9) == depths{9, 0, 0, 9});
        CHECK(look(cache, "t") == depths{1, 0, 1, 0});
    }
    SECTION("an extension resumes where the first request ended") {
        CHECK(look(cache, "the quick brown fox jumps") == depths{19, 19, 0, 0});
        CHECK(look(cache, "the quick brown fox jumps", 20) == depths{19, 19, 0, 0});
        CHECK(look(cache, "the quick brown fox jumps", 7) == depths{19, 0, 12, 7});
    }
    SECTION("divergence within an edge") {
        CHECK(look(cache, "the quick red hen") == depths{10, 0, 0, 10});
    }
    SECTION("the empty prompt") { CHECK(look(cache, "") == depths{0, 0, 0, 0}); }
}

TEST_CASE("the third request resumes at the branch that the second found") {
    small_cache cache{room_for(hybrid(), 1000)};
    serve(cache, "the quick brown fox");
    serve(cache, "the quick red hen");
    CHECK(look(cache, "the quick cat") == depths{10, 10, 0, 0});
    CHECK(look(cache, "the quick ") == depths{10, 0, 1, 9});
    CHECK(look(cache, "the quick red hen and her eggs") == depths{17, 17, 0, 0});
    CHECK(look(cache, "the quick red fox") == depths{14, 10, 0, 4});
    auto const lease = acquire(cache, text("the quick cat"));
    CHECK(lease.resume_at() == token_count{10});
    CHECK(cache.stats().tokens_resumed == token_count{10});
    CHECK_SOUND(cache);
}

TEST_CASE("blocks do not show in what is matched") {
    for (std::uint64_t const block : {1u, 4u, 16u, 256u}) {
        CAPTURE(block);
        small_cache cache{room_for(hybrid(), 1000, block)};
        sequence const base = numbered(1, 300);
        serve(cache, first(base, 277)); // ends inside a block
        CHECK(look(cache, base) == depths{277, 277, 0, 0});
        CHECK(look(cache, first(base, 259)) == depths{259, 0, 1, 258});
        CHECK(look(cache, first(base, 31) + numbered(2, 9)) == depths{31, 0, 0, 31});
        serve(cache, base);
        CHECK(look(cache, base + numbered(2, 9)) == depths{300, 300, 0, 0});
        CHECK(look(cache, first(base, 299) + numbered(2, 9)) == depths{299, 277, 0, 22});
        CHECK_SOUND(cache);
    }
}

TEST_CASE("where a model has no per-position state every token is resumable") {
    for (std::uint64_t const block : {1u, 16u}) {
        CAPTURE(block);
        small_cache cache{room_for(attention_only(), 1000, block)};
        serve(cache, "the quick brown fox");
        CHECK(look(cache, "the quick brown fox") == depths{19, 18, 1, 0});
        CHECK(look(cache, "the quick brown fox", 19) == depths{19, 19, 0, 0});
        CHECK(look(cache, "the quick brown fox", 3) == depths{19, 3, 16, 0});
        CHECK(look(cache, "the quick") == depths{9, 8, 1, 0});
        CHECK(look(cache, "the quick red hen") == depths{10, 10, 0, 0});
        CHECK(look(cache, "the quick brown fox jumps") == depths{19, 19, 0, 0});
        CHECK(look(cache, "a cat") == depths{});

        auto const plan = cache.plan(cache.match({}, text("the quick red hen")));
        CHECK(plan.captures.at.empty());
        CHECK(plan.captures.every == token_count{0});
        CHECK_FALSE(plan.captures.tail);
        serve(cache, "the quick red hen");
        CHECK(cache.holds().checkpoint_count == 0);
        CHECK(cache.holds().nodes == 3);
        CHECK_SOUND(cache);
    }
}

TEST_CASE("a recurrent model keeps checkpoints and no KV") {
    small_cache cache{room_for(recurrent_only(), 100)};
    serve(cache, "the quick brown fox");
    CHECK(pages_used(cache) == 2);
    CHECK(cache.holds().kv_and_leased == 0_B);
    CHECK(look(cache, "the quick brown fox") == depths{19, 0, 1, 18});
    CHECK(look(cache, "the quick brown fox jumps") == depths{19, 19, 0, 0});
    serve(cache, "the quick red hen");
    CHECK(pages_used(cache) == 6);
    CHECK(look(cache, "the quick cat") == depths{10, 10, 0, 0});
    // Tokens without a checkpoint after them are of no use, and not kept.
    auto const lease = acquire(cache, text("a cat"));
    auto const outcome = commit(cache, lease, text("a cat"));
    CHECK(outcome.stored_tokens == 0_tokens);
    CHECK(outcome.complete());
    CHECK(look(cache, "a cat") == depths{});
    CHECK_SOUND(cache);
}

TEST_CASE("a window's checkpoint is smaller before the window is full") {
    small_cache cache{room_for(sliding_window(), 1000)};
    serve(cache, "abc");
    CHECK(cache.holds().checkpoints == byte_count{3 * 256});
    CHECK(look(cache, "abcd") == depths{3, 3, 0, 0});
    serve(cache, "abcdefgh");
    CHECK(cache.holds().checkpoints == byte_count{(3 + 5) * 256});
    CHECK(pages_used(cache) == 8 + 3 + 5);
    CHECK_SOUND(cache);
}

TEST_CASE("a match changes nothing") {
    small_cache cache{room_for(hybrid(), 60, 4)};
    serve(cache, "the quick brown fox");
    serve(cache, "the quick red hen");
    auto const lease = acquire(cache, text("the quick cat"));
    std::string const before = inventory(cache);
    auto const requests = cache.stats().requests;
    auto const table = cache.block_table(lease);
    for (char const* prompt : {"", "t", "the quick", "the quick brown fox", "the quick cat",
                               "the quack", "another", "the quick red hen and her eggs"})
        for (std::uint64_t limit = 0; limit <= text(prompt).size(); ++limit) {
            (void)cache.plan(cache.match({}, text(prompt), {.limit = token_count{limit}}));
            (void)cache.match({.tenant = 7}, text(prompt), {.limit = token_count{limit}});
        }
    CHECK(inventory(cache) == before);
    CHECK(cache.stats().requests == requests);
    CHECK(cache.block_table(lease) == table);
    CHECK_SOUND(cache);
}

TEST_CASE("a prompt of a million tokens") {
    small_cache cache{room_for(hybrid(), 100'000, 16)};
    sequence const prompt = numbered(0, 1'000'000);
    CHECK(look(cache, prompt) == depths{});
    CHECK(serve(cache, prompt).stored_tokens == 1'000'000_tokens);
    CHECK(look(cache, prompt) == depths{1'000'000, 0, 1, 999'999});
    CHECK(look(cache, prompt + text("more")) == depths{1'000'000, 1'000'000, 0, 0});
    CHECK(pages_used(cache) == 62'501);
}

TEST_CASE("tokens of another type are compared by their bytes") {
    struct patch {
        std::uint64_t high, low;
    };
    cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, policy::lru,
                        cache::no_observer, patch>
        cache{room_for(hybrid(), 100)};
    std::vector<patch> const one{{1, 2}, {3, 4}, {5, 6}};
    std::vector<patch> const other{{1, 2}, {3, 4}, {5, 7}, {8, 9}};
    auto const lease = cache.acquire(cache.plan(cache.match({}, one)));
    (void)cache.commit(lease, one);
    CHECK(cache.match({}, other).matched == 2_tokens);
    CHECK(cache.match({}, one).matched == 3_tokens);
    CHECK_SOUND(cache);
}

TEST_CASE("the figures of requests add up") {
    small_cache cache{room_for(hybrid(), 1000)};
    serve(cache, "the quick brown fox");       // 19 tokens
    serve(cache, "the quick red hen");         // 17, of which 10 matched
    serve(cache, "the quick cat");             // 13, 10 resumed
    serve(cache, "the quick brown fox jumps"); // 25, 19 resumed
    auto const& s = cache.stats();
    CHECK(s.requests == 4);
    CHECK(s.hits == 2);
    CHECK(s.stale == 0);
    CHECK(s.tokens_asked == 74_tokens);
    CHECK(s.tokens_matched == 39_tokens);
    CHECK(s.tokens_resumed == 29_tokens);
    CHECK(s.tokens_lost_past_limit == 0_tokens);
    CHECK(s.tokens_lost_without_checkpoint == 10_tokens);
    CHECK(s.flops_asked.value() == 19 * 19 + 17 * 17 + 13 * 13 + 25 * 25);
    CHECK(s.flops_saved.value() == 10 * 10 + 19 * 19);
    CHECK(s.commits == 4);
    CHECK(s.tokens_stored == 35_tokens);
    CHECK(s.checkpoints_stored == 5);
    CHECK(s.evictions() == 0);
    CHECK(cache.holds().peak == cache.holds().used);
}

TEST_CASE("a request resumes by a state that the engine has itself") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789");
    sequence const fork = text("0123456abc");
    auto const found = [&](std::uint64_t state_at) {
        auto const match = cache.match({}, fork, {.state_at = token_count{state_at}});
        CHECK(match.matched == 7_tokens);
        CHECK(match.by_own_state == (match.resumable != 0_tokens));
        CHECK(match.lost_without_checkpoint() == 7_tokens - match.resumable);
        return match.resumable;
    };
    CHECK(found(7) == 7_tokens);
    CHECK(found(3) == 3_tokens);
    CHECK(found(0) == 0_tokens);
    CHECK(found(8) == 0_tokens); // its KV is not here
    CHECK(cache.match({}, fork, {.limit = 5_tokens, .state_at = 6_tokens}).resumable == 0_tokens);
    CHECK_THROWS_AS(cache.match({}, fork, {.state_at = 11_tokens}), invalid_argument);
    auto const deeper = cache.match({}, text("0123456789x"), {.state_at = 9_tokens});
    CHECK(deeper.resumable == 10_tokens); // by a checkpoint
    CHECK_FALSE(deeper.by_own_state);
    CHECK(cache.match({}, text("0123456789x"), {.state_at = 10_tokens}).by_own_state);

    auto lease = cache.open({}, fork, {.state_at = 7_tokens});
    CHECK(lease.resume_at() == 7_tokens);
    CHECK(cache.stats().tokens_resumed == 7_tokens);
    CHECK_SOUND(cache);
    (void)cache.evict(1_GiB);
    cache.clear();
    CHECK(look(cache, "0123456789").matched == 7); // what it resumed from is pinned
    auto const states = states_at({10});
    CHECK(cache.commit(lease, fork, {.checkpoints = states}).complete());
    lease.release();
    CHECK(look(cache, "0123456abcd") == depths{10, 10, 0, 0});
    CHECK_SOUND(cache);
}

TEST_CASE("what goes between match and acquire makes a request by the engine's own state stale") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789");
    auto const plan = cache.plan(cache.match({}, text("0123456abc"), {.state_at = 7_tokens}));
    SECTION("if the node went in which it was, though its KV is still here") {
        serve(cache, "01234567xy"); // cuts at 8
        auto const reader = acquire(cache, text("01234567xyz"));
        cache.clear();
        CHECK(cache.acquire(plan).stale()); // its node was the lower one
        auto const again = cache.match({}, text("0123456abc"), {.state_at = 7_tokens});
        CHECK(cache.acquire(cache.plan(again)).resume_at() == 7_tokens);
    }
    SECTION("if the KV went") {
        cache.clear();
        CHECK(cache.acquire(plan).stale());
    }
    CHECK_SOUND(cache);
}

TEST_CASE("with a state of its own a request copies KV alone") {
    footprint const model = support::hybrid_model();
    memory::page_options const cut{.block_tokens = 4_tokens};
    cache::prefix_cache cache{memory::host_store{model, 1_MiB, cut}};
    sequence const tokens = numbered(1, 20);
    support::engine_request one{model}, another{model};
    one.compute(tokens, 0, 20);
    {
        auto const lease = cache.open({}, tokens);
        CHECK(cache.commit(lease, tokens, {.kv = one.kv()}).complete());
    }
    auto const lease = cache.open({}, tokens, {.limit = 20_tokens, .state_at = 20_tokens});
    REQUIRE(lease.resume_at() == 20_tokens);
    CHECK_THROWS_AS(cache.restore(lease, another.kv(), another.state()), contract_violation);
    cache.restore(lease, another.kv(), {});
    CHECK(another.holds_kv(tokens, 20));
}
