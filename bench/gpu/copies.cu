// What copying a request between pages and an engine's memory takes on a device, beside what else
// could copy the same bytes, in the same run:
//
//   marconi    the library's kernels, one launch
//   one_piece  cudaMemcpyAsync of as many bytes in one piece: the ceiling
//   loop       cudaMemcpyAsync, one for each segment
//   batch      cudaMemcpyBatchAsync over the segments
//   cub        cub::DeviceMemcpy::Batched over the segments, its lists on the device beforehand
//
// Times are the device's, between two events. GB/s counts bytes read and bytes written; host_us is
// the median of what enqueueing took the host. What the library restored is compared, byte for
// byte, with what the loop copies.

#include <gpu/request_copies.hpp>

#include <marconi/gpu.cuh>
#include <marconi/model/presets.hpp>

#include <benchmark/benchmark.h>
#include <cub/device/device_memcpy.cuh>
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <list>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

using namespace marconi;
using namespace gpu_bench;
using gpu::check;

namespace {

enum class way { restore, commit };
enum class method { marconi, one_piece, loop, batch, cub };

char const* name(method m) {
    constexpr char const* names[] = {"marconi", "one_piece", "loop", "batch", "cub"};
    return names[static_cast<int>(m)];
}

__global__ void fill(std::uint32_t* words, std::size_t count, std::uint32_t seed) {
    std::size_t const step = std::size_t{gridDim.x} * blockDim.x;
    for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step)
        words[i] = static_cast<std::uint32_t>((i + seed) * 2654435761u);
}
__global__ void count_differences(std::byte const* a, std::byte const* b, std::size_t count,
                                  unsigned long long* differences) {
    std::size_t const step = std::size_t{gridDim.x} * blockDim.x;
    unsigned long long mine = 0;
    for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step)
        mine += a[i] != b[i];
    if (mine != 0) atomicAdd(differences, mine);
}

/// Times what is enqueued between start and stop.
class stopwatch {
public:
    stopwatch() {
        check(cudaEventCreate(&start_), "cudaEventCreate");
        check(cudaEventCreate(&stop_), "cudaEventCreate");
    }
    stopwatch(stopwatch const&) = delete;
    stopwatch& operator=(stopwatch const&) = delete;
    ~stopwatch() {
        (void)cudaEventDestroy(start_);
        (void)cudaEventDestroy(stop_);
    }
    template <class Enqueue>
    double device_seconds(gpu::stream_ref on, Enqueue&& enqueue) {
        check(cudaEventRecord(start_, on.get()), "cudaEventRecord");
        auto const from = std::chrono::steady_clock::now();
        enqueue();
        host_us_.push_back(
            std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - from)
                .count());
        check(cudaEventRecord(stop_, on.get()), "cudaEventRecord");
        check(cudaEventSynchronize(stop_), "cudaEventSynchronize");
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
        return milliseconds * 1e-3;
    }
    [[nodiscard]] double median_host_us() {
        if (host_us_.empty()) return 0;
        auto const middle = host_us_.begin() + static_cast<std::ptrdiff_t>(host_us_.size() / 2);
        std::nth_element(host_us_.begin(), middle, host_us_.end());
        return *middle;
    }

private:
    cudaEvent_t start_ = nullptr, stop_ = nullptr;
    std::vector<double> host_us_;
};

