#include <gpu/emulated/runtime.hpp>

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/tiles.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace {

/// Whether what an event's record stands for is done: one for each record, since an event may be
/// recorded again while streams wait for the record before.
using completion = std::shared_ptr<bool>;

/// Work, or a wait.
struct operation {
    std::function<void()> work{};
    completion waits_for{};

    [[nodiscard]] bool may_run() const { return !waits_for || *waits_for; }
};

struct machine {
    /// What freed memory is filled with: not the same for both kinds, so that a copy between freed
    /// buffers shows.
    static std::byte freed_byte(cudaMemoryType kind) {
        return kind == cudaMemoryTypeHost ? std::byte{0xEA} : std::byte{0xEE};
    }

    struct stream_state {
        std::uint64_t id = 0;
        int device = 0;
        std::deque<operation> queue{};
        bool destroyed = false;
    };

    struct event_state {
        int device = 0;
        completion last{}; // of the last record
    };

    int current_device = 0;
    std::map<cudaStream_t, std::shared_ptr<stream_state>> streams;
    std::array<std::shared_ptr<stream_state>, emulated::devices> default_streams;
    std::vector<std::shared_ptr<stream_state>> working; // with something in the queue
    std::map<cudaEvent_t, event_state> events;
    struct allocation {
        std::size_t bytes = 0;
        cudaMemoryType kind = cudaMemoryTypeDevice;
        int device = 0;
    };
    std::map<void*, allocation> memory;
    struct freed_memory {
        std::byte* begin;
        std::size_t bytes;
        std::byte filled_with;
    };
    std::vector<freed_memory> freed; // kept while anything is in flight
    std::mt19937_64 random{1};
    std::uint64_t favourite = 0;
    std::uint64_t next_id = 1;
    std::uintptr_t next_handle = 0x1000;
    emulated::call_counts counts;
    bool limited = false, failed = false, no_waits = false, reaches_all = false;
    std::size_t allowed = 0;
    std::optional<cudaStream_t> captured;
    bool spoilt = false;
    cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
    cudaError_t last_error = cudaSuccess;

    machine() {
        for (int d = 0; d < emulated::devices; ++d) {
            default_streams[static_cast<std::size_t>(d)] = std::make_shared<stream_state>();
            default_streams[static_cast<std::size_t>(d)]->device = d;
        }
    }

    /// No handle is the default stream of the current device, whichever that is.
    std::shared_ptr<stream_state> const& stream(cudaStream_t handle) {
        if (!handle) return default_streams[static_cast<std::size_t>(current_device)];
        auto const found = streams.find(handle);
        if (found == streams.end()) {
            std::fputs("emulated: a stream was used after it was destroyed\n", stderr);
            std::abort();
        }
        return found->second;
    }

    int device_of(cudaStream_t handle) { return stream(handle)->device; }

    void push(cudaStream_t on, operation what) {
        if (on == captured) spoilt = true;
        std::shared_ptr<stream_state> const& s = stream(on);
        if (s->queue.empty()) working.push_back(s);
        s->queue.push_back(std::move(what));
    }

    /// Does one operation: of one stream for a while, as far as it may run, so that it overtakes
    /// the others. False if none may run.
    bool step() {
        if (random() % 64 == 0) favourite = random();
        std::size_t const first = working.empty() ? 0 : favourite % working.size();
        for (std::size_t i = 0; i < working.size(); ++i) {
            std::size_t const at = (first + i) % working.size();
            std::shared_ptr<stream_state> const s = working[at];
            if (!s->queue.front().may_run()) continue;
            operation const now = std::move(s->queue.front());
            s->queue.pop_front();
            if (s->queue.empty()) working.erase(working.begin() + static_cast<std::ptrdiff_t>(at));
            if (now.work) now.work();
            return true;
        }
        return false;
    }
    void run_until(auto&& done) {
        while (!done())
            if (!step()) {
                std::fputs("emulated: streams wait for each other, and for nothing else\n", stderr);
                std::abort();
            }
    }
    void run_all() {
        run_until([&] { return working.empty(); });
        for (freed_memory const& f : std::exchange(freed, {})) {
            if (std::any_of(f.begin, f.begin + f.bytes,
                            [&](std::byte b) { return b != f.filled_with; })) {
                std::fputs("emulated: memory was written after it was freed\n", stderr);
                std::abort();
            }
            ::operator delete (f.begin, std::align_val_t{256});
        }
    }

    /// Every call that enqueues may find that the device has gone on; less than is enqueued.
    void pass_time() {
        if (random() % 128 == 0)
            for (auto n = random() % 128; n-- > 0 && step();) {
            }
    }

    /// Whether a call that takes something fails.
    bool refuse() {
        if (!limited) return false;
        if (allowed > 0) {
            --allowed;
            return false;
        }
        failed = true;
        return true;
    }
    /// Whether a call is refused since something is being captured.
    bool unsafe() {
        if (!captured || capture_mode == cudaStreamCaptureModeRelaxed) return false;
        return spoilt = true;
    }
    cudaError_t fail(cudaError_t with) { return last_error = with; }

    cudaError_t allocate(void** out, std::size_t bytes, cudaMemoryType kind) {
        if (unsafe()) return fail(cudaErrorStreamCaptureUnsupported);
        if (refuse()) return fail(cudaErrorMemoryAllocation);
        ++counts.allocations;
        *out = ::operator new (bytes, std::align_val_t{256});
        std::memset(*out, 0xCD, bytes); // nobody may rely on zeros
        memory[*out] = {bytes, kind, current_device};
        return cudaSuccess;
    }
    /// Waits for nothing. What is read there from now on is wrong.
    cudaError_t free(void* p) {
        if (!p) return cudaSuccess;
        if (unsafe()) return fail(cudaErrorStreamCaptureUnsupported);
        auto const found = memory.find(p);
        if (found == memory.end()) {
            std::fputs("emulated: memory was freed that was not allocated\n", stderr);
            std::abort();
        }
        std::size_t const bytes = found->second.bytes;
        std::byte const fill = freed_byte(found->second.kind);
        std::memset(p, static_cast<int>(fill), bytes);
        freed.push_back({static_cast<std::byte*>(p), bytes, fill});
        memory.erase(found);
        if (working.empty()) run_all();
        return cudaSuccess;
    }
};

machine& the() {
    static machine one;
    return one;
}

template <class Handle>
Handle new_handle() {
    return reinterpret_cast<Handle>(the().next_handle += 16);
}

} // namespace

