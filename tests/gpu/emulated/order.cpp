// What a device store itself owes to streams that meet: pages copied on, spilled and fetched, each
// step on a stream of its own.

#include <contracts/store.hpp>
#include <gpu/busy_store.hpp>
#include <gpu/device_access.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/error.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/spill.hpp>

#include <support/catch.hpp>
#include <support/last_words.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using contracts::byte_vector;
using contracts::random_bytes;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;

namespace {

constexpr std::uint64_t page_bytes = 512;

/// A page is a block of one token, of one layer's key.
device_store small_store(std::uint64_t pages) {
    return device_store{footprint{.kv_layers = {{page_bytes, 0}}},
                        byte_count{pages * page_bytes},
                        {.block_tokens = 1_tokens}};
}

/// Random work on pages, on random streams, and what each page must come to hold.
class page_work {
public:
    explicit page_work(std::uint64_t seed) : random_{seed}, streams_(4) {
        store_.pages().allocate(device_);
        room_.pages().allocate(host_);
    }

    void step() {
        auto const [a, b] = two(device_);
        auto const [c, d] = two(device_);
        auto const [x, y] = two(host_);
        switch (random_() % 6) {
        case 0:
            save(a);
            break;
        case 1:
            load(a);
            break;
        case 2:
            store_.copy_block(a, b, any_stream());
            on_device_[b] = on_device_[a];
            break;
        case 3:
        case 4:
            if (a == c || a == d || b == c || b == d) break;
            last_ = room_.spill(std::vector{a, b}, std::vector{x, y});
            on_host_[x] = on_device_[a];
            on_host_[y] = on_device_[b];
            break;
        default:
            last_ = room_.fetch(std::vector{x}, std::vector{a});
            on_device_[a] = on_host_[x];
        }
    }
    void check() {
        emulated::finish_all();
        for (auto const& [got, wanted] : loaded_)
            REQUIRE(got->contents() == wanted);
        for (auto const& [page, wanted] : on_device_)
            if (!wanted.empty()) REQUIRE(access::read_page(store_, page) == wanted);
        for (auto const& [page, wanted] : on_host_)
            if (!wanted.empty()) REQUIRE(std::ranges::equal(room_.page(page), wanted));
        CHECK(room_.done(last_));
    }
    [[nodiscard]] std::size_t loads() const { return loaded_.size(); }

private:
    using access = contracts::store_access<device_store>;
    using engine = gpu_tests::device_engine_memory;

    std::pair<page_id, page_id> two(std::vector<page_id> const& pages) {
        std::size_t const first = random_() % pages.size();
        return {pages[first], pages[(first + 1 + random_() % (pages.size() - 1)) % pages.size()]};
    }
    gpu::stream_ref any_stream() { return streams_[random_() % streams_.size()]; }

    void save(page_id page) {
        byte_vector const contents =
            random_bytes(page_bytes, static_cast<std::uint32_t>(random_()));
        engine& from = engines_.emplace_back(contents);
        memory::kv_layer_view const layer{.key = from.data()};
        store_.save({.kv = {0_tokens, 1_tokens, {&page, 1}, {{&layer, 1}}}, .checkpoints = {}},
                    any_stream());
        on_device_[page] = contents;
    }
    void load(page_id page) {
        if (on_device_[page].empty()) return;
        engine& to = engines_.emplace_back(byte_vector(page_bytes));
        memory::kv_layer_view const layer{.key = to.data()};
        store_.load({.kv = {0_tokens, 1_tokens, {&page, 1}, {{&layer, 1}}}, .checkpoints = {}},
                    any_stream());
        loaded_.push_back({&to, on_device_[page]});
    }

    std::mt19937_64 random_;
    device_store store_ = small_store(6);
    gpu::spill_room<emulated::emulated_launcher> room_{store_, byte_count{4 * page_bytes}};
    std::vector<gpu::owned_stream> streams_;
    std::vector<page_id> device_ = std::vector<page_id>(6), host_ = std::vector<page_id>(4);
    std::map<page_id, byte_vector> on_device_, on_host_; // empty: nobody knows
    std::list<engine> engines_;
    std::vector<std::pair<engine*, byte_vector>> loaded_;
    gpu::ticket last_{};
};

} // namespace

