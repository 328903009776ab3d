// A device that has no memory, or no patience, at any one point: the call throws and the cache is
// as it was, or the call succeeds; and what was there is still right.

#include <cache/short_requests.hpp>
#include <gpu/device_access.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/spill.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <vector>

using namespace cache_tests;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;
using device_cache = cache::prefix_cache<device_store, policy::branch_and_tail, policy::lru>;

namespace {

/// One request's memory on the device, of one value throughout.
struct device_request {
    device_request(std::size_t tokens, int value)
        : kv{contracts::byte_vector(256 * tokens, static_cast<std::byte>(value))},
          state{contracts::byte_vector(512, static_cast<std::byte>(value))} {
        layers.push_back({.key = kv.data(), .value = kv.data() + 128 * tokens});
        pieces.push_back(state.data());
    }
    [[nodiscard]] bool holds(int value) const {
        auto const all = [&](contracts::byte_vector const& found) {
            return std::ranges::all_of(found, [&](std::byte b) { return b == std::byte(value); });
        };
        return all(kv.contents()) && all(state.contents());
    }
    gpu_tests::device_engine_memory kv, state;
    std::vector<memory::kv_layer_view> layers;
    std::vector<std::byte*> pieces;
};

/// Calls again and again, each time with one more of the runtime's calls allowed to succeed, until
/// it does. How often it failed.
template <class Call>
std::size_t starve(device_cache const& cache, Call&& call) {
    std::string const before = inventory(cache);
    for (std::size_t allowed = 0;; ++allowed) {
        bool done = false;
        {
            emulated::failing const limit{allowed};
            try {
                call();
                done = true;
            } catch (std::bad_alloc const&) {
            } catch (gpu::cuda_error const&) {
            }
        }
        REQUIRE(cache::audit(cache) == std::vector<std::string>{});
        if (done) return allowed;
        INFO("after " << allowed);
        REQUIRE(inventory(cache) == before);
    }
}

} // namespace

TEST_CASE("wherever the device fails, the cache is as it was, and what it held is right") {
    emulated::restart(7);
    sequence const prompt = numbered(1, 10);
    device_cache cache{device_store{hybrid(), 64_KiB, {.block_tokens = 4_tokens}}};
    device_request engine{prompt.size(), 5};
    gpu::owned_stream const a, b;
    cache::captured_state const captured{9_tokens, {engine.pieces}};
    {
        auto lease = acquire(cache, prompt);
        CHECK(starve(cache, [&] {
                  (void)cache.commit(lease, prompt,
                                     {.kv = {engine.layers}, .checkpoints = {&captured, 1}}, a);
              }) >= 2); // the launch, the record
        lease.used_on(a);
        emulated::failing const limit{0};
        lease.release(); // cannot fail: where no event can be had, it waits
        CHECK(limit.has_failed());
    }
    device_request copy{9, 0};
    {
        auto const lease = acquire(cache, prompt);
        REQUIRE(lease.resume_at() == 9_tokens);
        CHECK(starve(cache, [&] { cache.restore(lease, {copy.layers}, {copy.pieces}, b); }) >= 2);
        CHECK(starve(cache, [&] { (void)cache.reserve(lease, 20_tokens, b); }) >= 2);
    }
    emulated::finish_all();
    CHECK(copy.holds(5));
    cache.clear();
    CHECK(cache.holds().used == 0_B);
}

TEST_CASE("wherever a larger staging buffer fails to come, the cache is as it was") {
    sequence const prompt = numbered(1, 17'000); // whose pages take more than 64 KiB to list
    token_count const last{prompt.size() - 1};
    std::size_t allowed = 0;
    for (bool done = false; !done; ++allowed) {
        emulated::restart(allowed + 1);
        device_cache cache{device_store{hybrid(), 5_MiB, {.block_tokens = 1_tokens}}};
        device_request engine{prompt.size(), 5}, copy{last.value(), 0};
        gpu::owned_stream const on;
        cache::captured_state const captured{last, {engine.pieces}};
        auto lease = acquire(cache, prompt);
        std::string const before = inventory(cache);
        auto const commit = [&] {
            (void)cache.commit(lease, prompt,
                               {.kv = {engine.layers}, .checkpoints = {&captured, 1}}, on);
        };
        try {
            emulated::failing const limit{allowed};
            commit();
            done = true;
        } catch (std::bad_alloc const&) {
        } catch (gpu::cuda_error const&) {
        }
        CAPTURE(allowed);
        REQUIRE(cache::audit(cache) == std::vector<std::string>{});
        if (!done) {
            REQUIRE(inventory(cache) == before);
            commit();
        }
        lease.release();
        auto const next = acquire(cache, prompt);
        REQUIRE(next.resume_at() == last);
        cache.restore(next, {copy.layers}, {copy.pieces}, on);
        emulated::finish_all();
        REQUIRE(copy.holds(5));
    }
    CHECK(allowed == 7); // an event, two buffers, what is sent, the launch, the record; and success
}

TEST_CASE("a copy that no event can stand behind is awaited: nobody else could wait for it") {
    emulated::restart(3);
    std::size_t const row = 64;
    device_store store{footprint{.kv_layers = {{row, 0}}}, 64_KiB, {.block_tokens = 4_tokens}};
    std::vector<page_id> pages(3);
    store.pages().allocate(pages);
    contracts::byte_vector const contents(4 * row, std::byte{9});
    gpu_tests::device_engine_memory engine{contents};
    memory::kv_layer_view const layer{.key = engine.data()};
    gpu::owned_stream const on;

    std::size_t awaited = 0;
    auto const starve_store = [&](page_id written, auto&& copy) {
        copy(); // makes the event that the others use again
        emulated::finish_all();
        std::ranges::fill(store.page(written), std::byte{0});
        for (std::size_t allowed = 0;; ++allowed) {
            std::size_t const launches = emulated::counts().launches;
            emulated::failing const limit{allowed};
            try {
                copy();
                return emulated::finish_all();
            } catch (std::exception const&) {
                if (emulated::counts().launches == launches) continue;
            }
            ++awaited;
            REQUIRE(std::ranges::equal(store.page(written).first(contents.size()), contents));
        }
    };
    starve_store(pages[0], [&] {
        store.save({.kv = {0_tokens, 4_tokens, {pages.data(), 1}, {{&layer, 1}}}}, on);
    });
    starve_store(pages[1], [&] { store.copy_block(pages[0], pages[1], on); });
    CHECK(awaited == 2);
}

TEST_CASE("a store that the device has no memory for leaves nothing behind") {
    std::size_t const before = emulated::live_objects();
    std::size_t failures = 0;
    for (;; ++failures) {
        emulated::failing const limit{failures};
        try {
            device_store const store{hybrid(), 64_KiB};
            break;
        } catch (std::bad_alloc const&) {
        }
        if (emulated::live_objects() != before) FAIL("leaks after " << failures);
    }
    CHECK(failures > 4);
    CHECK(emulated::live_objects() == before);
}

TEST_CASE("a spill room that there is no memory for, or no stream, leaves nothing behind") {
    device_store const store{hybrid(), 64_KiB};
    std::size_t const before = emulated::live_objects();
    std::size_t failures = 0;
    for (;; ++failures) {
        emulated::failing const limit{failures};
        try {
            gpu::spill_room<emulated::emulated_launcher> const room{store, 64_KiB};
            break;
        } catch (std::bad_alloc const&) {
        }
        if (emulated::live_objects() != before) FAIL("leaks after " << failures);
    }
    CHECK(failures == 2);
    CHECK(emulated::live_objects() == before);
}
