// What a cache says of the host memory that it needs, beside what is allocated.

#include <cache/short_requests.hpp>

#include <support/no_memory.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

using namespace cache_tests;

namespace {

/// A checkpoint takes five pages of four tokens.
footprint with_large_states() {
    footprint model = hybrid();
    model.state_pieces = {{.fixed_bytes = 5000}};
    return model;
}

/// Tells how much memory is held while a commit copies.
struct watched_store : memory::ledger_store {
    watched_store(memory::ledger_store store) : memory::ledger_store{std::move(store)} {}

    std::size_t* held = nullptr;

    static constexpr bool holds_bytes = true;
    static constexpr bool reads_views = false;
    void save(memory::transfer const&, memory::no_stream) { *held = testing::bytes_held(); }
};
static_assert(memory::store<watched_store>);

/// Requests that go on from one another, or part, or have nothing in common.
std::vector<sequence> requests() {
    std::mt19937 random{1};
    std::vector<sequence> all{numbered(0, 50)};
    while (all.size() < 300) {
        auto name = static_cast<std::int32_t>(all.size());
        sequence head = random() % 5 == 0 ? sequence{} : all[random() % all.size()];
        head.resize(std::min<std::size_t>(head.size() - head.size() % (1 + random() % 3), 200));
        all.push_back(head + numbered(name, 1 + random() % 60));
    }
    return all;
}

} // namespace

