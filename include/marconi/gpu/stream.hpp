#pragma once

#include <marconi/core/error.hpp>
#include <marconi/gpu/error.hpp>

#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace marconi::gpu {

/// A CUDA stream that somebody else owns. An empty one is CUDA's default stream.
class stream_ref {
public:
    stream_ref() = default;
    stream_ref(cudaStream_t handle) : handle_{handle} {}
    [[nodiscard]] cudaStream_t get() const { return handle_; }
    friend bool operator==(stream_ref, stream_ref) = default;

private:
    cudaStream_t handle_ = nullptr;
};

/// A stream that this object owns, ordered with no other.
class owned_stream {
public:
    /// On the current device. Throws cuda_error, or std::bad_alloc for lack of memory.
    owned_stream() {
        check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking),
              "cudaStreamCreateWithFlags");
    }
    owned_stream(owned_stream&& other) noexcept : handle_{std::exchange(other.handle_, nullptr)} {}
    owned_stream& operator=(owned_stream&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    /// Does not wait: work on the stream goes on.
    ~owned_stream() {
        if (handle_) take_out(cudaStreamDestroy(handle_));
    }
    operator stream_ref() const { return {handle_}; }
    [[nodiscard]] cudaStream_t get() const { return handle_; }

    /// Waits on the host until all work on the stream is done. Throws cuda_error, also for what
    /// earlier work has failed with.
    void synchronize() const { check(cudaStreamSynchronize(handle_), "cudaStreamSynchronize"); }

private:
    cudaStream_t handle_ = nullptr;
};

/// Throws cuda_error.
[[nodiscard]] inline int current_device() {
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    return device;
}

/// Makes a device the current one while it lives, if it is not already. Throws cuda_error. Coming
/// back starts a context on the device that was current, if that had none.
class device_scope {
public:
    explicit device_scope(int device) : before_{current_device()} {
        if (before_ == device) return;
        check(cudaSetDevice(device), "cudaSetDevice");
        changed_ = true;
    }
    device_scope(device_scope const&) = delete;
    device_scope& operator=(device_scope const&) = delete;
    ~device_scope() {
        if (changed_) take_out(cudaSetDevice(before_));
    }

private:
    int before_;
    bool changed_ = false;
};

/// While it lives, this thread's calls do not disturb what other threads capture into graphs:
/// querying events and allocating would otherwise fail, and spoil such a capture.
class beside_captures {
public:
    beside_captures() noexcept : exchanged_{exchange()} {}
    beside_captures(beside_captures const&) = delete;
    beside_captures& operator=(beside_captures const&) = delete;
    ~beside_captures() {
        if (exchanged_) exchange();
    }

private:
    bool exchange() noexcept {
        cudaError_t const code = cudaThreadExchangeStreamCaptureMode(&other_);
        take_out(code);
        return code == cudaSuccess;
    }

    cudaStreamCaptureMode other_ = cudaStreamCaptureModeRelaxed;
    bool exchanged_;
};

/// The scope in which a store's calls enqueue: beside captures, with the store's device current.
/// Throws invalid_argument if the stream itself is being captured: each launch of the graph would
/// use the pages, with no place in the order of streams.
class call_scope {
public:
    call_scope(int device, stream_ref on) : here_{device} {
        cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
        check(cudaStreamIsCapturing(on.get(), &status), "cudaStreamIsCapturing");
        MARCONI_EXPECT(status == cudaStreamCaptureStatusNone, "stream", "being captured",
                       "one that is not: the store's calls cannot be part of a graph");
    }

private:
    beside_captures aside_;
    device_scope here_;
};

/// What stream_order needs of CUDA.
struct cuda_events {
    using stream = stream_ref;
    using event = cudaEvent_t;

    /// A name of the stream that no later stream gets.
    [[nodiscard]] static std::uint64_t name(stream s) {
        unsigned long long id = 0;
        check(cudaStreamGetId(s.get(), &id), "cudaStreamGetId");
        return id;
    }
    [[nodiscard]] static event create() {
        event e = nullptr;
        check(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "cudaEventCreateWithFlags");
        return e;
    }
    static void destroy(event e) noexcept { take_out(cudaEventDestroy(e)); }
    static void record(event e, stream s) { check(cudaEventRecord(e, s.get()), "cudaEventRecord"); }
    static void wait(stream s, event e) {
        check(cudaStreamWaitEvent(s.get(), e, 0), "cudaStreamWaitEvent");
    }
    /// Whether all work before the record is done. What cannot be told counts as not done.
    [[nodiscard]] static bool done(event e) noexcept {
        cudaError_t const code = cudaEventQuery(e);
        take_out(code);
        return code == cudaSuccess;
    }
    /// Waits on the host for all work on the stream: the way out if no event can be had.
    static cudaError_t finish(stream s) noexcept {
        beside_captures const aside;
        cudaError_t const code = cudaStreamSynchronize(s.get());
        take_out(code);
        return code;
    }
    /// The same if `device` need not be current: the default stream is the current device's. Of a
    /// stream that is being captured nobody could ever tell: this ends the program.
    static void finish_or_stop(stream s, int device) noexcept {
        try {
            device_scope const here{device};
            if (!refused_for_capture(finish(s))) return;
        } catch (...) { // a device that cannot be made current has nothing to wait for
            return;
        }
        std::fputs(
            "marconi: a lease committed or gave back pages while a stream that works on them "
            "was being captured\n",
            stderr);
        std::abort();
    }
    static void finish(event e) noexcept {
        beside_captures const aside;
        take_out(cudaEventSynchronize(e));
    }

private:
    static bool refused_for_capture(cudaError_t code) {
        return code >= cudaErrorStreamCaptureUnsupported &&
               code <= cudaErrorStreamCaptureWrongThread;
    }
};

} // namespace marconi::gpu