namespace emulated {

void restart(std::uint64_t seed) {
    the().run_all();
    the().random.seed(seed);
    the().counts = {};
}
void enqueue(cudaStream_t on, std::function<void()> work) {
    the().push(on, {.work = std::move(work)});
    the().pass_time();
}
void finish_all() { the().run_all(); }

failing::failing(std::size_t allowed) {
    the().limited = true;
    the().failed = false;
    the().allowed = allowed;
}
failing::~failing() { the().limited = false; }
bool failing::has_failed() const { return the().failed; }

without_waits::without_waits() { the().no_waits = true; }
without_waits::~without_waits() { the().no_waits = false; }

reaching_all::reaching_all() { the().reaches_all = true; }
reaching_all::~reaching_all() { the().reaches_all = false; }

capturing::capturing(cudaStream_t stream) {
    the().captured = stream;
    the().spoilt = false;
}
capturing::~capturing() { the().captured.reset(); }
bool capturing::spoilt() const { return the().spoilt; }

call_counts counts() { return the().counts; }
std::size_t live_objects() {
    return the().memory.size() + the().events.size() + the().streams.size();
}

namespace {

/// The tiles that a launch's warps have, in random order.
std::vector<std::uint32_t> tiles_of(marconi::gpu::launch_shape shape, std::uint32_t tiles) {
    std::vector<std::uint32_t> all;
    for (std::uint32_t block = 0; block < shape.blocks; ++block)
        for (std::uint32_t warp = 0; warp < shape.warps_per_block; ++warp)
            for (std::uint64_t tile = shape.first_tile(block, warp); tile < tiles;
                 tile += shape.step())
                all.push_back(static_cast<std::uint32_t>(tile));
    std::shuffle(all.begin(), all.end(), the().random);
    return all;
}

template <class Body>
void launch(std::uint32_t tiles, marconi::gpu::launch_shape shape, marconi::gpu::stream_ref on,
            Body body) {
    if (the().refuse()) throw marconi::gpu::cuda_error{cudaErrorLaunchOutOfResources, "launching"};
    if (shape.blocks == 0)
        throw marconi::gpu::cuda_error{cudaErrorInvalidConfiguration, "launching"};
    if (the().device_of(on.get()) != the().current_device)
        throw marconi::gpu::cuda_error{cudaErrorInvalidResourceHandle, "launching"};
    ++the().counts.launches;
    the().counts.launched = shape;
    enqueue(on.get(), [=] {
        for (std::uint32_t const tile : tiles_of(shape, tiles))
            for (std::uint32_t lane = 0; lane < marconi::gpu::lanes; ++lane)
                body(tile, lane);
    });
}

/// The arguments live as long as the launch.
void launch_copy(marconi::gpu::direction way, marconi::gpu::copy_job const& job,
                 marconi::gpu::launch_shape shape, marconi::gpu::stream_ref on,
                 std::shared_ptr<void const> arguments) {
    using marconi::gpu::direction;
    launch(job.tiles, shape, on, [=](std::uint32_t tile, std::uint32_t lane) {
        (void)arguments;
        way == direction::to_pages ? marconi::gpu::copy_tile<direction::to_pages>(job, tile, lane)
                                   : marconi::gpu::copy_tile<direction::to_engine>(job, tile, lane);
    });
}

} // namespace

void emulated_launcher::copy(marconi::gpu::direction way, marconi::gpu::copy_job const& job,
                             marconi::gpu::launch_shape shape, marconi::gpu::stream_ref on) {
    launch_copy(way, job, shape, on, nullptr);
}
void emulated_launcher::copy_inline(marconi::gpu::direction way, marconi::gpu::copy_job const& job,
                                    std::byte const* tables, std::size_t bytes,
                                    marconi::gpu::launch_shape shape, marconi::gpu::stream_ref on) {
    marconi::gpu::with_inline_size(bytes, [&](auto size) {
        auto const argument = std::make_shared<marconi::gpu::inline_tables<size()>>();
        std::memcpy(argument->at, tables, size());
        marconi::gpu::copy_job here = job;
        here.read_from(argument->at);
        launch_copy(way, here, shape, on, argument);
    });
}
void emulated_launcher::copy_pages(marconi::gpu::page_job const& job,
                                   marconi::gpu::launch_shape shape, marconi::gpu::stream_ref on) {
    launch(job.tiles, shape, on, [=](std::uint32_t tile, std::uint32_t lane) {
        marconi::gpu::copy_page_tile(job, tile, lane);
    });
}

} // namespace emulated

