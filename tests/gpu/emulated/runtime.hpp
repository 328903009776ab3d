#pragma once

// The CUDA runtime in small, on the host, for tests on machines without a device. runtime.cpp
// defines the functions of <cuda_runtime_api.h> that the library calls; link it instead of cudart.
//
// Work is done late, and in a bad order: whenever the program calls the runtime, now and then some
// operations at the head of one stream are done, of the same stream for a while. Nothing but
// the order within a stream and waits for events holds it back, the default stream included. So a
// wait that is missing shows as wrong bytes, and memory that is used again too early as well.
// Freeing memory waits for nothing: what is read there later is wrong, and a write aborts.
// Events and kernels of one device on a stream of the other are refused.

#include <marconi/gpu/launcher.hpp>

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace emulated {

inline constexpr int devices = 2; ///< share one memory
inline constexpr int multiprocessors = 12;

/// Begins anew: nothing may be in flight. The seed decides in which order things happen.
void restart(std::uint64_t seed);

/// Enqueues work of a kernel, or of the test itself.
void enqueue(cudaStream_t on, std::function<void()> work);

/// Does all that is enqueued anywhere.
void finish_all();

/// While it lives, of the calls that take memory (cudaMalloc, cudaHostAlloc, event and stream
/// creation) and those that enqueue something only the first `allowed` succeed.
class failing {
public:
    explicit failing(std::size_t allowed);
    ~failing();
    failing(failing const&) = delete;
    failing& operator=(failing const&) = delete;
    [[nodiscard]] bool has_failed() const;
};

/// While it lives, waits for events are forgotten: what a library without them would do.
class without_waits {
public:
    without_waits();
    ~without_waits();
    without_waits(without_waits const&) = delete;
    without_waits& operator=(without_waits const&) = delete;
};

/// While it lives, devices reach all of the host's memory, pinned or not.
class reaching_all {
public:
    reaching_all();
    ~reaching_all();
    reaching_all(reaching_all const&) = delete;
    reaching_all& operator=(reaching_all const&) = delete;
};

/// While it lives, a stream is being captured, as if another thread did it: calls that would fail
/// then, or would become part of the graph, spoil the capture.
class capturing {
public:
    explicit capturing(cudaStream_t stream);
    ~capturing();
    capturing(capturing const&) = delete;
    capturing& operator=(capturing const&) = delete;
    [[nodiscard]] bool spoilt() const;
};

/// What has been called since the start.
struct call_counts {
    std::size_t waits = 0;                    ///< of a stream for an event
    std::size_t records = 0;                  ///< of events
    std::size_t launches = 0;                 ///< of kernels
    marconi::gpu::launch_shape launched = {}; ///< the last time
    std::size_t copies = 0;                   ///< by cudaMemcpyAsync
    std::size_t host_waits = 0;               ///< of the host for the device
    std::size_t allocations = 0;              ///< of device and pinned memory
    std::size_t queries = 0;                  ///< of events
};
[[nodiscard]] call_counts counts();
/// Allocations, events and streams that nobody gave back.
[[nodiscard]] std::size_t live_objects();

/// Runs the kernels' bodies, all threads of them, when their turn comes.
struct emulated_launcher {
    static void load() {}
    static void copy(marconi::gpu::direction way, marconi::gpu::copy_job const& job,
                     marconi::gpu::launch_shape shape, marconi::gpu::stream_ref on);
    static void copy_inline(marconi::gpu::direction way, marconi::gpu::copy_job const& job,
                            std::byte const* tables, std::size_t bytes,
                            marconi::gpu::launch_shape shape, marconi::gpu::stream_ref on);
    static void copy_pages(marconi::gpu::page_job const& job, marconi::gpu::launch_shape shape,
                           marconi::gpu::stream_ref on);
};

static_assert(marconi::gpu::launcher<emulated_launcher>);

} // namespace emulated