TEST_CASE("pages saved, loaded, copied, spilled and fetched on random streams") {
    std::size_t loads = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        emulated::restart(seed);
        page_work work{seed};
        for (int i = 0; i < 60; ++i)
            work.step();
        work.check();
        loads += work.loads();
    }
    CHECK(loads > 200);
}

TEST_CASE("one stream waits for nothing, and leaves few events and buffers behind") {
    emulated::restart(1);
    device_store store = small_store(8);
    std::vector<page_id> pages(8);
    store.pages().allocate(pages);
    gpu::owned_stream const on;
    for (unsigned i = 0; i < 500; ++i) {
        store.copy_block(pages[i % 7], pages[7], on);
        if (i % 4 == 3) emulated::finish_all();
    }
    CHECK(emulated::counts().waits == 0);
    CHECK(emulated::counts().host_waits == 0);
    CHECK(store.copies().events() <= 16);
    CHECK(store.copies().staging_slots() <= 8);
    emulated::finish_all();
}

TEST_CASE("staging buffers are as many as copies in flight, whatever the sizes of their tables") {
    constexpr std::size_t many = 9'000; // a list of pairs that no buffer made beforehand holds
    emulated::restart(1);
    device_store store = small_store(2 * many);
    std::vector<page_id> pages(2 * many);
    store.pages().allocate(pages);
    std::span const all{pages};
    gpu::owned_stream const on;
    auto const copy = [&](std::size_t count) {
        store.copies().copy_pages(all.first(count), all.subspan(many, count), 2 * many, on);
    };
    for (int i = 0; i < 12; ++i) {
        copy(i % 3 == 0 ? 2 : many);
        emulated::finish_all();
    }
    CHECK(store.copies().staging_slots() == 5);
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 12; ++i)
            copy(2);
        emulated::finish_all();
    }
    CHECK(store.copies().staging_slots() <= 12);
}

TEST_CASE("looking for a staging buffer asks about a few, however many copies are in flight") {
    emulated::restart(1);
    device_store store = small_store(8);
    std::vector<page_id> pages(8);
    store.pages().allocate(pages);
    std::span const all{pages};
    gpu::owned_stream const on;
    for (int i = 0; i < 300; ++i)
        store.copies().copy_pages(all.first(2), all.subspan(2, 2), 8, on);
    CHECK(store.copies().staging_slots() > 50);
    CHECK(emulated::counts().queries < 300 * 15);
    emulated::finish_all();
}

TEST_CASE("as many staging buffers as there are copies in flight, however long that goes on") {
    emulated::restart(1);
    device_store store = small_store(8);
    std::vector<page_id> pages(8);
    store.pages().allocate(pages);
    std::span const all{pages};
    gpu::owned_stream const on;
    std::vector<cudaEvent_t> behind(64);
    for (cudaEvent_t& event : behind)
        gpu::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    for (std::size_t i = 0; i < 2'000; ++i) {
        cudaEvent_t const event = behind[i % behind.size()];
        gpu::check(cudaEventSynchronize(event), "cudaEventSynchronize");
        store.copies().copy_pages(all.first(2), all.subspan(2, 2), 8, on);
        gpu::check(cudaEventRecord(event, on.get()), "cudaEventRecord");
    }
    CHECK(store.copies().staging_slots() < 100);
    emulated::finish_all();
    for (cudaEvent_t const event : behind)
        (void)cudaEventDestroy(event);
}

namespace {

/// A copy of two pages, whose launch is refused when its tables are sent already.
void fail_to_copy(device_store& store, std::span<page_id const> pages, gpu::stream_ref on) {
    emulated::failing const limit{1};
    CHECK_THROWS_AS(store.copies().copy_pages(pages.first(2), pages.subspan(2, 2), 8, on),
                    gpu::cuda_error);
}

} // namespace

TEST_CASE("copies that fail keep no staging buffer") {
    emulated::restart(1);
    device_store store = small_store(8);
    std::vector<page_id> pages(8);
    store.pages().allocate(pages);
    gpu::owned_stream const on;
    store.copies().copy_pages({&pages[0], 1}, {&pages[1], 1}, 8, on); // there is an event to use
    std::size_t const before = store.copies().staging_slots();
    for (int i = 0; i < 100; ++i)
        fail_to_copy(store, pages, on);
    CHECK(store.copies().staging_slots() == before);
    emulated::finish_all();
}

