// Arenas that an engine lends to a device store: in a device's memory, or on the host.

#include <gpu/device_access.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/core/error.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/pinned_resource.hpp>

#include <support/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;
template <class Resource>
using memory_of = gpu_tests::memory_of<Resource>;

namespace {

/// Pages of 512 bytes.
device_store lend(std::span<std::byte> arena, bool zero_freed_pages = false) {
    return device_store{footprint{.kv_layers = {{512, 0}}},
                        arena,
                        {.block_tokens = 1_tokens, .zero_freed_pages = zero_freed_pages}};
}

template <class Resource>
std::span<std::byte> all(memory_of<Resource> const& memory) {
    return {memory.data(), memory.bytes()};
}

/// What is said to who lends it, if it is refused.
std::string why_not(std::span<std::byte> arena) {
    try {
        (void)lend(arena);
    } catch (invalid_argument const& refusal) {
        return refusal.what();
    }
    return {};
}

/// On how many multiprocessors a copy of 40 pages stays; 0 if its blocks come and go on all.
std::uint32_t multiprocessors_taken(device_store& store, std::span<page_id const> pages) {
    gpu::owned_stream const on;
    store.copies().copy_pages(pages.first(40), pages.last(40), 80, on);
    emulated::finish_all();
    gpu::launch_shape const shape = emulated::counts().launched;
    return shape.loops ? shape.blocks : 0;
}

} // namespace

TEST_CASE("an arena of an engine's own is used as it is") {
    emulated::restart(1);
    memory_of<gpu::device_resource> const mine{gpu::device_resource{}, 2048};
    device_store const store = lend(all(mine));
    CHECK(store.pages().capacity() == 4);
    CHECK(store.page(page_id{1}).data() == mine.data() + 512);
}

TEST_CASE("an arena that is too small, not aligned, null, or to be zeroed is refused") {
    memory_of<gpu::device_resource> const mine{gpu::device_resource{}, 2048};
    CHECK_THROWS_AS(lend(all(mine).first(511)), invalid_argument);
    CHECK_THROWS_AS(lend(all(mine), true), invalid_argument);
    CHECK(why_not(all(mine).subspan(16)).find("a multiple of 256") != std::string::npos);
    CHECK(why_not({static_cast<std::byte*>(nullptr), 2048}).find("not null") != std::string::npos);
}

TEST_CASE("memory that a device cannot reach is refused, however little of it") {
    emulated::restart(1);
    alignas(256) static std::array<std::byte, 2048> ordinary;
    CHECK(why_not(ordinary) == "memory of the arena is of the host, and not pinned; expected of "
                               "device 0, the current one, or pinned on the host");
    memory_of<gpu::device_resource> const here{gpu::device_resource{0}, 2048};
    memory_of<gpu::device_resource> const there{gpu::device_resource{1}, 2048};
    CHECK(why_not(all(here)).empty());
    CHECK(why_not(all(there)).find("is of device 1; expected of device 0") != std::string::npos);
    std::span const too_long{here.data(), here.bytes() + 1};
    CHECK(why_not(too_long).find("not pinned") != std::string::npos);
    gpu::device_scope const scope{1};
    CHECK(why_not(all(there)).empty());
    emulated::reaching_all const coherent;
    CHECK(why_not(ordinary).empty());
    CHECK(why_not({there.data(), there.bytes() + 1}).find("partly on the host") !=
          std::string::npos);
}

TEST_CASE("a store whose arena is on the host takes few multiprocessors unless told otherwise") {
    emulated::restart(1);
    std::size_t const bytes = 80 * 512;
    memory_of<gpu::pinned_resource> const pinned{gpu::pinned_resource{}, bytes};
    memory_of<gpu::device_resource> const mine{gpu::device_resource{}, bytes};
    device_store on_device = lend(all(mine)), on_host = lend(all(pinned));
    std::vector<page_id> pages(80);
    on_device.pages().allocate(pages);
    on_host.pages().allocate(pages);
    CHECK(multiprocessors_taken(on_device, pages) == 0);
    CHECK(multiprocessors_taken(on_host, pages) == 8);
    on_host.limit_multiprocessors(3);
    CHECK(multiprocessors_taken(on_host, pages) == 3);
    on_host.limit_multiprocessors(10);
    CHECK(multiprocessors_taken(on_host, pages) == 10);
    on_host.limit_multiprocessors(emulated::multiprocessors);
    CHECK(multiprocessors_taken(on_host, pages) == 0);
    on_host.limit_multiprocessors(0);
    CHECK(multiprocessors_taken(on_host, pages) == 8);
}
