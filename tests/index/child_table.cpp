#include <support/no_memory.hpp>

#include <marconi/core/types.hpp>
#include <marconi/index/child_table.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

using namespace marconi;
using index::child_table;

namespace {

node_id find_exactly(child_table const& table, std::uint32_t hash, node_id child) {
    return table.find(hash, [&](node_id c) { return c == child; });
}

/// The table beside a plain set of what must be in it.
struct checked_table {
    child_table table;
    std::set<std::pair<std::uint32_t, std::uint32_t>> entries;

    void insert(std::uint32_t hash, std::uint32_t child) {
        table.reserve(1);
        table.insert(hash, node_id{child});
        REQUIRE(entries.emplace(hash, child).second);
    }
    void erase(std::uint32_t hash, std::uint32_t child) {
        table.erase(hash, node_id{child});
        REQUIRE(entries.erase({hash, child}) == 1);
    }
    void check() const {
        REQUIRE(table.size() == entries.size());
        for (auto const& [hash, child] : entries)
            REQUIRE(find_exactly(table, hash, node_id{child}) == node_id{child});
    }
    /// All that find() proposes under a hash is there and nothing else.
    void check_proposals(std::uint32_t hash) const {
        std::multiset<std::uint32_t> proposed, wanted;
        (void)table.find(hash, [&](node_id c) {
            proposed.insert(c.value());
            return false;
        });
        for (auto it = entries.lower_bound({hash, 0}); it != entries.end() && it->first == hash;
             ++it)
            wanted.insert(it->second);
        REQUIRE(proposed == wanted);
    }
};

} // namespace

TEST_CASE("child_table: an empty one finds nothing and takes no memory") {
    child_table const table;
    CHECK_FALSE(table.find(0, [](node_id) { return true; }));
    CHECK(table.bytes() == 0);
}

TEST_CASE("child_table: children whose hashes collide are told apart by who asks") {
    checked_table t;
    for (std::uint32_t child = 0; child < 300; ++child)
        t.insert(0xABCDu, child);
    t.check();
    t.check_proposals(0xABCDu);
    for (std::uint32_t child = 0; child < 300; child += 2)
        t.erase(0xABCDu, child);
    t.check();
    t.check_proposals(0xABCDu);
    CHECK_FALSE(find_exactly(t.table, 0xABCDu, node_id{2}));
    CHECK_FALSE(t.table.find(0xABCEu, [](node_id) { return true; }));
}

TEST_CASE("child_table: erasing keeps runs whole that wrap around the end") {
    // 16 slots, at most 11 entries; homes near the end and the beginning make runs that wrap.
    std::uint32_t const homes[] = {13, 14, 15, 0, 1, 14, 15, 15};
    std::vector<std::uint32_t> order{0, 1, 2, 3, 4, 5, 6, 7};
    std::mt19937 random{3};
    for (int round = 0; round < 4000; ++round) {
        checked_table t;
        std::shuffle(order.begin(), order.end(), random);
        for (std::uint32_t const child : order)
            t.insert(homes[child] + 16 * child, child);
        REQUIRE(t.table.bytes() == 16 * 8);
        std::shuffle(order.begin(), order.end(), random);
        for (std::uint32_t const child : order) {
            t.erase(homes[child] + 16 * child, child);
            t.check();
            for (std::uint32_t const other : order)
                t.check_proposals(homes[other] + 16 * other);
        }
    }
}

TEST_CASE("child_table: replace puts another child in the same place") {
    checked_table t;
    for (std::uint32_t child = 0; child < 9; ++child)
        t.insert(child % 2, child);
    t.table.replace(1, node_id{5}, node_id{50});
    t.entries.erase({1, 5});
    t.entries.emplace(1, 50);
    t.check();
    t.check_proposals(0);
    t.check_proposals(1);
}