TEST_CASE("what a failed copy has sent is done before its buffers go, also on a device that is not "
          "the store's and beside a capture") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        emulated::restart(seed);
        gpu::owned_stream const captured, on;
        gpu::check(cudaSetDevice(1), "cudaSetDevice");
        gpu::owned_stream const elsewhere;
        gpu::check(cudaSetDevice(0), "cudaSetDevice");
        {
            device_store store = small_store(8);
            std::vector<page_id> pages(8);
            store.pages().allocate(pages);
            store.copies().copy_pages({&pages[0], 1}, {&pages[1], 1}, 8, on);
            fail_to_copy(store, pages, on);
            CHECK_THROWS_AS(store.copies().copy_pages(std::span{pages}.first(2),
                                                      std::span{pages}.last(2), 8, elsewhere),
                            gpu::cuda_error);
            emulated::capturing const graph{captured.get()};
            { device_store const gone = std::move(store); }
            CHECK_FALSE(graph.spoilt());
        }
        emulated::finish_all(); // which would find writes to freed memory
    }
}

TEST_CASE("a copy takes the multiprocessors it may; one to the host's memory, no more than a few") {
    emulated::restart(1);
    device_store store = small_store(40);
    std::vector<page_id> pages(40), outside(20);
    store.pages().allocate(pages);
    gpu::spill_room<emulated::emulated_launcher> room{store, byte_count{20 * page_bytes}};
    room.pages().allocate(outside);
    auto const half = std::span{pages}.first(20);
    gpu::owned_stream const on;
    auto const within = [&] { // 20 tiles
        store.copies().copy_pages(half, std::span{pages}.last(20), 40, on);
        return emulated::counts().launched;
    };
    auto const stays_on = [](std::uint32_t blocks, gpu::launch_shape shape) {
        return shape.loops && shape.blocks == blocks;
    };
    CHECK(!within().loops); // blocks that come and go, on all there are
    CHECK(within().blocks == 2);
    (void)room.spill(half, outside);
    CHECK(stays_on(8, emulated::counts().launched));
    (void)room.fetch(outside, half);
    CHECK(stays_on(8, emulated::counts().launched));
    store.limit_multiprocessors(5);
    CHECK(stays_on(5, within()));
    (void)room.spill(half, outside);
    CHECK(stays_on(5, emulated::counts().launched));
    store.copy_block(pages[0], pages[1], on);
    CHECK(stays_on(1, emulated::counts().launched));
    store.limit_multiprocessors(emulated::multiprocessors);
    CHECK(!within().loops);
    store.limit_multiprocessors(0);
    CHECK(!within().loops);
    emulated::finish_all();
}

TEST_CASE("callers may have another device current than the store's") {
    emulated::restart(1);
    auto const there = [] { return gpu::device_scope{1}; };
    device_store store = [&] {
        auto const scope = there();
        return small_store(4);
    }();
    gpu::owned_stream const on = [&] {
        auto const scope = there();
        return gpu::owned_stream{};
    }();
    std::vector<page_id> pages(4);
    store.pages().allocate(pages);
    gpu::spill_room<emulated::emulated_launcher> room{store, byte_count{4 * page_bytes}};
    std::vector<page_id> outside(4);
    room.pages().allocate(outside);

    store.admit_writer(pages, on);
    store.written(pages, on);
    store.admit_reader(pages, on);
    store.copy_block(pages[0], pages[1], on);
    store.used(pages, store.mark(on));
    room.spill(pages, outside);
    gpu::ticket const last = room.fetch(outside, pages);
    CHECK(emulated::counts().host_waits == 0);
    emulated::finish_all();
    CHECK(room.done(last));
    int current = -1;
    gpu::check(cudaGetDevice(&current), "cudaGetDevice");
    CHECK(current == 0);
}

