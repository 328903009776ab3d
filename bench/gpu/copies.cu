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
// the median of what enqueueing took the host: with its caches warm, as one copy after the other
// leaves them, but in enqueue_cold. What the library restores and commits is compared, byte for
// byte, with what the loop copies.

#include <gpu/request_copies.hpp>
#include <gpu/stopwatch.cuh>

#include <marconi/gpu.cuh>
#include <marconi/model/presets.hpp>

#include <benchmark/benchmark.h>
#include <cub/device/device_memcpy.cuh>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <list>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <utility>
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
void fill_all(std::byte* memory, std::size_t bytes, std::uint32_t seed, gpu::stream_ref on) {
    fill<<<1024, 256, 0, on.get()>>>(reinterpret_cast<std::uint32_t*>(memory), bytes / 4, seed);
    check(cudaGetLastError(), "fill");
}
__global__ void count_differences(std::byte const* a, std::byte const* b, std::size_t count,
                                  unsigned long long* differences) {
    std::size_t const step = std::size_t{gridDim.x} * blockDim.x;
    unsigned long long mine = 0;
    for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step)
        mine += a[i] != b[i];
    if (mine != 0) atomicAdd(differences, mine);
}

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
        plain_ =
            std::make_unique<device_memory>(gpu::device_resource{}, 2 * requests_.size() * bytes_);
        gpu::owned_stream const on;
        fill_all(arena(), arena_bytes(), 7, on);
        wrong_ = differences(on);
        fill_all(arena(), arena_bytes(), 7, on);
        fill_all(plain_->data(), plain_->bytes(), 8, on);
        for (request_copy const& r : requests_)
            fill_all(r.engine.data(), r.engine.bytes(), 9, on);
        on.synchronize();
    }

    /// Bytes that the library got wrong when this was made.
    [[nodiscard]] unsigned long long wrong() const { return wrong_; }
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

