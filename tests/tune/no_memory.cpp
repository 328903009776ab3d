#include "traces.hpp"

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/tune/learning_cache.hpp>

#include <support/catch.hpp>
#include <support/no_memory.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

using namespace marconi;
using namespace marconi::tests;
using tune::tuned_cache;
using tune::tuning_state;

TEST_CASE("memory that runs out for good ends the tuning, and no more than a commit") {
    bool const in_replays = GENERATE(false, true);
    std::vector<tokens> all;
    for (std::int32_t i = 0; i < (in_replays ? 12 : 3); ++i)
        all.push_back(i % 3 == 0 ? numbered(1, 90) : numbered(100 + i, 10));
    tokens const last = all.back();
    all.pop_back();
    bool ended = false, unharmed = false;
    for (std::size_t allowed = 0; !unharmed; ++allowed) {
        tuned_cache cache{tiny_store(120), {}, tune::tuning_options{.deterministic = true}};
        for (tokens const& t : all)
            (void)ask(cache, t);
        auto const lease = cache.acquire(cache.plan(cache.match({}, last)));
        std::array const state{cache::captured_state{token_count{last.size()}}};
        {
            testing::no_memory const none{allowed};
            try {
                (void)cache.commit(lease, last, {.checkpoints = state});
            } catch (std::bad_alloc const&) {
            }
            unharmed = !none.was_asked();
        }
        auto const& report = cache.tuning();
        if (!report.failure.empty()) {
            CHECK(report.failure == "no memory");
            CHECK(report.state == tuning_state::done);
            CHECK(report.log_bytes == byte_count{});
            ended = true;
        }
        REQUIRE(cache::audit(cache).empty());
        CHECK_NOTHROW(cache.commit(lease, last, {.checkpoints = state}));
    }
    CHECK(ended);
}

TEST_CASE("evict counts what comes free by a merge that was put off for want of memory") {
    cache::prefix_cache cache{memory::ledger_store{
        footprint{.kv_layers = {{8, 8}}}, byte_count{256 * 20}, {.block_tokens = token_count{16}}}};
    tokens const shorter(24, 1);
    tokens longer = shorter; // and from there on, inside the second block
    longer.resize(40, 2);
    auto one = cache.open({}, shorter);
    (void)cache.commit(one, shorter);
    auto other = cache.open({}, longer);
    (void)cache.commit(other, longer);
    {
        testing::no_memory const none{0};
        other.release();
        one.release();
        REQUIRE(none.was_asked());
    }
    byte_count const before = cache.holds().used;
    byte_count const freed = cache.evict(byte_count{1});
    CHECK(freed == before - cache.holds().used);
    CHECK(freed == cache.stats().bytes_evicted);
    CHECK(cache::audit(cache).empty());
}

TEST_CASE("a clear that finds no memory has cleared nothing") {
    bool failed = false, unharmed = false;
    for (std::size_t allowed = 0; !unharmed; ++allowed) {
        tuned_cache cache{tiny_store(1000), {}, tune::tuning_options{.deterministic = true}};
        for (std::int32_t i = 0; i < 5; ++i)
            (void)ask(cache, numbered(i, 20), {.tenant = static_cast<std::uint64_t>(i)});
        {
            testing::no_memory const none{allowed};
            try {
                cache.clear();
            } catch (std::bad_alloc const&) {
                failed = true;
            }
            unharmed = !none.was_asked();
        }
        CHECK(cache.holds().nodes == (unharmed ? 0 : 5));
        REQUIRE(cache::audit(cache).empty());
        (void)ask(cache, numbered(9, 20));
        CHECK(cache.tuning().state == tuning_state::waiting);
    }
    CHECK(failed);
}

TEST_CASE("what was left out on trial is asked for again when learning ends") {
    using policy::spaced;
    bool ended = false;
    for (std::size_t allowed = 0; !ended; ++allowed) {
        REQUIRE(allowed < 1000);
        tune::learning_cache<memory::ledger_store, spaced> cache{
            tiny_store(2000), {}, {}, spaced{16_tokens, {2_tokens}}};
        tokens chat = numbered(1, 61);
        for (int turn = 0; turn < 80; ++turn) { // goes on from its tails alone
            (void)ask(cache, chat);
            chat.insert(chat.end(), 3, -turn);
        }
        REQUIRE(cache.admission().every == 0_tokens);
        REQUIRE(cache.admission().base.before_answer == 0_tokens);
        auto const lease = cache.open({}, chat);
        {
            testing::no_memory const none{allowed};
            try {
                (void)cache.commit(lease, chat);
            } catch (std::bad_alloc const&) {
            }
        }
        ended = !cache.learning().failure.empty();
        if (!ended) continue;
        (void)cache.commit(lease, chat);
        CHECK(cache.admission().every == 16_tokens);
        CHECK(cache.admission().base.before_answer == 2_tokens);
        CHECK(cache.learning().spacing_pays);
        CHECK(cache.learning().before_answer_pays);
    }
}
