#include <marconi/core/error.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_resource.hpp>
#include <marconi/memory/host_store.hpp>

#include <support/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <utility>

using namespace marconi;
using namespace marconi::literals;
using memory::arena_memory;
using memory::basic_host_store;

namespace {

/// What a resource was asked for, and what it has not had back.
struct account {
    std::map<void*, std::size_t> lent;
    std::size_t allocations = 0;
    std::size_t wrong_returns = 0;
    bool empty = false;
};

/// Counts what it lends; refuses when its account is empty.
struct counting_resource {
    account* books;

    [[nodiscard]] void* allocate(std::size_t bytes) {
        if (books->empty) throw std::bad_alloc{};
        void* memory = ::operator new(bytes);
        books->lent[memory] = bytes;
        ++books->allocations;
        return memory;
    }
    void deallocate(void* memory, std::size_t bytes) noexcept {
        auto const it = books->lent.find(memory);
        books->wrong_returns += it == books->lent.end() || it->second != bytes;
        books->lent.erase(memory);
        ::operator delete(memory);
    }
};
static_assert(memory::resource<counting_resource>);

using counted_store = basic_host_store<counting_resource>;

footprint model() { return {.kv_layers = {{8, 8}}}; }

} // namespace

TEST_CASE("host_store: one allocation, of as many whole pages as fit, given back at the end") {
    account books;
    {
        counted_store const store{model(), 1000_B, {.block_tokens = 16_tokens}, {&books}};
        CHECK(store.pages().capacity() == 3);
        CHECK(books.allocations == 1);
        REQUIRE(books.lent.size() == 1);
        CHECK(books.lent.begin()->second == 768);
        CHECK(store.page(page_id{2}).data() - store.page(page_id{0}).data() == 512);
        CHECK(store.page(page_id{1}).size() == 256);
        CHECK(static_cast<void*>(store.page(page_id{0}).data()) == books.lent.begin()->first);
    }
    CHECK(books.lent.empty());
    CHECK(books.wrong_returns == 0);
}

TEST_CASE(
    "host_store: a resource that has nothing makes the constructor throw, and leaks nothing") {
    account books{.lent = {}, .empty = true};
    CHECK_THROWS_AS((counted_store{model(), 1_MiB, {}, {&books}}), std::bad_alloc);
    CHECK(books.lent.empty());
}

TEST_CASE("host_store: options that are refused cost no allocation") {
    account books;
    CHECK_THROWS_AS((counted_store{model(), 255_B, {}, {&books}}), invalid_argument);
    CHECK_THROWS_WITH((counted_store{model(), 255_B, {}, {&books}}),
                      "capacity in bytes is 255; expected at least one page of this model, 256");
    CHECK_THROWS_AS((counted_store{model(), 1_MiB, {.block_tokens = 0_tokens}, {&books}}),
                    invalid_argument);
    CHECK_THROWS_AS((counted_store{{}, 1_MiB, {}, {&books}}), invalid_argument);
    CHECK(books.allocations == 0);
}

TEST_CASE("host_store: moving lends nothing and gives back once") {
    account books, others;
    {
        counted_store a{model(), 1_KiB, {}, {&books}};
        std::byte* const place = a.page(page_id{1}).data();
        counted_store b{std::move(a)};
        CHECK(b.page(page_id{1}).data() == place);
        counted_store c{model(), 2_KiB, {}, {&others}};
        c = std::move(b);
        CHECK(c.page(page_id{1}).data() == place);
        CHECK(c.pages().capacity() == 4);
        CHECK(books.allocations == 1);
        CHECK(others.allocations == 1);
        CHECK(books.lent.size() == 1);
    }
    CHECK(books.lent.empty());
    CHECK(others.lent.empty());
    CHECK(books.wrong_returns + others.wrong_returns == 0);
}

TEST_CASE("host_resource: memory is aligned to 4 KiB") {
    arena_memory<memory::host_resource> const arena{{}, 12'345};
    CHECK(reinterpret_cast<std::uintptr_t>(arena.data()) % 4096 == 0);
    CHECK(arena.bytes() == 12'345);
}
