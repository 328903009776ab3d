// Commits that let others in while they copy.

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/cache/unlocked.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>

#include <support/catch.hpp>
#include <support/crowd.hpp>
#include <support/engine.hpp>
#include <support/last_words.hpp>
#include <support/sanitizers.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using support::numbers;
using support::sequence;

namespace {

using unlocking_cache = cache::prefix_cache<memory::host_store>;
using request = support::request<unlocking_cache>;

/// Whether the cache gives back all of a sequence that it says it has, and how much that is.
std::size_t resumable(unlocking_cache& cache, footprint const& model, sequence const& tokens) {
    return request{cache, model, tokens}.lease().resume_at().value();
}

struct set_up : support::set_up<unlocking_cache> {
    set_up(footprint m, std::uint32_t block_tokens, byte_count capacity = 1_MiB)
        : support::set_up<unlocking_cache>{std::move(m), block_tokens, capacity} {}
};

std::vector<footprint> const models{support::hybrid_model(), support::attention_model(),
                                    support::recurrent_model()};

} // namespace

TEST_CASE("others publish all of it while a commit copies: theirs stays, its pages go back") {
    auto const which = GENERATE(0u, 1u, 2u);
    auto const block = GENERATE(1u, 4u, 7u);
    set_up s{models[which], block};
    request slow{s.cache, s.model, numbers(23)}, fast{s.cache, s.model, numbers(23)};
    byte_count after_fast;
    auto const outcome = slow.commit([&] {
        s.check();
        CHECK(fast.commit([] {}).complete());
        s.check();
        fast.lease().release();
        after_fast = s.cache.holds().used;
    });
    s.check();
    CHECK(outcome.complete());
    CHECK(outcome.position == 23_tokens);
    CHECK(outcome.stored_tokens == 0_tokens);
    CHECK(outcome.stored_checkpoints == 0);
    CHECK(outcome.known_checkpoints == (which == 1 ? 0 : 1));
    slow.lease().release();
    s.check();
    CHECK(s.cache.holds().used < after_fast); // the pages that it had filled
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    s.cache.clear();
    CHECK(s.cache.holds().used == 0_B);
}

TEST_CASE("others publish a part while a commit copies, or go another way in the middle of it") {
    auto const which = GENERATE(0u, 1u, 2u);
    auto const block = GENERATE(1u, 4u, 7u);
    auto const shared = GENERATE(1u, 4u, 8u, 13u, 22u);
    CAPTURE(which, block, shared);
    set_up s{models[which], block};
    bool const forks = GENERATE(false, true);
    sequence theirs = numbers(shared);
    if (forks)
        for (std::int32_t i = 0; i < 9; ++i)
            theirs.push_back(1000 + i);
    request slow{s.cache, s.model, numbers(23)}, fast{s.cache, s.model, theirs};
    auto const outcome = slow.commit([&] {
        CHECK(fast.commit([] {}).complete());
        s.check();
    });
    s.check();
    CHECK(outcome.complete());
    // A model without KV stores the tokens up to a checkpoint: as an edge, in either order.
    CHECK(outcome.stored_tokens == token_count{23 - shared});
    CHECK(outcome.stored_checkpoints == (which == 1 ? 0 : 1));
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    CHECK(resumable(s.cache, s.model, theirs) == theirs.size());
    slow.lease().release();
    fast.lease().release();
    s.check();
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    s.cache.clear();
    CHECK(s.cache.holds().used == 0_B);
}

TEST_CASE("no other call may use a lease while a commit with it copies") {
    set_up s{models[0], 4};
    request slow{s.cache, s.model, numbers(23)};
    auto const outcome = slow.commit([&] {
        auto const& lease = slow.lease();
        CHECK_THROWS_AS(s.cache.commit(lease, numbers(23)), contract_violation);
        CHECK_THROWS_AS(s.cache.reserve(lease, 30_tokens), contract_violation);
        CHECK_THROWS_AS(s.cache.unreserve(lease, 0_tokens), contract_violation);
        CHECK_THROWS_AS(s.cache.deduplicate(lease), contract_violation);
        CHECK(lease.position() == 0_tokens);
        s.check();
    });
    CHECK(outcome.complete());
    CHECK(outcome.stored_tokens == 23_tokens);
    slow.lease().release();
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    s.check();
}

#if __has_include(<sys/wait.h>)
TEST_CASE("a lease that is let go while a commit with it copies ends the program") {
    auto const all = GENERATE(false, true);
    std::string const message = support::last_words([&] {
        set_up s{models[0], 4};
        request slow{s.cache, s.model, numbers(23)};
        slow.commit([&] { all ? slow.lease().release() : slow.lease().let_go_kv(); });
    });
    CHECK(message.find("a lease was released while another thread commits") != std::string::npos);
}
#endif

TEST_CASE("of several checkpoints others publish some while a commit copies") {
    auto const block = GENERATE(1u, 4u, 7u);
    set_up s{models[0], block};
    request slow{s.cache, s.model, numbers(40)}, fast{s.cache, s.model, numbers(40)};
    auto const outcome = slow.commit(40, {5, 12, 20, 33, 40}, [&] {
        CHECK(fast.commit(35, {6, 12, 33}, [] {}).complete());
        s.check();
    });
    s.check();
    CHECK(outcome.complete());
    CHECK(outcome.stored_tokens == 5_tokens);
    CHECK(outcome.stored_checkpoints == 3);
    CHECK(outcome.known_checkpoints == 2);
    slow.lease().release();
    fast.lease().release();
    for (std::size_t const at : {5u, 6u, 12u, 20u, 33u, 40u})
        CHECK(resumable(s.cache, s.model, numbers(at)) == at);
    s.check();
}