TEST_CASE("child_table: long random histories against a set") {
    for (std::uint32_t const hashes : {3u, 40u, 100'000u}) {
        checked_table t;
        std::mt19937 random{hashes};
        std::vector<std::pair<std::uint32_t, std::uint32_t>> live;
        std::uint32_t next = 0;
        for (int step = 0; step < 6000; ++step) {
            bool const growing = step / 1000 % 2 == 0;
            if (live.empty() || random() % 100 < (growing ? 70u : 30u)) {
                live.emplace_back(static_cast<std::uint32_t>(random()) % hashes, next++);
                t.insert(live.back().first, live.back().second);
            } else {
                std::swap(live[random() % live.size()], live.back());
                t.erase(live.back().first, live.back().second);
                live.pop_back();
            }
            t.check_proposals(static_cast<std::uint32_t>(random()) % hashes);
            if (step % 50 == 0) t.check();
        }
        t.check();
    }
}

constexpr std::uint64_t hash_seed = 7;

TEST_CASE("child_table: a million children of one node") {
    std::uint32_t const n = 1'000'000;
    child_table table;
    auto const hash = [](std::uint32_t i) {
        return index::child_hash(hash_seed, node_id{42}, static_cast<std::int32_t>(i));
    };
    for (std::uint32_t i = 0; i < n; ++i) {
        table.reserve(1);
        table.insert(hash(i), node_id{i});
    }
    CHECK(table.size() == n);
    CHECK(table.bytes() <= 8 * 4 * n);
    std::uint32_t missing = 0;
    std::uint64_t asked = 0;
    auto const look = [&](std::uint32_t i) {
        return table.find(hash(i), [&](node_id c) {
            ++asked;
            return c == node_id{i};
        });
    };
    for (std::uint32_t i = 0; i < n; ++i)
        missing += look(i) != node_id{i};
    CHECK(missing == 0);
    CHECK(asked < n + n / 100);

    for (std::uint32_t i = 0; i < n; ++i)
        if (i % 10 != 3) table.erase(hash(i), node_id{i});
    CHECK(table.size() == n / 10);
    for (std::uint32_t i = 0; i < n; ++i)
        missing += look(i) != (i % 10 == 3 ? node_id{i} : node_id{});
    CHECK(missing == 0);
}

TEST_CASE("child_table: after reserve(n) the next n insertions need no memory") {
    for (std::size_t const held : {0u, 1u, 11u, 12u, 500u})
        for (std::size_t const n : {1u, 5u, 12u, 1000u}) {
            child_table table;
            table.reserve(held);
            for (std::uint32_t i = 0; i < held; ++i)
                table.insert(i, node_id{i});
            table.reserve(n);
            std::size_t const bytes = table.bytes();
            bool asked = false;
            {
                testing::no_memory const none;
                for (std::size_t i = held; i < held + n; ++i)
                    table.insert(static_cast<std::uint32_t>(i * 7),
                                 node_id{static_cast<std::uint32_t>(i)});
                asked = none.was_asked();
            }
            CHECK_FALSE(asked);
            CHECK(table.bytes() == bytes);
            CHECK(table.size() == held + n);
            CHECK(table.size() * 4 <= table.bytes() / 8 * 3);
        }
}

TEST_CASE("child_table: the hash depends on the parent and on every byte of a token") {
    using wide = std::array<std::uint32_t, 3>;
    std::set<std::uint32_t> seen;
    seen.insert(index::child_hash(hash_seed, node_id{1}, wide{}));
    seen.insert(index::child_hash(hash_seed, node_id{2}, wide{}));
    for (int bit = 0; bit < 96; ++bit) {
        wide w{};
        w[static_cast<std::size_t>(bit) / 32] = 1u << (bit % 32);
        seen.insert(index::child_hash(hash_seed, node_id{1}, w));
    }
    CHECK(seen.size() == 98);
}

TEST_CASE("child_table: the bytes it says it holds are those it has allocated") {
    std::size_t const before = testing::bytes_held();
    child_table table;
    for (std::size_t const more : {0u, 1u, 100u, 5000u}) {
        table.reserve(more);
        std::size_t const allocated = testing::bytes_held() - before;
        CHECK(table.bytes() == allocated);
    }
}
