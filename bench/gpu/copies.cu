// How long copying a request between pages and an engine's memory takes on a device, beside other
// methods that could copy the same bytes, in the same run:
//
//   marconi    the library's kernels, one launch
//   one_piece  cudaMemcpyAsync of as many bytes in one piece: the ceiling
//   loop       cudaMemcpyAsync, one for each segment
//   batch      cudaMemcpyBatchAsync over the segments
//   cub        cub::DeviceMemcpy::Batched over the segments, its lists on the device beforehand
//   bulk       bulk asynchronous copies through shared memory (sm_90 and up), its lists likewise:
//              not what anybody would write instead of the library, but what its kernels might do
//
// Then: a second stream at work on the store, fewer multiprocessors, engines that keep KV in
// blocks, and pages spilled to the host.
//
// Times are the device's, between two events. GB/s counts bytes read and bytes written; host_us is
// the median time that enqueueing took the host: with its caches warm, as one copy after the other
// leaves them, except in enqueue_cold and two_streams_cold. If the host takes longer to enqueue a
// method than the device to copy, the method's time is the host's. What the library restores and
// commits, with as many multiprocessors as are timed next, is compared, byte for byte, with what
// the loop copies; KV in blocks and spilled pages, with what they were before.

#include <gpu/spilling.cuh>
#include <gpu/stopwatch.cuh>
#include <gpu/workload.cuh>

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace marconi;
using namespace gpu_bench;
using gpu::check;

namespace {

/// The workload made last, shared by benchmarks that follow each other: Google Benchmark calls each
/// several times, and making a workload takes gigabytes and seconds.
struct shared_workload {
    workload_shape shape{};
    std::unique_ptr<workload> made{};

    workload& get(workload_shape const& wanted) {
        if (!made || shape != wanted) {
            made.reset(); // before the next one needs the memory
            made = std::make_unique<workload>(wanted);
            shape = wanted;
        }
        return *made;
    }
};
shared_workload shared;

struct copy_case {
    workload_shape shape;
    method how = method::marconi;
    way direction = way::restore;
    std::uint32_t multiprocessors = 0; ///< 0: all
    bool two_streams = false;          ///< use the store, so that it keeps notes on pages
};

/// Times what enqueue() enqueues on the stream, which moves `bytes` bytes; returns the median time
/// that it took the host, in microseconds.
template <class Enqueue>
double time_copies(benchmark::State& state, gpu::stream_ref on, std::size_t bytes,
                   Enqueue&& enqueue) {
    stopwatch watch;
    for (auto _ : state)
        state.SetIterationTime(watch.device_seconds(on, enqueue));
    state.counters["GB/s"] = benchmark::Counter(static_cast<double>(bytes) * 1e-9 *
                                                    static_cast<double>(state.iterations()),
                                                benchmark::Counter::kIsRate);
    return watch.median_host_us();
}

/// Calls time(workload, stream), with everything warm, and reports the results.
template <class Time>
void report(benchmark::State& state, copy_case const& what, Time&& time) try {
    workload& work = shared.get(what.shape);
    gpu::owned_stream const on;
    work.limit_multiprocessors(what.multiprocessors, on);
    if (unsigned long long const wrong = work.wrong(what.how, on))
        return state.SkipWithError((std::to_string(wrong) + " bytes are wrong").c_str());
    for (int i = 0; i < 3; ++i)
        work.copy(what.how, what.direction, on);
    gpu::owned_stream const other;
    if (what.two_streams) work.copy(what.how, what.direction, other); // while `on` is busy
    on.synchronize();
    other.synchronize();
    state.counters["host_us"] = time(work, on);
    state.counters["bytes"] = static_cast<double>(work.bytes());
    state.counters["segments"] = static_cast<double>(work.segments());
    if (what.two_streams) shared.made.reset(); // its notes would not end
} catch (std::exception const& why) {
    (void)cudaGetLastError();
    shared.made.reset();
    state.SkipWithError(why.what());
}

void copies(benchmark::State& state, copy_case const& what) {
    report(state, what, [&](workload& work, gpu::owned_stream const& on) {
        return time_copies(state, on, 2 * work.bytes(),
                           [&] { work.copy(what.how, what.direction, on); });
    });
}

/// How long enqueueing takes a host that has been busy with other things: its caches hold neither
/// the tables of pages nor, where a second stream is at work, the store's notes on them.
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

/// GB/s of the link: each byte counts once.
void spilling(benchmark::State& state, std::string const& model, method how, bool out) try {
    spill_workload work{model};
    if (std::size_t const wrong = work.wrong())
        return state.SkipWithError((std::to_string(wrong) + " pages are wrong").c_str());
    for (int i = 0; i < 3; ++i)
        work.copy(how, out);
    state.counters["host_us"] =
        time_copies(state, work.stream(), work.bytes(), [&] { work.copy(how, out); });
    state.counters["bytes"] = static_cast<double>(work.bytes());
} catch (std::exception const& why) {
    (void)cudaGetLastError();
    state.SkipWithError(why.what());
}

template <class Run, class... What>
auto* add(std::string const& title, Run* run, What const&... what) {
    return benchmark::RegisterBenchmark(title.c_str(), run, what...)
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
                                             method::batch, method::cub, method::bulk})
                        add((direction == way::restore ? "restore/" : "commit/") + shape + "/" +
                                name(how),
                            copies, copy_case{{model, tokens, block}, how, direction});
                add("enqueue_cold/" + shape, enqueue_cold, copy_case{{model, tokens, block}})
                    ->Iterations(9);
                if (tokens == 32'000) {
                    copy_case const beside{.shape = {model, tokens, block}, .two_streams = true};
                    add("two_streams/" + shape, copies, beside);
                    add("two_streams_cold/" + shape, enqueue_cold, beside)->Iterations(9);
                }
            }
    for (std::uint32_t most = 1;; most = std::min(2 * most, multiprocessors)) {
        add("multiprocessors/paper-7b/tokens:8000/" + std::to_string(most), copies,
            copy_case{.shape = {"paper-7b", 8'000}, .multiprocessors = most});
        if (most == multiprocessors) break;
    }
    for (std::uint64_t const tokens : {8'000u, 32'000u})
        for (arrangement const arranged :
             {arrangement::one_piece, arrangement::blocks, arrangement::blocks_by_head})
            for (way const direction : {way::restore, way::commit})
                add(std::string{"engine_kv/"} + name(arranged) +
                        "/paper-7b/tokens:" + std::to_string(tokens) + "/" +
                        (direction == way::restore ? "restore" : "commit"),
                    copies,
                    copy_case{.shape = {"paper-7b", tokens, 16, arranged}, .direction = direction});
    for (std::string const model : {"paper-7b", "qwen3-next-80b-a3b"})
        for (bool const out : {true, false})
            for (method const how : {method::marconi, method::one_piece, method::loop})
                add((out ? "spill/" : "fetch/") + model + "/" + name(how), spilling, model, how,
                    out);
}

} // namespace

int main(int argc, char** argv) {
    int devices = 0;
    cudaError_t const code = cudaGetDeviceCount(&devices);
    if (code != cudaSuccess || devices == 0) {
        std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(code));
        return 0;
    }
    register_all(static_cast<std::uint32_t>(device_attribute(cudaDevAttrMultiProcessorCount)));
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    shared.made.reset(); // while there is a runtime to give it back to
    return 0;
}