TEST_CASE("what a commit fills and stands on is nobody's to evict while it copies") {
    auto const which = GENERATE(0u, 1u, 2u);
    set_up s{models[which], 4, which == 2 ? 64_KiB : 9'000_B};
    request before{s.cache, s.model, numbers(12)};
    CHECK(before.commit([] {}).complete());
    before.lease().release();
    // It stands at 12, where the first one's commit ended, without a lease on it.
    request slow{s.cache, s.model, numbers(30)};
    slow.lease().let_go_kv();
    slow.lease().let_go_checkpoint();
    byte_count obtainable;
    auto const outcome = slow.commit([&] {
        obtainable = s.cache.obtainable(byte_count{1'000'000});
        s.cache.clear();
        s.check();
        CHECK(s.cache.holds().used > 0_B);
        CHECK(s.cache.holds().used + obtainable == s.cache.holds().capacity); // it was exact
        request greedy{s.cache, s.model, numbers(350, 5000)};
        CHECK_FALSE(greedy.commit([] {}).complete());
        s.check();
    });
    s.check();
    CHECK(outcome.complete());
    CHECK(outcome.position == 30_tokens);
    slow.lease().release();
    CHECK(resumable(s.cache, s.model, numbers(30)) == 30);
    s.check();
}

TEST_CASE("a lease with reserved pages follows no further than it has filled them") {
    footprint const model = support::hybrid_model();
    memory::page_layout const layout{model, {.block_tokens = 4_tokens}};
    REQUIRE(layout.checkpoint_pages(40_tokens) == 1);
    // Six reserved pages, eleven of the other one's and its checkpoint, and one for another; and
    // four to go on in.
    set_up s{model, 4, layout.page_bytes() * (6 + 11 + 1 + 1 + 4)};
    sequence const tokens = numbers(50);
    request slow{s.cache, s.model, tokens}, fast{s.cache, s.model, tokens};
    REQUIRE(s.cache.reserve(slow.lease(), 24_tokens) == 24_tokens);
    auto greedy = s.cache.open(scope{1}, tokens);
    REQUIRE(s.cache.reserve(greedy, 64_tokens) == 64_tokens);
    auto const outcome = slow.commit(42, {20, 42}, [&] { // room for one of its two checkpoints
        greedy.release();
        CHECK(fast.commit(42, {42}, [] {}).complete());
    });
    s.check();
    CHECK(outcome.position == 24_tokens);
    CHECK(outcome.declined_tokens == 18_tokens);
    CHECK(outcome.stored_checkpoints == 1);
    CHECK(slow.reads_right());
    fast.lease().release();
    CHECK(slow.commit(50, {50}, [] {}).position == 50_tokens);
    CHECK(slow.reads_right());
    slow.lease().release();
    CHECK(resumable(s.cache, s.model, tokens) == 50);
}

TEST_CASE("a copy that fails when others have called leaves what they did, and no more") {
    auto const which = GENERATE(0u, 1u, 2u);
    set_up s{models[which], 4};
    request slow{s.cache, s.model, numbers(23)}, fast{s.cache, s.model, numbers(14)};
    CHECK_THROWS_WITH(slow.commit([&] {
        CHECK(fast.commit([] {}).complete());
        throw std::runtime_error{"the copy failed"};
    }),
                      "the copy failed");
    s.check();
    CHECK(slow.lease().position() == 0_tokens);
    CHECK(slow.commit([] {}).stored_tokens == 9_tokens); // and may be made again
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    s.check();
}

TEST_CASE("a commit with nothing to copy does not stop for others") {
    set_up s{models[0], 4};
    request first{s.cache, s.model, numbers(23)};
    CHECK(first.commit([] {}).complete());
    bool stopped = false;
    CHECK(first.commit([&] { stopped = true; }).complete());
    CHECK_FALSE(stopped);
}

TEST_CASE("a lock is let go of for the copy, and had again, be it that the copy threw") {
    struct counted_lock {
        int held = 1;
        void lock() { ++held; }
        void unlock() { --held; }
    } lock;
    int held_meanwhile = 9;
    cache::without_lock{lock}([&] { held_meanwhile = lock.held; });
    CHECK(held_meanwhile == 0);
    CHECK(lock.held == 1);
    CHECK_THROWS_AS(cache::without_lock{lock}([] { throw std::runtime_error{"no copy"}; }),
                    std::runtime_error);
    CHECK(lock.held == 1);
}

TEST_CASE("commits inside the copies of commits: all that is resumed is right") {
    auto const which = GENERATE(0u, 1u, 2u);
    auto const block = GENERATE(1u, 4u, 7u);
    CAPTURE(which, block);
    byte_count const capacity = which == 2 ? 2_MiB : 10'000_B; // 32 states, or 300 tokens
    set_up s{models[which], block, capacity};
    support::crowd<unlocking_cache> requests{s, 10 * which + block};
    std::size_t const acts = MARCONI_UNDER_ASAN ? 2'000 : 12'000;
    for (std::size_t i = 0; i < acts; ++i)
        requests.act(0);
    CHECK(requests.overtaken() > acts / 600);
    CHECK(s.cache.stats().evictions() > 0);
    requests.end();
}
