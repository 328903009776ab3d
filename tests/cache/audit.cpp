// An audit that finds nothing is worth something only if it finds what is broken.

#include <cache/short_requests.hpp>

#include <algorithm>

using namespace cache_tests;

namespace {

template <class Cache>
auto& inside(Cache& cache) {
    return const_cast<typename Cache::entries_type&>(cache.internals());
}

/// The node that ends at a depth; each depth is here once.
template <class Cache>
node_id node_at(Cache const& cache, std::uint32_t depth) {
    auto const& tree = cache.internals().tree();
    for (std::uint32_t i = 0; i < tree.slots(); ++i)
        if (tree.live(node_id{i}) && tree[node_id{i}].depth == depth) return node_id{i};
    FAIL("no node ends at " << depth);
    return {};
}

template <class Cache>
bool finds(Cache const& cache, std::string const& what) {
    auto const faults = cache::audit(cache);
    for (auto const& fault : faults)
        UNSCOPED_INFO(fault);
    return std::ranges::any_of(
        faults, [&](auto const& fault) { return fault.find(what) != std::string::npos; });
}

} // namespace

TEST_CASE("an audit finds what is broken") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789");
    serve(cache, "0123456789abc");
    serve(cache, "012345------");
    auto const lease = acquire(cache, text("0123456789x"));
    (void)cache.reserve(lease, 11_tokens);
    REQUIRE(cache::audit(cache).empty());

    auto& entries = inside(cache);
    auto& tree = entries.tree();
    auto& pool = entries.store().pages();
    auto& leaf = tree[node_at(cache, 13)];
    auto& held = tree[node_at(cache, 10)];
    std::string const leaf_name = "node " + std::to_string(node_at(cache, 13).value());
    std::string const held_name = "node " + std::to_string(node_at(cache, 10).value());

    SECTION("a page with an owner too many") {
        page_id const page = entries.pages(leaf).front();
        pool.share(page);
        CHECK(finds(cache, "page " + std::to_string(page.value()) + ": owners is 4; expected 3"));
        pool.release(page);
    }
    SECTION("a page of two paths") {
        bool const of_a_state = GENERATE(false, true);
        node_id const id = node_at(cache, 12);
        auto& page = const_cast<page_id&>(of_a_state ? entries.checkpoint(id).pages().back()
                                                     : entries.pages(tree[id]).back());
        page_id const own = page, other = entries.pages(leaf).back();
        pool.share(other);
        pool.release(own);
        page = other;
        CHECK(finds(cache, "page " + std::to_string(other.value()) + ": of node "));
        page = own;
        pool.release(other);
        std::vector<page_id> again(1);
        pool.allocate(again);
        REQUIRE(again[0] == own);
    }
    SECTION("a page that nobody owns is not free") {
        std::vector<page_id> lost(1);
        pool.allocate(lost);
        CHECK(finds(cache, "page " + std::to_string(lost[0].value()) + ": owners"));
        pool.release(lost[0]);
    }
    SECTION("a page that is free has an owner") {
        page_id const page = entries.pages(leaf).back();
        pool.release(page);
        CHECK(finds(cache, "page " + std::to_string(page.value()) + ": owned, but free"));
        std::vector<page_id> again(1);
        pool.allocate(again);
        REQUIRE(again[0] == page);
    }
    SECTION("a pin without a lease") {
        ++held.payload.kv_pins;
        CHECK(finds(cache, held_name + ": KV pins is 2; expected 1"));
        --held.payload.kv_pins;
        ++held.payload.checkpoint_pins;
        CHECK(finds(cache, held_name + ": checkpoint pins is 2; expected 1"));
        --held.payload.checkpoint_pins;
    }
    SECTION("a lease without a pin") {
        --held.payload.kv_pins;
        CHECK(finds(cache, held_name + ": KV pins is 0; expected 1"));
        ++held.payload.kv_pins;
    }
    SECTION("a wrong checkpoint above") {
        leaf.payload.resume_above = 4;
        CHECK(finds(cache, leaf_name + ": nearest checkpoint above is 4; expected 10"));
        leaf.payload.resume_above = 10;
    }
    SECTION("a checkpoint of another position") {
        auto& record =
            const_cast<cache::checkpoint_record&>(entries.checkpoint(node_at(cache, 13)));
        record.position = 12;
        CHECK(finds(cache, leaf_name + ": its checkpoint's position is 12; expected 13"));
        record.position = 13;
    }
    SECTION("a checkpoint that lost a page") {
        auto& record =
            const_cast<cache::checkpoint_record&>(entries.checkpoint(node_at(cache, 13)));
        page_id const page = record.pages().back();
        --record.page_count;
        CHECK(finds(cache, leaf_name + ": its checkpoint's pages is 0; expected 1"));
        CHECK(finds(cache, "page " + std::to_string(page.value()) + ": owners"));
        CHECK(finds(cache, "pages of all checkpoints"));
        ++record.page_count;
    }
    SECTION("a candidate that is not ranked") {
        auto const rank = leaf.payload.ranked_pages;
        leaf.payload.ranked_pages = std::remove_cvref_t<decltype(leaf.payload)>::unranked;
        CHECK(finds(cache, leaf_name + ": not ranked"));
        leaf.payload.ranked_pages = rank;
    }
    SECTION("a rank by wrong facts") {
        ++leaf.payload.ranked_pages;
        CHECK(finds(cache, leaf_name + ": pages it would free"));
        --leaf.payload.ranked_pages;
    }
    SECTION("a rank of what is no candidate") {
        held.payload.ranked_pages = 0;
        CHECK(finds(cache, held_name + ": ranked, but no candidate"));
        held.payload.ranked_pages = std::remove_cvref_t<decltype(held.payload)>::unranked;
    }
    SECTION("a policy that forgot a candidate") {
        node_id const id = node_at(cache, 13);
        cache.eviction().erase(id);
        CHECK(finds(cache, "candidates in the policy's index is 1; expected 2"));
        cache.eviction().insert(id, leaf.payload.history, entries.facts(leaf));
    }
    SECTION("a lease that is not at the end of its node") {
        auto& record = const_cast<cache::lease_table&>(cache.leases())[cache::lease_id{0}];
        record.position = GENERATE(9u, 11u);
        CHECK(finds(cache, "lease 0 does not stand at the end of its node"));
        record.position = 10;
    }
    SECTION("a node that should have merged") {
        node_id const id = node_at(cache, 13);
        auto const checkpoint = std::exchange(leaf.payload.checkpoint, {});
        CHECK(finds(cache, "checkpoints is 4; expected 3"));
        leaf.payload.checkpoint = checkpoint;
        tree.reserve(1);
        node_id const upper = tree.split(id, 12); // as an index would, and nothing else
        CHECK(finds(cache, "node " + std::to_string(upper.value()) + ": should have merged"));
        tree.reserve_merge(upper);
        tree.merge_into_child(upper);
    }
    SECTION("a broken link") {
        auto const parent = leaf.parent;
        leaf.parent = node_at(cache, 12);
        CHECK(finds(cache, "a child has another parent"));
        leaf.parent = parent;
    }
    CHECK_SOUND(cache);
}
