// What a call costs must not depend on what has nothing to do with it: counted in allocations, and
// in candidates that the policy is told of.

#include <cache/short_requests.hpp>

#include <marconi/policy/facts.hpp>

#include <support/no_memory.hpp>

#include <cstddef>

using namespace cache_tests;

namespace {

/// Counts how often a candidate's facts are said to have changed.
struct counting_lru : policy::lru {
    std::size_t updates = 0;
    void update(node_id node, policy::usage h, policy::candidate_facts const& facts) noexcept {
        ++updates;
        policy::lru::update(node, h, facts);
    }
};
static_assert(policy::eviction_policy<counting_lru>);
using told_cache = counting_cache<counting_lru>;

/// Requests that go on with one token each from the first `from` of the sequence.
void go_on(told_cache& cache, sequence const& tokens, std::size_t from, std::int32_t requests) {
    for (std::int32_t i = 0; i < requests; ++i)
        serve(cache, first(tokens, from) + sequence{-i});
}

/// Candidates that the policy is told of when a lease is released.
std::size_t told_of_release(told_cache& cache, told_cache::lease& lease) {
    std::size_t const before = cache.eviction().updates;
    lease.release();
    CHECK_SOUND(cache);
    return cache.eviction().updates - before;
}

/// Of calls that need 12 pages, where two are free and an entry of ten can go, if there are
/// `spare` more; in a cache that holds as many other requests' leases.
struct allocations {
    std::size_t of_commit = 0, of_reserve = 0;
};
allocations with_leases(std::uint64_t leases, std::uint64_t spare) {
    allocations found;
    sequence const tokens = numbered(1, 12);
    for (bool const in_place : {false, true}) {
        small_cache cache{room_for(attention_only(), 4 * leases + 10 + 2 + spare)};
        serve(cache, numbered(2, 10));
        std::vector<small_cache::lease> others;
        for (std::uint64_t i = 1; i <= leases; ++i) {
            scope const in{.tenant = i};
            serve(cache, numbered(3, 4), in);
            others.push_back(acquire(cache, numbered(3, 5), in));
        }
        auto const lease = acquire(cache, tokens);
        std::size_t const before = testing::allocations();
        if (in_place)
            (void)cache.reserve(lease, 12_tokens);
        else
            (void)cache.commit(lease, tokens);
        (in_place ? found.of_reserve : found.of_commit) = testing::allocations() - before;
        CHECK(pages_used(cache) == 4 * leases + 12 + (spare < 10 ? 0 : 10));
        CHECK_SOUND(cache);
    }
    return found;
}

} // namespace

TEST_CASE("where there is room, to the last page, nobody looks at the leases") {
    for (std::uint64_t const spare : {0u, 1u, 100u}) {
        allocations const few = with_leases(1, spare), many = with_leases(60, spare);
        CAPTURE(spare);
        CHECK(many.of_commit <= few.of_commit + 2); // the owners of pages grow now and then
        CHECK(many.of_reserve <= few.of_reserve + 2);
    }
}

TEST_CASE("a lease that goes leaves the others of its prompt alone") {
    sequence const tokens = numbered(1, 12);
    std::vector<std::size_t> told;
    SECTION("if its pages' other owners are on its path") {
        for (std::int32_t const others : {2, 100}) {
            told_cache cache{room_for(attention_only(), 1000, 4)};
            auto lease = acquire(cache, tokens);
            (void)cache.reserve(lease, 12_tokens);
            commit(cache, lease, first(tokens, 10));
            go_on(cache, tokens, 10, others);
            told.push_back(told_of_release(cache, lease));
        }
    }
    SECTION("and if it got a copy of one of them to go on in") {
        for (std::int32_t const others : {2, 100}) {
            told_cache cache{room_for(attention_only(), 1000, 4)};
            serve(cache, first(tokens, 6));
            auto const reader = acquire(cache, first(tokens, 7));
            auto lease = acquire(cache, first(tokens, 7));
            (void)cache.reserve(lease, 12_tokens);
            commit(cache, lease, first(tokens, 9));
            go_on(cache, tokens, 6, others);
            told.push_back(told_of_release(cache, lease));
        }
    }
    SECTION("and, where one of its pages is left beside its path, those in later blocks") {
        sequence const longer = numbered(1, 40);
        for (std::int32_t const others : {2, 100}) {
            told_cache cache{room_for(attention_only(), 1000, 16)};
            auto before = acquire(cache, longer);
            (void)cache.reserve(before, 16_tokens);
            commit(cache, before, first(longer, 5));
            auto lease = acquire(cache, first(longer, 6));
            (void)cache.reserve(lease, 40_tokens); // a copy of the page of `before`, and more
            commit(cache, lease, first(longer, 8));
            commit(cache, before, first(longer, 8) + numbered(2, 2)); // beside, in that page
            commit(cache, lease, first(longer, 32));
            before.release();
            go_on(cache, longer, 32, others);
            told.push_back(told_of_release(cache, lease));
        }
    }
    CHECK(told.at(1) == told.at(0));
}