TEST_CASE("a mark for which there is no event waits for the default stream of the store's device") {
    emulated::restart(1);
    bool read = false;
    device_store store = [&] {
        gpu::device_scope const there{1};
        return small_store(4);
    }();
    {
        gpu::device_scope const there{1};
        emulated::enqueue(nullptr, [&] { read = true; }); // by a kernel that reads in place
    }
    emulated::failing const limit{0};
    CHECK(store.mark({}).when == 0);
    CHECK(limit.has_failed());
    CHECK(read);
}

TEST_CASE("a request that only copies leaves no marks behind, one that reads in place does") {
    emulated::restart(1);
    cache::prefix_cache<device_store> cache{small_store(8)};
    std::vector<std::int32_t> const prompt{1, 2, 3, 4};
    gpu_tests::device_engine_memory engine{random_bytes(4 * page_bytes, 1)};
    memory::kv_layer_view const layer{.key = engine.data()};
    gpu::owned_stream const on, other;
    auto const records_of_release = [&](auto&& use) {
        auto lease = cache.open({}, prompt);
        use(lease);
        std::size_t const before = emulated::counts().records;
        lease.release();
        return emulated::counts().records - before;
    };
    CHECK(records_of_release([&](auto const& lease) {
              CHECK(cache.commit(lease, prompt, {.kv = {{&layer, 1}}}, on).complete());
          }) == 0);
    CHECK(records_of_release([&](auto const& lease) {
              cache.restore(lease, {{&layer, 1}}, {}, other);
          }) == 0);
    CHECK(records_of_release([&](auto const& lease) { lease.used_on(other); }) == 1);
    CHECK(records_of_release([&](auto const& lease) {
              CHECK(cache.reserve(lease, 5_tokens, on) == 5_tokens);
          }) == 1);
    emulated::finish_all();
}

TEST_CASE("streams that come and go leave no trace") {
    emulated::restart(1);
    device_store store = small_store(8);
    std::vector<page_id> pages(8);
    store.pages().allocate(pages);
    for (unsigned i = 0; i < 300; ++i) {
        gpu::owned_stream const on;
        store.copy_block(pages[i % 8], pages[(i + 3) % 8], on);
        if (i % 4 == 3) emulated::finish_all();
    }
    CHECK(store.copies().events() <= 32);
    emulated::finish_all();
}

TEST_CASE("a store, or a room, that dies with copies in flight waits for them first") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        emulated::restart(seed);
        std::vector<gpu::owned_stream> const streams(3);
        byte_vector const contents = random_bytes(page_bytes, 1);
        gpu_tests::device_engine_memory from{contents}, to{byte_vector(page_bytes)};
        auto const transfer = [](page_id const& page, memory::kv_layer_view const& layer) {
            return memory::transfer{.kv = {0_tokens, 1_tokens, {&page, 1}, {{&layer, 1}}}};
        };
        {
            device_store store = small_store(8);
            std::vector<page_id> pages(8), outside(4);
            store.pages().allocate(pages);
            gpu::spill_room<emulated::emulated_launcher> room{store, byte_count{8 * page_bytes}};
            room.pages().allocate(outside);
            memory::kv_layer_view const source{.key = from.data()}, target{.key = to.data()};
            store.save(transfer(pages[0], source), streams[0]);
            room.spill(std::span{pages}.first(4), outside);
            room.fetch(outside, std::span{pages}.last(4));
            store.load(transfer(pages[4], target), streams[1]);
            (void)store.mark(streams[2]);
        }
        CHECK(to.contents() == contents);
        emulated::finish_all();
    }
}

TEST_CASE("a store that another one takes the place of waits for its copies first") {
    emulated::restart(1);
    gpu_tests::memory_of<gpu::device_resource> const lent{gpu::device_resource{}, 2 * page_bytes};
    gpu::owned_stream const on;
    byte_vector const contents = random_bytes(page_bytes, 1);
    gpu_tests::device_engine_memory from{contents}, to{byte_vector(page_bytes)};
    memory::kv_layer_view const source{.key = from.data()}, target{.key = to.data()};
    device_store store = small_store(2);
    page_id page{};
    store.pages().allocate({&page, 1});
    store.save({.kv = {0_tokens, 1_tokens, {&page, 1}, {{&source, 1}}}}, on);
    store.load({.kv = {0_tokens, 1_tokens, {&page, 1}, {{&target, 1}}}}, on);
    store = device_store{footprint{.kv_layers = {{page_bytes, 0}}},
                         std::span{lent.data(), lent.bytes()},
                         {.block_tokens = 1_tokens}};
    CHECK(to.contents() == contents);
    CHECK(store.page(page_id{1}).data() == lent.data() + page_bytes);
}

