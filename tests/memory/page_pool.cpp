#include <marconi/core/error.hpp>
#include <marconi/memory/page_pool.hpp>

#include <support/catch.hpp>
#include <support/no_memory.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <new>
#include <random>
#include <span>
#include <vector>

using namespace marconi;
using memory::page_pool;

namespace {

std::vector<page_id> take(page_pool& pool, std::size_t n) {
    std::vector<page_id> pages(n);
    pool.allocate(pages);
    return pages;
}

std::vector<page_id> ids(std::initializer_list<std::uint32_t> values) {
    std::vector<page_id> all;
    for (std::uint32_t const value : values)
        all.emplace_back(value);
    return all;
}

} // namespace

TEST_CASE("page_pool: pages come in order, and those freed last come first") {
    page_pool pool{10};
    CHECK(take(pool, 4) == ids({0, 1, 2, 3}));
    CHECK(pool.release(page_id{1}));
    CHECK(pool.release(page_id{3}));
    CHECK(pool.release(page_id{0}));
    CHECK(take(pool, 1) == ids({0}));
    CHECK(take(pool, 4) == ids({1, 3, 4, 5}));
    CHECK(pool.used() == 6);
    CHECK(pool.available() == 4);
    CHECK(pool.touched() == 6);
}

TEST_CASE("page_pool: a page is free when its last owner lets go") {
    page_pool pool{2};
    page_id const page = take(pool, 1)[0];
    CHECK(pool.owners(page) == 1);
    pool.share(page);
    pool.share(page);
    CHECK(pool.owners(page) == 3);
    CHECK_FALSE(pool.release(page));
    CHECK_FALSE(pool.release(page));
    CHECK(pool.used() == 1);
    CHECK(pool.free().empty());
    CHECK(pool.release(page));
    CHECK(pool.used() == 0);
    REQUIRE(pool.free().size() == 1);
    CHECK(pool.free()[0] == page);
    CHECK(take(pool, 1)[0] == page);
    CHECK(pool.owners(page) == 1);
}

TEST_CASE("page_pool: pages that nobody shares are freed together, in order") {
    page_pool pool{8};
    std::vector<page_id> const all = take(pool, 6);
    pool.share(all[5]);
    pool.release_unshared(std::span{all}.first(4));
    CHECK(pool.used() == 2);
    CHECK(pool.owners(all[5]) == 2);
    CHECK(take(pool, 5) == ids({0, 1, 2, 3, 6}));
}

TEST_CASE("page_pool: of many pages those with other owners stay") {
    page_pool pool{8};
    std::vector<page_id> const all = take(pool, 5);
    pool.share(all[1]);
    pool.share(all[3]);
    pool.share(all[3]);
    pool.release(all);
    CHECK(pool.used() == 2);
    CHECK(pool.owners(all[1]) == 1);
    CHECK(pool.owners(all[3]) == 2);
    CHECK(std::vector(pool.free().begin(), pool.free().end()) == ids({0, 2, 4}));
}

TEST_CASE("page_pool: asking for more than is free throws and changes nothing") {
    page_pool pool{5};
    (void)take(pool, 4);
    (void)pool.release(page_id{2});
    std::vector<page_id> out(3);
    CHECK_THROWS_AS(pool.allocate(out), contract_violation);
    CHECK_THROWS_WITH(pool.allocate(out), "page_pool::allocate of 3 pages; 2 are free");
    CHECK(out == std::vector<page_id>(3));
    CHECK(pool.used() == 3);
    CHECK(pool.touched() == 4);
    CHECK(take(pool, 2) == ids({2, 4}));
    CHECK_NOTHROW(pool.allocate({}));
    CHECK_THROWS_AS(take(pool, 1), contract_violation);
}

TEST_CASE("page_pool: pages that were handed out before need no memory") {
    page_pool pool{1000};
    std::vector<page_id> pages = take(pool, 100), more(1);
    bool refused = false;
    {
        testing::no_memory const none;
        try {
            for (int round = 0; round < 3; ++round) {
                pool.release(pages);
                pool.allocate(pages);
            }
        } catch (std::bad_alloc const&) {
            refused = true;
        }
    }
    CHECK_FALSE(refused);
    CHECK(pool.touched() == 100);
}

