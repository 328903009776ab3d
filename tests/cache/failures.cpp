// Calls that fail in their middle, for lack of host memory or in a copy, have changed nothing but
// for victims already evicted.

#include <cache/short_requests.hpp>

#include <marconi/memory/host_store.hpp>
#include <marconi/policy/eviction/gdsf.hpp>

#include <support/no_memory.hpp>

#include <memory>
#include <new>
#include <optional>
#include <stdexcept>

using namespace cache_tests;

namespace {

/// A store whose copies fail when it is told so.
struct failing_store : memory::ledger_store {
    using memory::ledger_store::ledger_store;
    failing_store(memory::ledger_store store) : memory::ledger_store{std::move(store)} {}

    std::shared_ptr<bool> broken = std::make_shared<bool>(false);

    void save(memory::transfer const&, memory::no_stream) { copy(); }
    void load(memory::transfer const&, memory::no_stream) const { copy(); }
    void copy_block(page_id, page_id, memory::no_stream) { copy(); }
    static constexpr bool holds_bytes = true;
    static constexpr bool reads_views = false;

private:
    void copy() const {
        if (*broken) throw std::runtime_error{"the copy failed"};
    }
};
static_assert(memory::store<failing_store>);

using failing_cache = cache::prefix_cache<failing_store, policy::branch_and_tail, policy::lru>;

/// A view of KV that nobody reads.
memory::kv_view some_kv() {
    static memory::kv_layer_view const layer{};
    return {{&layer, 1}};
}

cache::commit_outcome bring(failing_cache& cache, failing_cache::lease const& lease,
                            sequence const& tokens, std::vector<std::uint64_t> const& positions) {
    auto const states = states_at(positions);
    return cache.commit(lease, tokens, {.kv = some_kv(), .checkpoints = states});
}

/// Calls again and again, each time with memory for one allocation more, until it succeeds; each
/// failure must have left all as it was. The number of failures.
template <class Cache, class Call>
std::size_t starve(Cache const& cache, Call&& call) {
    std::string const before = inventory(cache);
    for (std::size_t allowed = 0;; ++allowed) {
        bool done = false;
        {
            testing::no_memory const none{allowed};
            try {
                call();
                done = true;
            } catch (std::bad_alloc const&) {
            }
        }
        if (done) {
            CHECK(cache::audit(cache) == std::vector<std::string>{});
            return allowed;
        }
        INFO("after " << allowed << " allocations");
        REQUIRE(inventory(cache) == before);
        REQUIRE(cache::audit(cache) == std::vector<std::string>{});
    }
}

} // namespace

TEST_CASE("a commit whose copy fails leaves the cache as it was") {
    failing_cache cache{room_for(hybrid(), 100, 4)};
    {
        auto const lease = acquire(cache, text("0123456789"));
        (void)bring(cache, lease, text("0123456789"), {10});
    }
    auto const lease = acquire(cache, text("0123456789abcd"));
    auto const branch = acquire(cache, text("01234-"));
    auto const fresh = acquire(cache, text("other"), {.tenant = 1});
    std::string const before = inventory(cache);
    *cache.store().broken = true;
    auto const fails = [&](auto&& call) {
        CHECK(message_of<std::runtime_error>(call) == "the copy failed");
        CHECK(inventory(cache) == before);
        CHECK_SOUND(cache);
    };
    fails([&] { (void)bring(cache, lease, text("0123456789abcd"), {12, 14}); });
    fails([&] { (void)bring(cache, branch, text("01234-"), {5, 6}); }); // cuts an edge
    fails([&] { (void)bring(cache, fresh, text("other"), {5}); });      // makes a scope
    fails([&] { (void)cache.reserve(lease, 14_tokens); });              // copies a block
    fails([&] { cache.restore(lease, some_kv(), {}); });
    *cache.store().broken = false;
    CHECK(bring(cache, lease, text("0123456789abcd"), {12, 14}).stored_tokens == 4_tokens);
    CHECK(bring(cache, branch, text("01234-"), {5, 6}).stored_checkpoints == 2);
    CHECK(bring(cache, fresh, text("other"), {5}).complete());
    CHECK_SOUND(cache);
}

