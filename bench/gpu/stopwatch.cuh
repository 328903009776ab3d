#pragma once

// How long copies take the device, and enqueueing them the host.

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/stream.hpp>

#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gpu_bench {

/// Keeps the stream busy for `duration`, by the device's clock. A template, so that it can be here.
template <class Nanoseconds>
__global__ void hold(Nanoseconds const duration) {
    auto const now = [] {
        Nanoseconds time;
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
        return time;
    };
    for (Nanoseconds const start = now(); now() - start < duration;) {
    }
}

/// Times what is enqueued on a stream. The stream is held meanwhile, so that the device's time does
/// not contain the host's: for 20 us and twice as long as enqueueing took the last time, 2 ms at
/// most. (Not until all is enqueued: if the queue is full, enqueueing waits for the stream.) If the
/// host takes longer, the time includes its enqueueing.
class stopwatch {
public:
    stopwatch() {
        marconi::gpu::check(cudaEventCreate(&start_), "cudaEventCreate");
        marconi::gpu::check(cudaEventCreate(&stop_), "cudaEventCreate");
    }
    stopwatch(stopwatch const&) = delete;
    stopwatch& operator=(stopwatch const&) = delete;
    ~stopwatch() {
        (void)cudaEventDestroy(start_);
        (void)cudaEventDestroy(stop_);
    }

    template <class Enqueue>
    double device_seconds(marconi::gpu::stream_ref on, Enqueue&& enqueue) {
        double const last = host_us_.empty() ? 0 : host_us_.back();
        auto const duration =
            static_cast<unsigned long long>(1e3 * std::min(2 * last + 20, 2000.0));
        hold<<<1, 1, 0, on.get()>>>(duration);
        marconi::gpu::check(cudaGetLastError(), "hold");
        marconi::gpu::check(cudaEventRecord(start_, on.get()), "cudaEventRecord");
        host_us_.push_back(host_seconds(enqueue) * 1e6);
        marconi::gpu::check(cudaEventRecord(stop_, on.get()), "cudaEventRecord");
        marconi::gpu::check(cudaEventSynchronize(stop_), "cudaEventSynchronize");
        float milliseconds = 0;
        marconi::gpu::check(cudaEventElapsedTime(&milliseconds, start_, stop_),
                            "cudaEventElapsedTime");
        return milliseconds * 1e-3;
    }
    template <class Enqueue>
    static double host_seconds(Enqueue&& enqueue) {
        auto const from = std::chrono::steady_clock::now();
        enqueue();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
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

} // namespace gpu_bench
