#include <marconi/cache/checkpoint_table.hpp>
#include <marconi/core/types.hpp>

#include <support/catch.hpp>
#include <support/no_memory.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

using namespace marconi;
using namespace marconi::cache;

namespace {

/// Ids that tell which checkpoint they are of.
std::vector<page_id> pages_of(std::uint32_t checkpoint, std::size_t count) {
    std::vector<page_id> pages;
    for (std::uint32_t i = 0; i < count; ++i)
        pages.push_back(page_id{checkpoint * 1000 + i});
    return pages;
}

bool holds(checkpoint_table const& table, checkpoint_id id, std::uint32_t position,
           std::vector<page_id> const& pages) {
    return table[id].position == position && std::ranges::equal(table[id].pages(), pages);
}

} // namespace

TEST_CASE("checkpoints keep their position and pages while others come and go") {
    // Many slots a chunk, one, and one that is larger than chunks are otherwise.
    for (std::size_t const most : {1u, 26u, 10'000u, 20'000u}) {
        CAPTURE(most);
        checkpoint_table table{most};
        std::vector<checkpoint_id> ids;
        auto const add = [&](std::uint32_t number) {
            table.reserve(1);
            ids.push_back(table.add(number, pages_of(number, number % (most + 1))));
        };
        for (std::uint32_t i = 0; i < 100; ++i)
            add(i);
        for (std::uint32_t i = 0; i < 100; i += 3)
            table.remove(ids[i]);
        CHECK(table.size() == 66);
        for (std::uint32_t i = 100; i < 150; ++i)
            add(i);
        CHECK(table.size() == 116);
        for (std::uint32_t i = 0; i < 150; ++i)
            if (i >= 100 || i % 3 != 0)
                REQUIRE(holds(table, ids[i], i, pages_of(i, i % (most + 1))));
    }
}

TEST_CASE("after reserve(n) so many checkpoints need no memory, and a slot is used again") {
    checkpoint_table table{26};
    std::vector<page_id> const pages = pages_of(7, 26);
    table.reserve(1000);
    std::size_t const before = testing::allocations();
    std::vector<checkpoint_id> ids;
    ids.reserve(1000);
    for (std::uint32_t i = 0; i < 1000; ++i)
        ids.push_back(table.add(i, pages));
    for (checkpoint_id const id : ids)
        table.remove(id);
    table.reserve(1000);
    for (std::uint32_t i = 0; i < 1000; ++i)
        (void)table.add(i, pages);
    CHECK(testing::allocations() - before == 1); // of `ids`
}

TEST_CASE("a table of checkpoints that finds no memory is as it was") {
    for (std::size_t const allowed : {0u, 1u, 2u}) {
        checkpoint_table table{26};
        table.reserve(1);
        checkpoint_id const id = table.add(3, pages_of(1, 26));
        bool failed = false;
        {
            testing::no_memory const none{allowed, 1};
            try {
                table.reserve(100'000);
            } catch (std::bad_alloc const&) {
                failed = true;
            }
        }
        CHECK(failed);
        CHECK(table.size() == 1);
        CHECK(holds(table, id, 3, pages_of(1, 26)));
        table.reserve(100'000);
        CHECK(holds(table, id, 3, pages_of(1, 26)));
    }
}

TEST_CASE("the bytes of a table of checkpoints are what it allocated") {
    for (std::size_t const most : {1u, 26u, 20'000u}) {
        std::size_t const before = testing::bytes_held();
        checkpoint_table table{most};
        for (std::uint32_t i = 0; i < 3000; ++i) {
            table.reserve(1);
            (void)table.add(i, pages_of(i, 1));
        }
        std::size_t const chunk_pointers = testing::bytes_held() - before - table.bytes();
        std::size_t const chunks = most == 20'000 ? 4096 : 128; // at most
        CHECK(chunk_pointers <= chunks * sizeof(void*));
    }
}

TEST_CASE(
    "a table of checkpoints takes a slot for each, and at most two ids to list it when free") {
    constexpr std::size_t most = 20'000; // so large that each slot is allocated alone
    std::size_t const slot = sizeof(checkpoint_record) + most * sizeof(page_id);
    checkpoint_table table{most};
    CHECK(table.bytes() == 0);
    std::size_t room = 0, grown = 0; // of the list, in slots
    for (std::size_t n = 1; n <= 20; ++n) {
        table.reserve(n);
        std::size_t const listed = (table.bytes() - n * slot) / sizeof(checkpoint_id);
        CHECK(listed >= n);
        CHECK(listed <= 2 * n);
        if (room >= n) CHECK(listed == room);
        grown += listed != room;
        room = listed;
    }
    CHECK(grown == 4);
}
