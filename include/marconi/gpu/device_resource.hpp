#pragma once

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/memory/host_resource.hpp>

#include <cuda_runtime_api.h>

#include <cstddef>

namespace marconi::gpu {

/// A device's memory, from cudaMalloc: aligned to 256 bytes at least. No enqueued work may still
/// use what is deallocated: cudaFree often waits for such work, but does not promise to.
class device_resource {
public:
    /// Of the current device.
    device_resource() : device_{current_device()} {}
    explicit device_resource(int device) : device_{device} {}

    [[nodiscard]] void* allocate(std::size_t bytes) {
        beside_captures const aside;
        device_scope const here{device_};
        void* memory = nullptr;
        check(cudaMalloc(&memory, bytes), "cudaMalloc");
        return memory;
    }
    void deallocate(void* memory, std::size_t) noexcept {
        beside_captures const aside;
        try {
            device_scope const here{device_};
            take_out(cudaFree(memory));
        } catch (...) {
            take_out(cudaFree(memory));
        }
    }

private:
    int device_;
};

static_assert(memory::resource<device_resource>);

} // namespace marconi::gpu