TEST_CASE("calls on a stream that is being captured are refused, and change nothing") {
    emulated::restart(1);
    device_store store = small_store(8);
    std::vector<page_id> pages(8);
    store.pages().allocate(pages);
    byte_vector const contents = random_bytes(page_bytes, 1);
    gpu_tests::device_engine_memory engine{contents};
    memory::kv_layer_view const layer{.key = engine.data()};
    memory::transfer const one{.kv = {0_tokens, 1_tokens, {pages.data(), 1}, {{&layer, 1}}}};
    gpu::owned_stream const on;
    store.save(one, on);
    auto const before = emulated::counts();
    {
        emulated::capturing const graph{on.get()};
        CHECK_THROWS_AS(store.save(one, on), invalid_argument);
        CHECK_THROWS_AS(store.load(one, on), invalid_argument);
        CHECK_THROWS_AS(store.copy_block(pages[0], pages[1], on), invalid_argument);
        CHECK_THROWS_AS(store.admit_reader(pages, on), invalid_argument);
        CHECK_THROWS_AS(store.admit_writer(pages, on), invalid_argument);
        CHECK_THROWS_AS(store.written(pages, on), invalid_argument);
        CHECK_FALSE(graph.spoilt());
    }
    CHECK(emulated::counts().launches == before.launches);
    CHECK(emulated::counts().records == before.records);
    emulated::finish_all();
    CHECK(std::ranges::equal(store.page(pages[0]), contents));
}

TEST_CASE("a mark on a stream that is being captured ends the program") {
    std::string const words = support::last_words([] {
        device_store store = small_store(8);
        gpu::owned_stream const on;
        emulated::capturing const graph{on.get()};
        (void)store.mark(on);
    });
    CHECK(words.find("while a stream that works on them was being captured") != std::string::npos);
}

TEST_CASE("stores work beside a capture, from first to last, and do not spoil it") {
    emulated::restart(1);
    gpu::owned_stream const other;
    gpu::owned_stream const on;
    emulated::capturing const graph{other.get()};
    {
        device_store store = small_store(8);
        CHECK(gpu_tests::keep_busy(store, on) > 4);
    }
    CHECK_FALSE(graph.spoilt());
    cudaEvent_t event = nullptr;
    gpu::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    CHECK(cudaEventQuery(event) == cudaErrorStreamCaptureUnsupported); // calls of others still do
    CHECK(graph.spoilt());
    (void)cudaGetLastError();
    (void)cudaEventDestroy(event);
}

TEST_CASE("an error that the caller has yet to find stays; what the store asks leaves none") {
    emulated::restart(1);
    device_store store = small_store(8);
    std::vector<page_id> pages(8);
    store.pages().allocate(pages);
    gpu::owned_stream const on;
    gpu::ticket last{};
    auto const unfinished = [&] {
        store.copy_block(pages[0], pages[1], on);
        last = store.mark(on);
        return !store.copies().done(last);
    };
    CHECK(unfinished());
    CHECK(cudaPeekAtLastError() == cudaSuccess);
    CHECK(cudaSetDevice(emulated::devices) == cudaErrorInvalidDevice);
    CHECK(unfinished());
    CHECK(cudaGetLastError() == cudaErrorInvalidDevice);
    emulated::finish_all();
    CHECK(store.copies().done(last));
}

TEST_CASE("everything is given back") {
    (void)gpu_tests::own_stream(); // there from the first use on, and counted
    std::size_t const before = emulated::live_objects();
    {
        emulated::restart(1);
        page_work work{1};
        for (int i = 0; i < 60; ++i)
            work.step();
        CHECK(emulated::live_objects() > before + 10);
        emulated::finish_all();
    }
    CHECK(emulated::live_objects() == before);
}
