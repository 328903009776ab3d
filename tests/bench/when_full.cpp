#include <replay/replayer.hpp>

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/model/presets.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <support/catch.hpp>

#include <cstdint>
#include <numeric>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using namespace marconi::replay;

namespace {

using tested_cache =
    cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, policy::lru>;

/// Of the paper's 7B model, with a page a token: a state takes 409 of them.
tested_cache cache_of(std::uint64_t pages) {
    auto const model = model::find_preset("paper-7b").footprint({.flavour = model::cost::paper});
    return tested_cache{memory::ledger_store{
        model, model.kv_bytes_per_token() * pages, {.block_tokens = 1_tokens}}};
}

std::vector<std::int32_t> numbers(std::int32_t first, std::size_t count) {
    std::vector<std::int32_t> made(count);
    std::iota(made.begin(), made.end(), first);
    return made;
}

/// What make_room() does for a prompt of which all tokens are committed, and the states left.
std::vector<token_count> room_made(tested_cache& cache, std::vector<std::int32_t> const& prompt) {
    token_count const end{prompt.size()};
    auto const plan = cache.plan(cache.match({}, prompt, {.limit = end}));
    auto const lease = cache.acquire(plan);
    auto states = tune::captures_of(plan, end);
    make_room(cache, plan.match, prompt, end, states);
    std::vector<token_count> at;
    for (cache::captured_state const& state : states)
        at.push_back(state.position);
    return at;
}

void store(tested_cache& cache, std::vector<std::int32_t> const& sequence) {
    auto lease = cache.acquire(cache.plan(cache.match({}, sequence)));
    std::vector<cache::captured_state> const tail{{token_count{sequence.size()}}};
    REQUIRE(cache.commit(lease, std::span{sequence}, {.checkpoints = tail}).complete());
}

std::vector<std::int32_t> fork_of(std::vector<std::int32_t> made, std::size_t shared) {
    std::iota(made.begin() + static_cast<std::ptrdiff_t>(shared), made.end(), 100'000);
    return made;
}

} // namespace

TEST_CASE("room that is there need not be made") {
    auto cache = cache_of(1409 + 500 + 2 * 409);
    auto const first = numbers(1, 1000);
    store(cache, first);
    CHECK(room_made(cache, fork_of(first, 500)) == std::vector{500_tokens, 1000_tokens});
    CHECK(cache.stats().evictions() == 0);
    CHECK(cache.match({}, first).matched == 1000_tokens);
}

TEST_CASE("room for a whole request is made at once, and where no branch is left no state is") {
    auto cache = cache_of(1409 + 500 + 2 * 409 - 1);
    auto const first = numbers(1, 1000);
    store(cache, first);
    CHECK(room_made(cache, fork_of(first, 500)) == std::vector{1000_tokens});
    CHECK(cache.holds().used == 0_B);
}

TEST_CASE("room is not made of what a request uses") {
    auto cache = cache_of(2 * 1409);
    auto const first = numbers(1, 1000);
    store(cache, first);
    store(cache, numbers(50'000, 1000));
    CHECK(room_made(cache, numbers(1, 2000)) == std::vector{2000_tokens});
    CHECK(cache.match({}, first, {.limit = 1000_tokens}).resumable == 1000_tokens);
    CHECK(cache.match({}, numbers(50'000, 1000)).matched == 0_tokens);
}