TEST_CASE("memory grows and shrinks by what the figures say") {
    std::vector<sequence> const all = requests();
    std::size_t const before = testing::bytes_held();
    small_cache cache{room_for(with_large_states(), 600, 4)};
    // What the figure leaves out: the table of leases, 8 bytes a page for its owners, the policy's
    // index, the scopes. When all have grown, it is always the same.
    auto const left_out = [&] {
        return testing::bytes_held() - before - cache.holds().metadata.value();
    };
    scope const scopes[] = {{.tenant = 1}, {.tenant = 2}};
    for (scope const& in : scopes)
        serve(cache, "a scope that stays", in);
    std::array const keeping{acquire(cache, text("a scope that stays..."), scopes[0]),
                             acquire(cache, text("a scope that stays..."), scopes[1])};
    std::size_t always = 0, steps = 0, most = 0;
    for (int round = 0; round < 5; ++round) {
        std::array<small_cache::lease, 3> leases;
        auto const release_all = [&] {
            for (small_cache::lease& lease : leases)
                lease.release();
        };
        for (std::size_t i = 0; i < all.size(); ++i) {
            scope const& in = scopes[i % 2];
            small_cache::lease& lease = leases[i % 3] = acquire(cache, all[i], in);
            if (i % 5 == 0) (void)cache.reserve(lease, token_count{all[i].size()});
            commit(cache, lease, all[i], {all[i].size()});
            if (i % 7 != 0) continue;
            release_all();
            if (i % 70 == 0) (void)cache.evict(byte_count{100'000});
            if (round < 2) continue;
            std::size_t const now = left_out();
            if (steps++ == 0) always = now;
            if (now != always) FAIL("step " << steps << ": " << now << ", not " << always);
            most = std::max(most, std::size_t{cache.holds().metadata.value()});
        }
        release_all();
        cache.clear();
    }
    std::size_t const at_last = left_out();
    CHECK(at_last == always);
    CHECK(cache.holds().nodes == 2);
    CHECK(cache.holds().metadata.value() + 1000 < most);
    CHECK(cache.stats().evictions() > 500);
    CHECK(steps > 100);
}

TEST_CASE("a state that could never fit is declined, and leaves no room made for it") {
    for (byte_count const size : {1_GiB, byte_count{1ull << 40}, byte_count{1ull << 50}}) {
        footprint model = hybrid();
        model.state_pieces = {{.fixed_bytes = size.value()}};
        small_cache cache{room_for(model, 1000)};
        sequence const tokens = numbered(1, 20);
        auto const lease = acquire(cache, tokens);
        CHECK(commit(cache, lease, tokens, {20}).declined_checkpoints == 1);
        CHECK(cache.holds().metadata < 200_KiB);
        CHECK_SOUND(cache);
    }
}

TEST_CASE("states that could never fit do not add up to little") {
    footprint model = hybrid();
    model.state_pieces = {{.fixed_bytes = std::uint64_t{1} << 63}}; // 2^55 pages, 512 times
    small_cache cache{room_for(model, 1000)};
    sequence const tokens = numbered(1, 512);
    std::vector<std::uint64_t> everywhere(512);
    std::iota(everywhere.begin(), everywhere.end(), 1u);
    auto const lease = acquire(cache, tokens);
    CHECK(commit(cache, lease, tokens, everywhere).declined_checkpoints == 512);
    CHECK_SOUND(cache);
}

TEST_CASE("a few leases take little memory") {
    small_cache cache{room_for(hybrid(), 1000)};
    auto const lease = acquire(cache, numbered(1, 20));
    CHECK(cache.leases().bytes() > sizeof(cache::lease_record));
    CHECK(cache.leases().bytes() < 16 << 10);
}

TEST_CASE("memory of many scopes is told, too") {
    std::size_t const before = testing::bytes_held();
    small_cache cache{room_for(hybrid(), 40'000)};
    auto const left_out_a_scope = [&](std::uint64_t scopes) {
        for (std::uint64_t i = 0; i < scopes; ++i)
            serve(cache, "one", {.tenant = i});
        return (testing::bytes_held() - before - cache.holds().metadata.value()) / scopes;
    };
#ifdef _LIBCPP_VERSION
    std::size_t const hashes = 2 * sizeof(std::size_t); // two maps keep each entry's, uncounted
#else
    std::size_t const hashes = 0;
#endif
    // Pages' owners and the policy's index; with the scopes' maps it would be 200.
    CHECK(left_out_a_scope(8192) < 120 + hashes);
}

TEST_CASE("a lease that let go of its KV holds no list of pages") {
    small_cache cache{room_for(hybrid(), 1000)};
    sequence const tokens = numbered(1, 900);
    {
        auto const before = acquire(cache, tokens); // what is kept of each page grows
        (void)cache.reserve(before, 900_tokens);
    }
    auto lease = acquire(cache, tokens);
    std::size_t const before = testing::bytes_held();
    (void)cache.reserve(lease, 900_tokens);
    std::size_t const reserved = testing::bytes_held();
    lease.let_go_kv();
    std::size_t const after = testing::bytes_held();
    CHECK(reserved >= before + 900 * sizeof(page_id));
    CHECK(after == before);
}

TEST_CASE("what a commit needs meanwhile is by what it stores, not by what is stored above") {
    std::size_t meanwhile = 0;
    watched_store store{room_for(attention_only(), 20'000, 4)};
    store.held = &meanwhile;
    cache::prefix_cache<watched_store> cache{std::move(store)};
    sequence const tokens = numbered(1, 40'003);
    memory::kv_layer_view const nothing_read{};
    auto const lease = acquire(cache, tokens);
    (void)cache.commit(lease, first(tokens, 40'002), {.kv = {{&nothing_read, 1}}});
    std::size_t const before = testing::bytes_held();
    auto const outcome = cache.commit(lease, tokens, {.kv = {{&nothing_read, 1}}});
    CHECK(outcome.stored_tokens == 1_tokens);
    CHECK(meanwhile >= before);
    CHECK(meanwhile < before + 1000);
}

TEST_CASE("a lease that brings the same again and again takes no more memory") {
    small_cache cache{room_for(hybrid(), 100)};
    sequence const tokens = text("0123456789");
    auto const lease = acquire(cache, tokens);
    for (int i = 0; i < 2; ++i)
        commit(cache, lease, tokens, {10});
    std::size_t const before = testing::bytes_held();
    for (int i = 0; i < 1000; ++i)
        commit(cache, lease, tokens, {10});
    std::size_t const after = testing::bytes_held();
    CHECK(after == before);
}
