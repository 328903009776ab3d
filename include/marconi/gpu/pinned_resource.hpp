#pragma once

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/memory/host_resource.hpp>

#include <cuda_runtime_api.h>

#include <cstddef>

namespace marconi::gpu {

/// Pinned host memory: every device can read and write it at the host's address, and copies to and
/// from it run asynchronously to the host. A basic_host_store may have its arena in it. No enqueued
/// work may still use what is deallocated: cudaFreeHost does not promise to wait.
class pinned_resource {
public:
    [[nodiscard]] void* allocate(std::size_t bytes) {
        beside_captures const aside;
        void* memory = nullptr;
        check(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable | cudaHostAllocMapped),
              "cudaHostAlloc");
        return memory;
    }
    void deallocate(void* memory, std::size_t) noexcept {
        beside_captures const aside;
        take_out(cudaFreeHost(memory));
    }
};

static_assert(memory::resource<pinned_resource>);

} // namespace marconi::gpu