/// A store with some requests of one shape in it, enough for copies to miss the caches.
class workload {
public:
    workload(std::string const& model, std::uint64_t tokens, std::uint64_t block)
        : store_{make_store(model, tokens, block, rotations_)} {
        token_count const length{tokens};
        std::vector<page_id> pages(store_.pages().capacity());
        store_.pages().allocate(pages);
        std::shuffle(pages.begin(), pages.end(), std::mt19937{1}); // as after long use
        std::uint64_t const each = request_copy::page_count(store_.layout(), length);
        for (std::uint64_t i = 0; i < rotations_; ++i)
            requests_.emplace_back(store_.layout(), length,
                                   std::span{pages}.subspan(i * each, each));
        for (request_copy const& r : requests_)
            segments_.push_back(r.segments(store_.layout(), arena(), r.engine));
        bytes_ =
            std::accumulate(segments_[0].bytes.begin(), segments_[0].bytes.end(), std::size_t{0});
        fill<<<1024, 256>>>(reinterpret_cast<std::uint32_t*>(arena()),
                            store_.pages().capacity() * store_.layout().page_bytes().value() / 4,
                            7);
        check(cudaDeviceSynchronize(), "fill");
    }

    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] std::size_t segments() const { return segments_[0].bytes.size(); }
    [[nodiscard]] gpu::device_store& store() { return store_; }

    void copy(method how, way direction, gpu::stream_ref on) {
        std::size_t const i = turn_++ % requests_.size();
        request_copy const& r = *std::next(requests_.begin(), static_cast<std::ptrdiff_t>(i));
        bool const restores = direction == way::restore;
        segment_list& list = segments_[i];
        auto& from = restores ? list.in_pages : list.in_engine;
        auto& to = restores ? list.in_engine : list.in_pages;
        switch (how) {
        case method::marconi:
            restores ? store_.load(r.work(), on) : store_.save(r.work(), on);
            break;
        case method::one_piece:
            one_piece(i, on);
            break;
        case method::loop:
            loop(from, to, list.bytes, on);
            break;
        case method::batch:
            batch(from, to, list.bytes, on);
            break;
        case method::cub:
            cub_batched(i, restores, on);
            break;
        }
    }

    /// Bytes in which the library's restore differs from a copy of each segment.
    [[nodiscard]] unsigned long long differences() {
        request_copy const& r = requests_.front();
        engine_request const other{store_.layout(), r.tokens};
        gpu::owned_stream const on;
        check(cudaMemsetAsync(r.engine.data(), 0, r.engine.bytes(), on.get()), "cudaMemsetAsync");
        check(cudaMemsetAsync(other.data(), 0, other.bytes(), on.get()), "cudaMemsetAsync");
        segment_list list = r.segments(store_.layout(), arena(), other);
        loop(list.in_pages, list.in_engine, list.bytes, on);
        store_.load(r.work(), on);
        device_memory const count{gpu::device_resource{}, sizeof(unsigned long long)};
        auto* const differ = reinterpret_cast<unsigned long long*>(count.data());
        check(cudaMemsetAsync(differ, 0, sizeof(*differ), on.get()), "cudaMemsetAsync");
        count_differences<<<1024, 256, 0, on.get()>>>(r.engine.data(), other.data(), other.bytes(),
                                                      differ);
        unsigned long long found = 0;
        check(cudaMemcpyAsync(&found, differ, sizeof(found), cudaMemcpyDeviceToHost, on.get()),
              "cudaMemcpyAsync");
        on.synchronize();
        return found;
    }

private:
    static gpu::device_store make_store(std::string const& model, std::uint64_t tokens,
                                        std::uint64_t block, std::uint64_t& rotations) {
        footprint const shape = model::find_preset(model).footprint();
        memory::page_options const cut{.block_tokens = token_count{block}};
        memory::page_layout const layout{shape, cut};
        std::uint64_t const pages = request_copy::page_count(layout, token_count{tokens});
        std::uint64_t const bytes = pages * layout.page_bytes().value();
        int cache = 0;
        check(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, 0), "cudaDeviceGetAttribute");
        rotations = 1 + 4 * static_cast<std::uint64_t>(cache) / bytes;
        return gpu::device_store{shape, layout.page_bytes() * (pages * rotations), cut};
    }
    [[nodiscard]] std::byte* arena() const { return store_.page(page_id{0}).data(); }

    /// Half of a buffer to its other half, at places that rotate.
    void one_piece(std::size_t i, gpu::stream_ref on) {
        if (!plain_)
            plain_ = std::make_unique<device_memory>(gpu::device_resource{},
                                                     2 * requests_.size() * bytes_);
        std::byte* const from = plain_->data() + 2 * i * bytes_;
        check(cudaMemcpyAsync(from + bytes_, from, bytes_, cudaMemcpyDeviceToDevice, on.get()),
              "cudaMemcpyAsync");
    }
    static void loop(std::vector<std::byte*> const& from, std::vector<std::byte*> const& to,
                     std::vector<std::size_t> const& bytes, gpu::stream_ref on) {
        for (std::size_t s = 0; s < bytes.size(); ++s)
            check(cudaMemcpyAsync(to[s], from[s], bytes[s], cudaMemcpyDeviceToDevice, on.get()),
                  "cudaMemcpyAsync");
    }
    static void batch(std::vector<std::byte*>& from, std::vector<std::byte*>& to,
                      std::vector<std::size_t>& bytes, gpu::stream_ref on) {
#if CUDART_VERSION >= 13000
        cudaMemcpyAttributes all{};
        all.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        std::size_t first = 0;
        check(cudaMemcpyBatchAsync(reinterpret_cast<void* const*>(to.data()),
                                   reinterpret_cast<void const* const*>(from.data()), bytes.data(),
                                   bytes.size(), &all, &first, 1, on.get()),
              "cudaMemcpyBatchAsync");
#else
        (void)from, (void)to, (void)bytes, (void)on;
        throw error{"cudaMemcpyBatchAsync as it is used here came with CUDA 13"};
#endif
    }

    /// A request's lists on the device.
    struct device_lists {
        explicit device_lists(segment_list const& list)
            : memory{gpu::device_resource{}, list.bytes.size() * (3 * sizeof(void*))},
              in_pages{reinterpret_cast<void**>(memory.data())},
              in_engine{in_pages + list.bytes.size()},
              bytes{reinterpret_cast<std::size_t*>(in_engine + list.bytes.size())} {
            auto const send = [&](void* to, void const* from) {
                check(
                    cudaMemcpy(to, from, list.bytes.size() * sizeof(void*), cudaMemcpyHostToDevice),
                    "cudaMemcpy");
            };
            send(in_pages, list.in_pages.data());
            send(in_engine, list.in_engine.data());
            send(bytes, list.bytes.data());
        }
        device_memory memory;
        void **in_pages, **in_engine;
        std::size_t* bytes;
    };
    void cub_batched(std::size_t i, bool restores, gpu::stream_ref on) {
        if (lists_.empty())
            for (segment_list const& list : segments_)
                lists_.emplace_back(list);
        device_lists const& l = lists_[i];
        void** const from = restores ? l.in_pages : l.in_engine;
        void** const to = restores ? l.in_engine : l.in_pages;
        auto const count = static_cast<std::uint32_t>(segments());
        std::size_t needed = 0;
        check(cub::DeviceMemcpy::Batched(nullptr, needed, from, to, l.bytes, count, on.get()),
              "cub::DeviceMemcpy::Batched");
        if (!scratch_ || scratch_->bytes() < needed)
            scratch_ = std::make_unique<device_memory>(gpu::device_resource{}, needed);
        check(cub::DeviceMemcpy::Batched(scratch_->data(), needed, from, to, l.bytes, count,
                                         on.get()),
              "cub::DeviceMemcpy::Batched");
    }

    std::uint64_t rotations_ = 0;
    gpu::device_store store_;
    std::list<request_copy> requests_;
    std::vector<segment_list> segments_;
    std::vector<device_lists> lists_;
    std::unique_ptr<device_memory> plain_, scratch_;
    std::size_t bytes_ = 0, turn_ = 0;
};

