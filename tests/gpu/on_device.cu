// What needs a device. On a machine without one every case says so, and does nothing.

#include <contracts/store.hpp>
#include <gpu/busy_store.hpp>
#include <gpu/device_access.hpp>
#include <gpu/device_history.hpp>

#include <marconi/core/units.hpp>
#include <marconi/gpu.cuh>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <new>
#include <set>
#include <span>
#include <thread>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

namespace {

bool device_at_hand() {
    int count = 0;
    cudaError_t const code = cudaGetDeviceCount(&count);
    if (code == cudaSuccess && count > 0) return true;
    (void)cudaGetLastError();
    std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(code));
    return false;
}

/// How long the histories run, in seconds: MARCONI_GPU_TEST_SECONDS, 60 if it is not set.
std::chrono::seconds history_time() {
    char const* const given = std::getenv("MARCONI_GPU_TEST_SECONDS");
    return std::chrono::seconds{given ? std::atoi(given) : 60};
}

} // namespace

TEST_CASE("a device store keeps the stores' contract") {
    if (!device_at_hand()) return;
    contracts::store_suite<gpu::device_store>();
}

TEST_CASE("four streams commit, match, restore and evict at random: every byte is right") {
    if (!device_at_hand()) return;
    auto const end = std::chrono::steady_clock::now() + history_time();
    std::size_t checked = 0;
    std::uint64_t seed = 1;
    do
        for (auto const& model :
             {support::hybrid_model(), support::attention_model(), support::recurrent_model()})
            for (std::uint64_t const block : {1u, 4u, 17u}) {
                CAPTURE(model.model, block, seed);
                memory::page_options const cut{token_count{block}, 256_B};
                byte_count const page = memory::page_layout{model, cut}.page_bytes();
                cache::prefix_cache<gpu::device_store> cache{
                    gpu::device_store{model, page * (20 + seed % 5 * 30), cut}};
                gpu_tests::fill_arena(cache.store());
                gpu_tests::device_history story{cache, seed++, 4};
                for (int i = 0; i < 400; ++i)
                    story.step();
                story.finish();
                CHECK(story.wrong() == 0);
                checked += story.checked();
            }
    while (std::chrono::steady_clock::now() < end);
    CHECK(checked > 500);
}

TEST_CASE("a cache that learns keeps its pages on a device") {
    if (!device_at_hand()) return;
    gpu_tests::learn_in_four_streams<gpu::device_store>(
        [](gpu::device_store const& store) { gpu_tests::fill_arena(store); });
}

TEST_CASE("an arena that the engine hands in") {
    if (!device_at_hand()) return;
    gpu_tests::memory_of<gpu::device_resource> const mine{gpu::device_resource{}, 1 << 20};
    gpu::device_store store{support::hybrid_model(), std::span{mine.data(), mine.bytes()}};
    std::vector<page_id> pages(3);
    store.pages().allocate(pages);
    CHECK(store.page(pages[2]).data() == mine.data() + 2 * store.layout().page_bytes().value());
    std::span const crooked{mine.data() + 16, 4096};
    CHECK_THROWS_AS((gpu::device_store{support::hybrid_model(), crooked}), invalid_argument);
}

TEST_CASE("a tier on pinned host memory keeps every byte, too") {
    if (!device_at_hand()) return;
    footprint const model = support::hybrid_model();
    memory::page_options const cut{4_tokens, 256_B};
    std::size_t const bytes = 50 * memory::page_layout{model, cut}.page_bytes().value();
    gpu_tests::memory_of<gpu::pinned_resource> const pinned{gpu::pinned_resource{}, bytes};
    gpu::device_store store{model, std::span{pinned.data(), bytes}, cut};
    gpu_tests::fill_arena(store);
    cache::prefix_cache<gpu::device_store> cache{std::move(store)};
    gpu_tests::device_history story{cache, 1, 4};
    for (int i = 0; i < 400; ++i)
        story.step();
    story.finish();
    CHECK(story.wrong() == 0);
    CHECK(story.checked() > 20);
}

// ---- what gpu/ takes for granted of CUDA, where its documentation says little ----

TEST_CASE("each stream has a name, and each thread's default stream one of its own") {
    if (!device_at_hand()) return;
    using gpu::cuda_events;
    auto const of_thread = [] { return cuda_events::name(cudaStreamPerThread); };
    std::set<std::uint64_t> names{cuda_events::name({}), of_thread()};
    for (int i = 0; i < 2; ++i)
        names.insert(std::async(std::launch::async, of_thread).get());
    for (int i = 0; i < 3; ++i)
        names.insert(cuda_events::name(gpu::owned_stream{})); // gone when the next one comes
    CHECK(names.size() == 7);
    CHECK(names.contains(of_thread()));
}

TEST_CASE("a store's whole life beside a capture in another thread does not spoil it") {
    if (!device_at_hand()) return;
    gpu::owned_stream const captured, on;
    gpu::check(cudaStreamBeginCapture(captured.get(), cudaStreamCaptureModeGlobal),
               "cudaStreamBeginCapture");
    auto const nothing = [](void*) {};
    CHECK(cudaLaunchHostFunc(captured.get(), nothing, nullptr) == cudaSuccess);
    auto const life = [&] {
        gpu::device_store store{support::hybrid_model(), 1_MiB};
        {
            gpu::beside_captures const aside;
            gpu_tests::fill_arena(store);
        }
        (void)gpu_tests::keep_busy(store, on);
    };
    CHECK_NOTHROW(std::async(std::launch::async, life).get());
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(captured.get(), &graph) == cudaSuccess);
    REQUIRE(graph != nullptr);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}

// memcheck reports calls that fail, and those of the last two cases have to.
TEST_CASE("asking about an event that is not done leaves an error of before alone", "[refused]") {
    if (!device_at_hand()) return;
    static std::atomic<bool> may_end{false};
    auto const wait = [](void*) {
        while (!may_end)
            std::this_thread::yield();
    };
    gpu::owned_stream const on;
    cudaEvent_t const behind = gpu::cuda_events::create();
    CHECK(cudaLaunchHostFunc(on.get(), wait, nullptr) == cudaSuccess);
    CHECK(cudaEventRecord(behind, on.get()) == cudaSuccess);
    CHECK(cudaSetDevice(1 << 20) == cudaErrorInvalidDevice);
    CHECK_FALSE(gpu::cuda_events::done(behind));
    CHECK(cudaGetLastError() == cudaErrorInvalidDevice);
    may_end = true;
    on.synchronize();
    CHECK(gpu::cuda_events::done(behind));
    CHECK(cudaGetLastError() == cudaSuccess);
    gpu::cuda_events::destroy(behind);
}

TEST_CASE("an arena that no device has", "[refused]") {
    if (!device_at_hand()) return;
    CHECK_THROWS_AS((gpu::device_store{support::hybrid_model(),
                                       byte_count{1ull << 43},
                                       {.block_tokens = 256_tokens}}),
                    std::bad_alloc);
}
