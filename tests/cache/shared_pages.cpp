// Blocks in which several requests have gone on, each in its own page: whose going would free which
// page, when others have gone.

#include <cache/short_requests.hpp>

using namespace cache_tests;

namespace {

/// A lease that keeps KV in place: [0, 5) is in its page, [5, 8) in that of another request, and
/// the rest up to `end` in its own again. States are at 5 and at 8.
small_cache::lease around_another(small_cache& cache, sequence const& tokens, std::size_t end) {
    auto in_place = acquire(cache, tokens);
    REQUIRE(cache.reserve(in_place, token_count{tokens.size()}) == token_count{tokens.size()});
    commit(cache, in_place, first(tokens, 5), {5});
    auto const other = acquire(cache, first(tokens, 8));
    commit(cache, other, first(tokens, 8), {8});
    commit(cache, in_place, first(tokens, end));
    return in_place;
}

} // namespace

TEST_CASE("a page that a merge drops is left to a node further up") {
    small_cache cache{room_for(hybrid(), 100, 16)};
    sequence const tokens = numbered(1, 14);
    auto in_place = around_another(cache, tokens, 12);
    serve(cache, tokens); // in a third page, from 12 on
    REQUIRE(cache.holds().nodes == 4);
    CHECK(pages_used(cache) == 3 + 3);
    CHECK_SOUND(cache);

    in_place.release(); // [8, 12) merges into [12, 14)
    CHECK(cache.holds().nodes == 3);
    CHECK(pages_used(cache) == 3 + 3);
    CHECK_SOUND(cache);
    CHECK(cache.evict(1_B) == byte_count{2 * 4096}); // the oldest checkpoint, and that page
    CHECK_SOUND(cache);
}

TEST_CASE("a page that a lease had is left to a node beside its path") {
    small_cache cache{room_for(attention_only(), 100, 16)};
    sequence const tokens = numbered(1, 20);
    auto first_page = acquire(cache, tokens);
    REQUIRE(cache.reserve(first_page, 16_tokens) == 16_tokens);
    commit(cache, first_page, first(tokens, 5));
    auto lease = acquire(cache, first(tokens, 6));
    REQUIRE(lease.position() == 5_tokens);
    REQUIRE(cache.reserve(lease, 20_tokens) == 20_tokens); // a copy of that page, to go on in
    commit(cache, lease, first(tokens, 8));
    commit(cache, first_page, first(tokens, 8) + numbered(2, 2)); // beyond, in the first page
    commit(cache, lease, tokens);
    first_page.release();
    REQUIRE(cache.holds().nodes == 3); // [0, 8), and from there the two
    CHECK(pages_used(cache) == 3);
    CHECK_SOUND(cache);

    lease.release();
    CHECK_SOUND(cache);
    CHECK(cache.evict(1_B) == 4096_B);
    CHECK(look(cache, tokens, 20) == depths{20, 20, 0, 0});
    CHECK(pages_used(cache) == 2);
    CHECK_SOUND(cache);
}

TEST_CASE("a page that a leaf had is left to a node further up") {
    small_cache cache{room_for(hybrid(), 100, 16)};
    sequence const tokens = numbered(1, 20);
    around_another(cache, tokens, 20).release();
    for (std::size_t const prompt : {6u, 9u}) // both of these are used again, the leaf is not
        acquire(cache, first(tokens, prompt)).release();
    REQUIRE(cache.holds().nodes == 3);
    CHECK(pages_used(cache) == 3 + 2);
    CHECK_SOUND(cache);
    CHECK(cache.evict(1_B) == 4096_B);
    CHECK(look(cache, tokens) == depths{8, 8, 0, 0});
    CHECK_SOUND(cache);
    CHECK(cache.evict(1_B) == byte_count{2 * 4096}); // the checkpoint at 5, and that page
    CHECK_SOUND(cache);
}
