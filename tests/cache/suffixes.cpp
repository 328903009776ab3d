// Commits by an engine that has KV from some token on alone: what blocks lack comes from the cache.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>

#include <support/brought.hpp>
#include <support/catch.hpp>
#include <support/engine.hpp>

#include <cstddef>
#include <cstdint>
#include <numeric>

using namespace marconi;
using namespace marconi::literals;
using support::brought;
using support::sequence;

namespace {

using stored_cache = cache::prefix_cache<memory::host_store>;

sequence ascending(std::size_t count) {
    sequence tokens(count);
    std::iota(tokens.begin(), tokens.end(), 1);
    return tokens;
}

/// Commits the first `count` tokens with the state at their end. The engine has the KV of
/// [from, count), and zeros before.
cache::commit_outcome commit_from(stored_cache& cache, stored_cache::lease const& lease,
                                  footprint const& model, std::size_t count, token_count from) {
    sequence const tokens = ascending(count);
    brought const all{model, tokens, {count}};
    support::engine_request has{model};
    has.compute(tokens, from.value(), count);
    return cache.commit(lease, tokens,
                        {.kv = has.kv(), .checkpoints = all.captured, .kv_from = from});
}

} // namespace

TEST_CASE("rows that the engine has not are copied from the page that has them") {
    auto const model = support::hybrid_model();
    for (std::uint64_t const block : {1u, 4u, 16u})
        for (std::size_t const stored : {8u, 10u, 11u}) {
            CAPTURE(block, stored);
            stored_cache cache{
                memory::host_store{model, 64_KiB, {.block_tokens = token_count{block}}}};
            (void)commit_from(cache, cache.open({}, ascending(stored)), model, stored, 0_tokens);

            auto const lease = cache.open({}, ascending(22));
            REQUIRE(lease.resume_at() == token_count{stored});
            CHECK(commit_from(cache, lease, model, 13, lease.resume_at()).complete());
            CHECK(commit_from(cache, lease, model, 22, lease.position()).complete());

            auto const next = cache.open({}, ascending(30));
            REQUIRE(next.resume_at() == 22_tokens);
            support::engine_request found{model};
            cache.restore(next, found.kv(), found.state());
            CHECK(found.holds(ascending(22), 22));
            CHECK(cache::audit(cache).empty());
        }
}

TEST_CASE("a model without KV has no rows to lack") {
    auto const model = support::recurrent_model();
    stored_cache cache{memory::host_store{
        model, 64_KiB, {.block_tokens = 16_tokens, .page_bytes = byte_count{256}}}};
    memory::kv_layer_view const layer{};
    auto const commit = [&](stored_cache::lease const& lease, std::size_t count) {
        brought const all{model, ascending(count), {count}};
        return cache.commit(
            lease, ascending(count),
            {.kv = {{&layer, 1}}, .checkpoints = all.captured, .kv_from = lease.position()});
    };
    CHECK(commit(cache.open({}, ascending(10)), 10).complete());
    auto lease = cache.open({}, ascending(22));
    REQUIRE(lease.resume_at() == 10_tokens);
    CHECK(commit(lease, 22).complete());
    lease.let_go_kv();
    cache.clear();
    CHECK(commit(lease, 30).complete());
    CHECK(cache::audit(cache).empty());
}

TEST_CASE("what was evicted after it was let go cannot come from the cache") {
    auto const model = support::hybrid_model();
    stored_cache cache{memory::host_store{model, 64_KiB, {.block_tokens = 4_tokens}}};
    auto lease = cache.open({}, ascending(22));
    (void)commit_from(cache, lease, model, 10, 0_tokens);
    lease.let_go_kv();
    SECTION("and is missed") {
        cache.clear();
        CHECK_THROWS_AS(commit_from(cache, lease, model, 22, 10_tokens), contract_violation);
        CHECK(cache.holds().used == 0_B);
        CHECK(commit_from(cache, lease, model, 22, 0_tokens).stored_tokens == 22_tokens);
    }
    SECTION("but what is still there does") {
        CHECK(commit_from(cache, lease, model, 22, 10_tokens).stored_tokens == 12_tokens);
    }
    CHECK(cache::audit(cache).empty());
}
