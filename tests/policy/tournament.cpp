#include <marconi/policy/eviction/index/tournament.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>

using namespace marconi;
using policy::tournament_index;

TEST_CASE("a tournament names the smallest key, then the smallest id, whatever comes and goes") {
    // Few keys, so that ties abound; ids up to 8^3 and beyond, so that there are four rounds.
    std::mt19937 random{1};
    for (std::uint32_t const ids : {1u, 7u, 8u, 9u, 64u, 65u, 513u, 5000u}) {
        tournament_index<int> index;
        std::map<std::uint32_t, int> keys;
        std::set<std::pair<int, std::uint32_t>> order;
        std::size_t most = 0;
        for (int step = 0; step < 4000; ++step) {
            auto const id = static_cast<std::uint32_t>(random() % ids);
            int const key = static_cast<int>(random() % 50);
            auto const known = keys.find(id);
            REQUIRE(index.contains(node_id{id}) == (known != keys.end()));
            if (known == keys.end()) {
                index.insert(node_id{id}, key);
            } else {
                REQUIRE(index.key(node_id{id}) == known->second);
                order.erase({known->second, id});
                random() % 3 == 0 ? index.erase(node_id{id}) : index.update(node_id{id}, key);
            }
            if (index.contains(node_id{id})) {
                keys[id] = key;
                order.insert({key, id});
            } else {
                keys.erase(id);
            }
            REQUIRE(index.size() == keys.size());
            REQUIRE(index.top().has_value() == !order.empty());
            if (!order.empty()) REQUIRE(*index.top() == node_id{order.begin()->second});
            REQUIRE(index.prefetched_top() == index.top());
            most = std::max(most, keys.size());
        }
        CHECK(most > ids / 4);
        for (auto const& [key, id] : order) { // as a cache evicts them
            REQUIRE(*index.top() == node_id{id});
            index.erase(node_id{id});
        }
        CHECK_FALSE(index.top());
    }
}

TEST_CASE("a tournament's first nodes may have large ids") {
    tournament_index<double> index;
    CHECK_FALSE(index.contains(node_id{70'000}));
    index.insert(node_id{70'000}, 2);
    index.insert(node_id{1'000'000}, 1);
    CHECK(*index.top() == node_id{1'000'000});
    index.update(node_id{70'000}, 1);
    CHECK(*index.top() == node_id{70'000});
    CHECK_FALSE(index.contains(node_id{0}));
    CHECK_FALSE(index.contains(node_id{1'000'001}));
}

TEST_CASE("a tournament can be copied and moved") {
    tournament_index<int> index;
    index.insert(node_id{9}, 5);
    tournament_index<int> const copy = index;
    tournament_index<int> const moved = std::move(index);
    CHECK(*moved.top() == node_id{9});
    CHECK(*copy.top() == node_id{9});
}