void run(benchmark::State& state, std::string const& model, std::uint64_t tokens,
         std::uint64_t block, method how, way direction, std::uint32_t multiprocessors) {
    workload work{model, tokens, block};
    if (auto const wrong = work.differences(); wrong != 0)
        return state.SkipWithError((std::to_string(wrong) + " bytes are wrong").c_str());
    work.store().limit_multiprocessors(multiprocessors);
    gpu::owned_stream const on;
    for (int i = 0; i < 3; ++i)
        work.copy(how, direction, on);
    on.synchronize();
    stopwatch watch;
    for (auto _ : state)
        state.SetIterationTime(watch.device_seconds(on, [&] { work.copy(how, direction, on); }));
    auto const moved = static_cast<double>(2 * work.bytes());
    state.counters["GB/s"] = benchmark::Counter(
        moved * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
    state.counters["host_us"] = watch.median_host_us();
    state.counters["bytes"] = static_cast<double>(work.bytes());
    state.counters["segments"] = static_cast<double>(work.segments());
}

void register_all(std::uint32_t multiprocessors) {
    auto const add = [](std::string const& title, auto... what) {
        benchmark::RegisterBenchmark(title.c_str(), run, what...)
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond);
    };
    for (std::string const model :
         {"paper-7b", "jamba-1.5-mini", "nemotron-h-8b", "qwen3-next-80b-a3b"})
        for (std::uint64_t const block : {16u, 64u})
            for (std::uint64_t const tokens : {0u, 1'000u, 8'000u, 32'000u})
                for (way const direction : {way::restore, way::commit})
                    for (method const how : {method::marconi, method::one_piece, method::loop,
                                             method::batch, method::cub})
                        add(std::string{direction == way::restore ? "restore" : "commit"} + "/" +
                                model + "/block:" + std::to_string(block) +
                                "/tokens:" + std::to_string(tokens) + "/" + name(how),
                            model, tokens, block, how, direction, 0u);
    for (std::uint32_t most = 1;; most = std::min(2 * most, multiprocessors)) {
        add("multiprocessors/paper-7b/tokens:8000/" + std::to_string(most), std::string{"paper-7b"},
            std::uint64_t{8'000}, std::uint64_t{16}, method::marconi, way::restore, most);
        if (most == multiprocessors) break;
    }
}

} // namespace

int main(int argc, char** argv) {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::printf("skipped: no CUDA device\n");
        return 0;
    }
    int multiprocessors = 0;
    check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0),
          "cudaDeviceGetAttribute");
    register_all(static_cast<std::uint32_t>(multiprocessors));
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