TEST_CASE("a page that a merge drops says nothing to nodes that begin where its block ends") {
    sequence const tokens = numbered(1, 20);
    std::vector<std::size_t> told;
    for (std::int32_t const others : {2, 100}) {
        told_cache cache{room_for(hybrid(), 1000, 16)};
        auto lease = acquire(cache, tokens);
        (void)cache.reserve(lease, 14_tokens);
        commit(cache, lease, first(tokens, 5), {5}); // in its page
        auto other = acquire(cache, first(tokens, 8));
        commit(cache, other, first(tokens, 8), {8}); // in a page of its own
        commit(cache, lease, first(tokens, 12));     // in its page again
        other.release();
        serve(cache, first(tokens, 14)); // and in a third page, from 12 on
        serve(cache, first(tokens, 16)); // to the block's end
        go_on(cache, tokens, 16, others);
        std::uint64_t const merges = cache.stats().merges;
        told.push_back(told_of_release(cache, lease)); // [8, 12) merges into [12, 14)
        CHECK(cache.stats().merges == merges + 1);
    }
    CHECK(told.at(1) == told.at(0));
}

TEST_CASE("a merge whose page nobody else has says nothing to the nodes below") {
    sequence const tokens = numbered(1, 12);
    std::vector<std::size_t> told;
    SECTION("nor if the one above has it") {
        for (std::int32_t const others : {2, 100}) {
            told_cache cache{room_for(attention_only(), 1000, 16)};
            auto lease = acquire(cache, first(tokens, 8));
            commit(cache, lease, first(tokens, 8));
            auto const inside = acquire(cache, first(tokens, 4) + sequence{77, 78}); // cuts at 4
            serve(cache, tokens); // in a page of its own
            go_on(cache, tokens, 12, others);
            told.push_back(told_of_release(cache, lease));
        }
    }
    SECTION("nor if it was the last owner") {
        for (std::int32_t const others : {2, 100}) {
            told_cache cache{room_for(attention_only(), 1000, 16)};
            auto lease = acquire(cache, first(tokens, 8));
            commit(cache, lease, first(tokens, 8));
            serve(cache, tokens);
            go_on(cache, tokens, 12, others);
            told.push_back(told_of_release(cache, lease));
        }
    }
    CHECK(told.at(1) == told.at(0));
}

TEST_CASE("a commit in place allocates as often, however many blocks it adds") {
    std::vector<std::size_t> made;
    for (std::uint64_t const blocks : {10u, 1000u}) {
        small_cache cache{room_for(attention_only(), 1000, 4)};
        sequence const tokens = numbered(1, 4 * blocks);
        auto const lease = acquire(cache, tokens);
        REQUIRE(cache.reserve(lease, token_count{4 * blocks}) == token_count{4 * blocks});
        std::size_t const before = testing::allocations();
        (void)cache.commit(lease, tokens);
        made.push_back(testing::allocations() - before);
        CHECK_SOUND(cache);
    }
    CHECK(made.at(0) > 0);
    CHECK(made.at(1) == made.at(0));
}