TEST_CASE("page_pool: new pages write to 8 bytes each, in tables seldom copied") {
    struct growth {
        std::size_t allocations, held, told;
    };
    auto const take_all = [](std::uint64_t capacity, int pages) {
        std::size_t const before = testing::bytes_held();
        page_pool pool{capacity};
        page_id page;
        std::size_t const at_first = testing::allocations();
        for (int i = 0; i < pages; ++i)
            pool.allocate({&page, 1});
        return growth{testing::allocations() - at_first, testing::bytes_held() - before,
                      pool.bytes()};
    };
    growth const small = take_all(1'000'000, 100'000);
    CHECK(small.allocations == 2);
    CHECK(small.held == 8 * 1'000'000 + 4);
    CHECK(small.told == 8 * 100'000 + 4);
    growth const large = take_all(0xFFFF'FFFEu, 5'000'000);
    CHECK(large.allocations == 4);
    CHECK(large.held < 2 * 8 * 5'000'000);
    CHECK(large.told == 8 * 5'000'000 + 4);
    CHECK(take_all(0xFFFF'FFFEu, 1).held < 34'000'000);
}

TEST_CASE("page_pool: capacities out of range throw and say what is allowed") {
    CHECK_THROWS_AS(page_pool{0}, invalid_argument);
    CHECK_THROWS_WITH(page_pool{0}, "capacity in pages is 0; expected 1 to 4294967294");
    CHECK_THROWS_WITH(page_pool{0xFFFF'FFFFu},
                      "capacity in pages is 4294967295; expected 1 to 4294967294");
    CHECK_THROWS_AS(page_pool{1ull << 40}, invalid_argument);
    page_pool const largest{0xFFFF'FFFEu};
    CHECK(largest.available() == 0xFFFF'FFFEu);
    CHECK(largest.touched() == 0);
    CHECK(page_pool{1}.capacity() == 1);
}

TEST_CASE("page_pool: long random histories against a map of owners") {
    for (std::uint64_t const capacity : {1u, 7u, 300u}) {
        page_pool pool{capacity};
        std::map<page_id, std::uint32_t> owners;
        std::vector<page_id> free; // last freed last
        std::uint32_t touched = 0;
        std::mt19937 random{static_cast<std::uint32_t>(capacity)};
        for (int step = 0; step < 20'000; ++step) {
            std::uint32_t const what = static_cast<std::uint32_t>(random() % 10);
            if (what < 4) {
                std::size_t const n = random() % (capacity / 4 + 2);
                if (owners.size() + n > capacity) {
                    REQUIRE_THROWS_AS(take(pool, n), contract_violation);
                } else {
                    std::size_t const kept = free.size() - std::min(n, free.size());
                    std::vector<page_id> wanted{free.begin() + static_cast<std::ptrdiff_t>(kept),
                                                free.end()};
                    free.resize(kept);
                    while (wanted.size() < n)
                        wanted.emplace_back(touched++);
                    REQUIRE(take(pool, n) == wanted);
                    for (page_id const page : wanted)
                        owners[page] = 1;
                }
            } else if (!owners.empty()) {
                auto const it = std::next(owners.begin(),
                                          static_cast<std::ptrdiff_t>(random() % owners.size()));
                if (what < 6) {
                    pool.share(it->first);
                    ++it->second;
                } else {
                    bool const last = --it->second == 0;
                    REQUIRE(pool.release(it->first) == last);
                    if (last) {
                        free.push_back(it->first);
                        owners.erase(it);
                    }
                }
            }
            REQUIRE(pool.used() == owners.size());
            REQUIRE(pool.available() == capacity - owners.size());
            REQUIRE(pool.touched() == touched);
            REQUIRE(std::ranges::equal(pool.free(), free));
            for (auto const& [page, count] : owners)
                REQUIRE(pool.owners(page) == count);
        }
        REQUIRE(touched == capacity);
    }
}