private:
    /// Bytes in which what the library restores, and then what it commits, differ from copies of
    /// each segment. Overwrites the pages.
    [[nodiscard]] unsigned long long differences(gpu::stream_ref on) {
        request_copy const& r = requests_.front();
        engine_request const other{store_.layout(), r.tokens};
        segment_list const list = r.segments(store_.layout(), arena(), other);
        device_memory const count{gpu::device_resource{}, sizeof(unsigned long long)};
        auto* const differ = reinterpret_cast<unsigned long long*>(count.data());
        auto const clear = [&](void* memory, std::size_t bytes) {
            check(cudaMemsetAsync(memory, 0, bytes, on.get()), "cudaMemsetAsync");
        };
        auto const compare = [&] {
            clear(other.data(), other.bytes());
            loop(list.in_pages, list.in_engine, list.bytes, on);
            count_differences<<<1024, 256, 0, on.get()>>>(r.engine.data(), other.data(),
                                                          other.bytes(), differ);
            check(cudaGetLastError(), "count_differences");
        };
        clear(differ, sizeof(*differ));
        clear(r.engine.data(), r.engine.bytes());
        store_.load(r.work(), on);
        compare();
        clear(arena(), arena_bytes());
        store_.save(r.work(), on);
        compare();
        unsigned long long found = 0;
        check(cudaMemcpyAsync(&found, differ, sizeof(found), cudaMemcpyDeviceToHost, on.get()),
              "cudaMemcpyAsync");
        check(cudaStreamSynchronize(on.get()), "cudaStreamSynchronize");
        return found;
    }

    static gpu::device_store make_store(std::string const& model, std::uint64_t tokens,
                                        std::uint64_t block, std::uint64_t& rotations) {
        // The paper's model by the paper's formulas: its checkpoint of 27 MB.
        footprint const shape = model::find_preset(model).footprint(
            {.flavour = model == "paper-7b" ? model::cost::paper : model::cost::shape});
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
    [[nodiscard]] std::size_t arena_bytes() const {
        return store_.pages().capacity() * store_.layout().page_bytes().value();
    }

    /// Half of a buffer to its other half, at places that rotate.
    void one_piece(std::size_t i, gpu::stream_ref on) {
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
#elif CUDART_VERSION >= 12080
        cudaMemcpyAttributes all{};
        all.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        std::size_t first = 0, failed = 0;
        check(cudaMemcpyBatchAsync(reinterpret_cast<void**>(to.data()),
                                   reinterpret_cast<void**>(from.data()), bytes.data(),
                                   bytes.size(), &all, &first, 1, &failed, on.get()),
              "cudaMemcpyBatchAsync");
#else
        (void)from, (void)to, (void)bytes, (void)on;
        throw error{"cudaMemcpyBatchAsync came with CUDA 12.8"};
#endif
    }

    /// A request's lists on the device.
    struct device_lists {
        device_lists(segment_list const& list, gpu::stream_ref on)
            : memory{gpu::device_resource{}, list.bytes.size() * (3 * sizeof(void*))},
              in_pages{reinterpret_cast<void**>(memory.data())},
              in_engine{in_pages + list.bytes.size()},
              bytes{reinterpret_cast<std::size_t*>(in_engine + list.bytes.size())} {
            auto const send = [&](void* to, void const* from) {
                check(cudaMemcpyAsync(to, from, list.bytes.size() * sizeof(void*),
                                      cudaMemcpyHostToDevice, on.get()),
                      "cudaMemcpyAsync");
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
                lists_.emplace_back(list, on);
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
    unsigned long long wrong_ = 0;
};

/// The workload made last, which the benchmarks that follow each other share: Google Benchmark
/// calls each several times over, and making one takes gigabytes and seconds.
struct shared_workload {
    std::tuple<std::string, std::uint64_t, std::uint64_t> shape{};
    std::unique_ptr<workload> made{};

    workload& get(std::string const& model, std::uint64_t tokens, std::uint64_t block) {
        if (!made || shape != std::tuple{model, tokens, block}) {
            made.reset(); // before the next one needs the memory
            made = std::make_unique<workload>(model, tokens, block);
            shape = {model, tokens, block};
        }
        return *made;
    }
};
shared_workload shared;

struct copy_case {
    std::string model;
    std::uint64_t tokens, block;
    method how = method::marconi;
    way direction = way::restore;
    std::uint32_t multiprocessors = 0; ///< 0: all
};

/// Calls time(workload, stream), with everything warm, and reports what the copies came to.
template <class Time>
void report(benchmark::State& state, copy_case const& what, Time&& time) try {
    workload& work = shared.get(what.model, what.tokens, what.block);
    if (work.wrong() != 0)
        return state.SkipWithError((std::to_string(work.wrong()) + " bytes are wrong").c_str());
    work.store().limit_multiprocessors(what.multiprocessors);
    gpu::owned_stream const on;
    for (int i = 0; i < 3; ++i)
        work.copy(what.how, what.direction, on);
    on.synchronize();
    state.counters["host_us"] = time(work, on);
    state.counters["bytes"] = static_cast<double>(work.bytes());
    state.counters["segments"] = static_cast<double>(work.segments());
} catch (std::exception const& why) {
    (void)cudaGetLastError();
    shared.made.reset();
    state.SkipWithError(why.what());
}

void copies(benchmark::State& state, copy_case const& what) {
    report(state, what, [&](workload& work, gpu::owned_stream const& on) {
        stopwatch watch;
        auto const enqueue = [&] { work.copy(what.how, what.direction, on); };
        for (auto _ : state)
            state.SetIterationTime(watch.device_seconds(on, enqueue));
        state.counters["GB/s"] = benchmark::Counter(static_cast<double>(2 * work.bytes()) * 1e-9 *
                                                        static_cast<double>(state.iterations()),
                                                    benchmark::Counter::kIsRate);
        return watch.median_host_us();
    });
}

/// What enqueueing takes a host that has had other things to do: its caches hold none of the
/// cache's notes on pages.
void enqueue_cold(benchmark::State& state, copy_case const& what) {
    report(state, what, [&](workload& work, gpu::owned_stream const& on) {
        std::vector<std::uint64_t> others(std::size_t{256} << 17); // 256 MB
        std::vector<double> times;
        for (auto _ : state) {
            for (std::uint64_t& other : others)
                ++other;
            benchmark::ClobberMemory();
            times.push_back(
                stopwatch::host_seconds([&] { work.copy(what.how, what.direction, on); }));
            state.SetIterationTime(times.back());
            on.synchronize();
        }
        auto const middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
        std::nth_element(times.begin(), middle, times.end());
        return *middle * 1e6;
    });
}

auto* add(std::string const& title, void (*run)(benchmark::State&, copy_case const&),
          copy_case const& what) {
    return benchmark::RegisterBenchmark(title.c_str(), run, what)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
}

void register_all(std::uint32_t multiprocessors) {
    for (std::string const model :
         {"paper-7b", "jamba-1.5-mini", "nemotron-h-8b", "qwen3-next-80b-a3b"})
        for (std::uint64_t const block : {16u, 64u})
            for (std::uint64_t const tokens : {0u, 1'000u, 8'000u, 32'000u}) {
                std::string const shape =
                    model + "/block:" + std::to_string(block) + "/tokens:" + std::to_string(tokens);
                for (way const direction : {way::restore, way::commit})
                    for (method const how : {method::marconi, method::one_piece, method::loop,
                                             method::batch, method::cub})
                        add((direction == way::restore ? "restore/" : "commit/") + shape + "/" +
                                name(how),
                            copies, {model, tokens, block, how, direction});
                add("enqueue_cold/" + shape, enqueue_cold, {model, tokens, block})->Iterations(9);
            }
    for (std::uint32_t most = 1;; most = std::min(2 * most, multiprocessors)) {
        add("multiprocessors/paper-7b/tokens:8000/" + std::to_string(most), copies,
            {.model = "paper-7b", .tokens = 8'000, .block = 16, .multiprocessors = most});
        if (most == multiprocessors) break;
    }
}

} // namespace

int main(int argc, char** argv) {
    int devices = 0;
    cudaError_t const code = cudaGetDeviceCount(&devices);
    if (code != cudaSuccess || devices == 0) {
        std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(code));
        return 0;
    }
    int multiprocessors = 0;
    check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0),
          "cudaDeviceGetAttribute");
    register_all(static_cast<std::uint32_t>(multiprocessors));
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    shared.made.reset(); // while there is a runtime to give it back to
    return 0;
}