TEST_CASE("a commit whose copy fails has evicted, and nothing else") {
    auto const fill = [](failing_cache& cache) {
        for (int i = 0; i < 4; ++i) {
            auto const lease = acquire(cache, numbered(i, 8));
            (void)bring(cache, lease, numbered(i, 8), {8}); // 10 pages
        }
    };
    failing_cache cache{room_for(hybrid(), 40)}, twin{room_for(hybrid(), 40)};
    fill(cache);
    fill(twin);
    auto const lease = acquire(cache, numbered(9, 10));
    auto const same = acquire(twin, numbered(9, 10));
    *cache.store().broken = true;
    CHECK_THROWS_AS(bring(cache, lease, numbered(9, 10), {10}), std::runtime_error);
    CHECK(cache.stats().nodes_evicted[0] == 2);
    CHECK(twin.evict(byte_count{11 * 256}) == cache.stats().bytes_evicted);
    CHECK(inventory(cache) == inventory(twin));
    CHECK(cache.stats().commits == twin.stats().commits);
    CHECK_SOUND(cache);
}

TEST_CASE("calls that find no memory leave the cache as it was") {
    counting_cache<policy::gdsf> cache{room_for(hybrid(), 40, 4)};
    auto const small = [&](auto const& tokens, std::vector<std::uint64_t> const& at) {
        auto const lease = acquire(cache, tokens);
        commit(cache, lease, tokens, at);
    };
    small(text("0123456789"), {10});
    small(text("0123456789abcd"), {14});
    std::size_t failures = 0;

    auto const plan = cache.plan(cache.match({}, text("0123456-------")));
    auto const deep = cache.plan(cache.match({}, text("0123456789abcde")));
    std::optional<decltype(cache)::lease> lease, resumed;
    tick const before = cache.internals().now();
    failures += starve(cache, [&] { lease.emplace(cache.acquire(plan)); });
    failures += starve(cache, [&] { resumed.emplace(cache.acquire(deep)); });
    CHECK(cache.internals().now() == before + tick{2}); // what failed took no time
    failures += starve(cache, [&] { (void)cache.reserve(*resumed, 20_tokens); });

    auto const tokens = text("0123456-------");
    auto const states = states_at({7, 14});
    failures += starve(cache, [&] {
        (void)cache.commit(*lease, tokens, {.checkpoints = states}); // cuts an edge
    });
    auto const more = text("0123456789abcdefghi");
    auto const state = states_at({19});
    failures += starve(cache, [&] { (void)cache.commit(*resumed, more, {.checkpoints = state}); });
    CHECK(look(cache, "0123456789abcdefghij") == depths{19, 19, 0, 0});
    CHECK(look(cache, "0123456-------x") == depths{14, 14, 0, 0});
    CHECK(failures > 10);

    auto const fresh = text("another");
    std::optional<decltype(cache)::lease> elsewhere{acquire(cache, fresh, {.tenant = 1})};
    failures = starve(cache, [&] { (void)cache.commit(*elsewhere, fresh, {}); });
    CHECK(failures > 3);
    elsewhere.reset();
    lease.reset();
    resumed.reset();
    (void)cache.evict(1_B);
    CHECK_SOUND(cache);
}

