#include <support/no_memory.hpp>

#include <marconi/core/types.hpp>
#include <marconi/index/arena.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <map>
#include <new>
#include <random>
#include <set>
#include <vector>

using namespace marconi;

using int_arena = index::arena<int, node_id>;

TEST_CASE("arena: a released id is the next one handed out, with another generation") {
    int_arena arena;
    node_id const a = arena.allocate();
    node_id const b = arena.allocate();
    CHECK(a.value() == 0);
    CHECK(b.value() == 1);
    CHECK(arena.live(a));
    CHECK_FALSE(arena.live(node_id{2}));
    arena[a] = 7;

    std::uint32_t const first = arena.generation(a);
    arena.release(a);
    CHECK_FALSE(arena.live(a));
    CHECK(arena.generation(a) != first);
    CHECK(arena.size() == 1);

    node_id const again = arena.allocate();
    CHECK(again == a);
    CHECK(arena.generation(again) != first);
    CHECK(arena[again] == 0);
    CHECK(arena.slots() == 2);
    CHECK(arena.size() == 2);
}

TEST_CASE("arena: values stay where they are while it grows") {
    int_arena arena;
    std::vector<int*> places;
    for (int i = 0; i < 5000; ++i) {
        node_id const id = arena.allocate();
        REQUIRE(id.value() == static_cast<std::uint32_t>(i));
        arena[id] = i;
        places.push_back(&arena[id]);
    }
    for (std::uint32_t i = 0; i < 5000; ++i) {
        REQUIRE(&arena[node_id{i}] == places[i]);
        REQUIRE(*places[i] == static_cast<int>(i));
    }
}

TEST_CASE("arena: no generation of an id comes twice") {
    int_arena arena;
    std::mt19937 random{1};
    std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
    std::map<std::uint32_t, int> live;
    for (int step = 0; step < 20'000; ++step) {
        if (live.empty() || random() % 100 < 51) {
            node_id const id = arena.allocate();
            REQUIRE(live.emplace(id.value(), step).second);
            REQUIRE(seen.emplace(id.value(), arena.generation(id)).second);
            arena[id] = step;
        } else {
            auto const it = std::next(live.begin(), static_cast<long>(random() % live.size()));
            REQUIRE(arena[node_id{it->first}] == it->second);
            arena.release(node_id{it->first});
            live.erase(it);
        }
        REQUIRE(arena.size() == live.size());
    }
    CHECK(arena.slots() < 2000);
    for (std::uint32_t i = 0; i < arena.slots(); ++i)
        REQUIRE(arena.live(node_id{i}) == live.contains(i));
}

TEST_CASE("arena: after reserve(n) the next n allocations need no memory, nor do releases") {
    for (std::size_t const held : {0u, 1u, 1000u, 1024u, 3000u})
        for (std::size_t const n : {1u, 2u, 24u, 1023u, 1025u, 5000u}) {
            int_arena arena;
            for (std::size_t i = 0; i < held; ++i)
                (void)arena.allocate();
            for (std::size_t i = 0; i < held / 3; ++i)
                arena.release(node_id{static_cast<std::uint32_t>(i)});
            arena.reserve(n);
            bool asked = false;
            {
                testing::no_memory const none;
                for (std::size_t i = 0; i < n; ++i)
                    (void)arena.allocate();
                for (std::uint32_t i = 0; i < arena.slots(); ++i)
                    if (arena.live(node_id{i})) arena.release(node_id{i});
                asked = none.was_asked();
            }
            CHECK_FALSE(asked);
            CHECK(arena.size() == 0);
        }
}

TEST_CASE("arena: of what is reserved, free slots are a part, and so is what is left of a chunk") {
    int_arena arena;
    for (int i = 0; i < 1000; ++i)
        (void)arena.allocate();
    for (std::uint32_t i = 0; i < 100; ++i)
        arena.release(node_id{i});
    std::size_t const before = arena.bytes();
    arena.reserve(100);
    CHECK(arena.bytes() == before);
    arena.reserve(100 + 24);
    CHECK(arena.bytes() == before);
    arena.reserve(100 + 25);
    CHECK(arena.bytes() >= before + 1024 * sizeof(int));
}

TEST_CASE("arena: a reserve that finds no memory changes nothing") {
    int_arena arena;
    std::vector<node_id> ids;
    for (int i = 0; i < 1500; ++i) {
        ids.push_back(arena.allocate());
        arena[ids.back()] = i;
    }
    arena.release(ids[3]);
    std::size_t failures = 0;
    for (std::size_t allowed = 0; allowed < 4; ++allowed) {
        bool threw = false;
        try {
            testing::no_memory const none{allowed};
            arena.reserve(20'000);
        } catch (std::bad_alloc const&) {
            threw = true;
        }
        failures += threw;
        CHECK(arena.size() == 1499);
        CHECK(arena.slots() == 1500);
    }
    CHECK(failures == 4);
    for (int i = 0; i < 1500; ++i)
        if (i != 3) REQUIRE(arena[ids[static_cast<std::size_t>(i)]] == i);
    CHECK(arena.allocate() == ids[3]);
}

TEST_CASE("arena: the bytes it says it holds are those it has allocated, but for few") {
    for (std::size_t const held : {0u, 1u, 1024u, 1025u, 5000u}) {
        std::size_t const before = testing::bytes_held();
        int_arena arena;
        for (std::size_t i = 0; i < held; ++i)
            (void)arena.allocate();
        for (std::size_t i = 0; i < held / 3; ++i)
            arena.release(node_id{static_cast<std::uint32_t>(i)});
        std::size_t const allocated = testing::bytes_held() - before;
        CAPTURE(held);
        CHECK(arena.bytes() <= allocated);
        CHECK(arena.bytes() + 2 * sizeof(void*) * ((held + 1023) / 1024) >= allocated);
    }
}