// ---- the runtime's functions ----

cudaError_t cudaGetDevice(int* device) {
    *device = the().current_device;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= emulated::devices) return the().fail(cudaErrorInvalidDevice);
    the().current_device = device;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    *count = emulated::devices;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
    switch (which) {
    case cudaDevAttrMultiProcessorCount:
        *value = emulated::multiprocessors;
        return cudaSuccess;
    case cudaDevAttrPageableMemoryAccess:
        *value = the().reaches_all;
        return cudaSuccess;
    default:
        return the().fail(cudaErrorInvalidValue);
    }
}
cudaError_t cudaGetLastError() { return std::exchange(the().last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return the().last_error; }
char const* cudaGetErrorName(cudaError_t code) {
    return code == cudaErrorLaunchOutOfResources ? "cudaErrorLaunchOutOfResources" : "an error";
}
char const* cudaGetErrorString(cudaError_t) { return "emulated"; }

cudaError_t cudaMalloc(void** out, size_t bytes) {
    return the().allocate(out, bytes, cudaMemoryTypeDevice);
}
cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned) {
    return the().allocate(out, bytes, cudaMemoryTypeHost);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, void const* p) {
    *out = {};
    auto const after = the().memory.upper_bound(const_cast<void*>(p));
    if (after == the().memory.begin()) return cudaSuccess;
    auto const& [begin, of] = *std::prev(after);
    if (static_cast<std::byte const*>(p) >= static_cast<std::byte*>(begin) + of.bytes)
        return cudaSuccess;
    out->type = of.kind;
    out->device = of.device;
    out->devicePointer = const_cast<void*>(p);
    return cudaSuccess;
}
cudaError_t cudaFree(void* p) { return the().free(p); }
cudaError_t cudaFreeHost(void* p) { return the().free(p); }
cudaError_t cudaMemcpyAsync(void* to, void const* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t on) {
    if (the().refuse()) return the().fail(cudaErrorInvalidValue);
    ++the().counts.copies;
    emulated::enqueue(on, [=] { std::memcpy(to, from, bytes); });
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t on) {
    if (the().refuse()) return the().fail(cudaErrorInvalidValue);
    emulated::enqueue(on, [=] { std::memset(to, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) {
    if (the().refuse()) return the().fail(cudaErrorMemoryAllocation);
    *out = new_handle<cudaStream_t>();
    the().streams[*out] = std::make_shared<machine::stream_state>();
    the().streams[*out]->id = the().next_id++;
    the().streams[*out]->device = the().current_device;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
    the().stream(s)->destroyed = true; // what is in its queue goes on
    the().streams.erase(s);
    return cudaSuccess;
}
cudaError_t cudaStreamGetId(cudaStream_t s, unsigned long long* id) {
    *id = the().stream(s)->id;
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
    *status = s == the().captured ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    std::swap(*mode, the().capture_mode);
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    if (the().unsafe()) return the().fail(cudaErrorStreamCaptureUnsupported);
    if (s == the().captured) { // in every mode
        the().spoilt = true;
        return the().fail(cudaErrorStreamCaptureUnsupported);
    }
    ++the().counts.host_waits;
    auto const& queue = the().stream(s)->queue;
    the().run_until([&] { return queue.empty(); });
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
    if (the().refuse()) return the().fail(cudaErrorInvalidValue);
    ++the().counts.waits;
    completion const& last = the().events.at(e).last;
    if (!the().no_waits) the().push(s, {.waits_for = last});
    the().pass_time();
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
    if (the().refuse()) return the().fail(cudaErrorMemoryAllocation);
    *out = new_handle<cudaEvent_t>();
    the().events[*out] = {the().current_device, std::make_shared<bool>(true)};
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    if (the().unsafe()) return the().fail(cudaErrorStreamCaptureUnsupported);
    ++the().counts.host_waits;
    the().run_until([last = the().events.at(e).last] { return *last; });
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
    the().events.erase(e);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    if (the().refuse()) return the().fail(cudaErrorInvalidValue);
    machine::event_state& event = the().events.at(e);
    if (event.device != the().device_of(s)) return the().fail(cudaErrorInvalidResourceHandle);
    ++the().counts.records;
    auto const done = std::make_shared<bool>(false);
    event.last = done;
    emulated::enqueue(s, [=] { *done = true; });
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
    ++the().counts.queries;
    if (the().unsafe()) return the().fail(cudaErrorStreamCaptureUnsupported);
    if (*the().events.at(e).last) return cudaSuccess;
    if (the().last_error == cudaSuccess) the().last_error = cudaErrorNotReady;
    return cudaErrorNotReady;
}