TEST_CASE("an edge that a lease resumes inside of is not cut where there is no memory for a node") {
    small_cache cache{room_for(attention_only(), 100'000)};
    for (std::int32_t i = 0; i < 2000; ++i) // a commit makes room for more nodes than it adds
        serve(cache, numbered(i, 8));
    std::vector<small_cache::lease> held;
    held.reserve(2000);
    std::size_t failures = 0;
    for (std::int32_t i = 0; i < 2000; ++i) {
        auto const plan = cache.plan(cache.match({}, first(numbered(i, 8), 4) + numbered(-1, 3)));
        bool failed = false;
        {
            testing::no_memory const none;
            try {
                held.push_back(cache.acquire(plan));
            } catch (std::bad_alloc const&) {
                failed = true;
            }
        }
        if (!failed) continue;
        ++failures;
        CHECK_SOUND(cache);
        held.push_back(cache.acquire(plan));
    }
    CHECK(failures > 0);
    CHECK(failures < 100);
    CHECK(cache.holds().leases == 2000);
    CHECK(cache.holds().nodes == 4000);
    CHECK_SOUND(cache);
}

TEST_CASE("a lease for whose record there is no memory pins nothing") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    auto const plan = cache.plan(cache.match({}, text("0123456789abc")));
    std::vector<small_cache::lease> leases;
    while (leases.size() < 1024) // the table of leases grows by so many
        leases.push_back(cache.acquire(plan));
    std::optional<small_cache::lease> one_more;
    CHECK(starve(cache, [&] { one_more.emplace(cache.acquire(plan)); }) > 0);
    leases.clear();
    one_more.reset();
    CHECK(cache.evict(byte_count{1}) == byte_count{12 * 256});
    CHECK(cache.holds().nodes == 0);
}

TEST_CASE("evicting what could not merge, and still cannot, fails and changes nothing") {
    small_cache cache{room_for(hybrid(), 100)};
    for (auto const* tokens : {"01234", "0123abcdefgh"}) {
        auto const lease = acquire(cache, text(tokens));
        commit(cache, lease, text(tokens), {text(tokens).size()});
    }
    REQUIRE(cache.holds().nodes == 3); // "0123", of which nobody resumes, and two leaves
    byte_count freed;
    {
        testing::no_memory const none{0, 1};
        freed = cache.evict(1_B);
    }
    CHECK(freed == byte_count{3 * 256}); // "4" and its checkpoint
    REQUIRE(cache.holds().nodes == 2);
    REQUIRE(cache.holds().candidates == 2);

    std::string const before = inventory(cache);
    auto const evictions = cache.stats().evictions();
    for (int i = 0; i < 3; ++i) {
        bool failed = false;
        {
            testing::no_memory const none{0, 2}; // to make up for it, and to evict
            try {
                (void)cache.evict(1_B);
            } catch (std::bad_alloc const&) {
                failed = true;
            }
        }
        REQUIRE(failed);
        CHECK(inventory(cache) == before);
        CHECK(cache.holds().candidates == 2);
        CHECK(cache.stats().evictions() == evictions);
    }
    CHECK(cache.internals().merges_put_off());
    CHECK(cache.evict(1_B) == byte_count{14 * 256}); // they merge, and go
    CHECK(cache.stats().merges == 1);
    CHECK(cache.holds().nodes == 0);
    CHECK_FALSE(cache.internals().merges_put_off());
    CHECK_SOUND(cache);
}

TEST_CASE("a reservation that finds no memory leaves a copying lease a copying lease") {
    small_cache cache{room_for(hybrid(), 100, 4)}, twin{room_for(hybrid(), 100, 4)};
    auto const lease = acquire(cache, text("0123456789abcdef"));
    auto const same = acquire(twin, text("0123456789abcdef"));
    commit(cache, lease, text("0123456789"));
    commit(twin, same, text("0123456789"));
    bool refused = false;
    {
        testing::no_memory const none;
        try {
            (void)cache.reserve(lease, 16_tokens);
        } catch (std::bad_alloc const&) {
            refused = true;
        }
    }
    CHECK(refused);
    for (auto const* tokens : {"0123456789abc", "0123456789abcde"}) {
        commit(cache, lease, text(tokens));
        commit(twin, same, text(tokens));
        CHECK(pages_used(cache) == pages_used(twin));
    }
    CHECK(inventory(cache) == inventory(twin));
    CHECK_SOUND(cache);
}

TEST_CASE("a match allocates nothing") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "the quick brown fox");
    serve(cache, "the quick red hen");
    auto const prompt = text("the quick red fox");
    cache::match_result found;
    {
        testing::no_memory const none;
        found = cache.match({}, prompt);
        found = cache.match({.tenant = 1}, prompt);
        found = cache.match({}, prompt, {.limit = 17_tokens});
    }
    CHECK(found.matched == 14_tokens);
}

TEST_CASE("leases let go without memory") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789abcd"));
    auto other = acquire(cache, text("0123456789abcd"));
    (void)cache.reserve(lease, 30_tokens);
    {
        testing::no_memory const none;
        lease.let_go_checkpoint();
        lease.release();
        other.let_go_kv();
        other.release();
    }
    CHECK(cache.holds().leases == 0);
    CHECK(pages_used(cache) == 4);
    CHECK_SOUND(cache);
}
