#pragma once

#include <marconi/core/error.hpp>
#include <marconi/gpu/error.hpp>
#include <marconi/gpu/stream.hpp>

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace marconi::gpu {

/// Where a device finds the pages.
struct arena_place {
    std::byte* at = nullptr;
    bool on_host = false; ///< beyond a link: a few multiprocessors keep it busy
};

/// Whether a byte that the device can use lies in the host's memory. Throws invalid_argument if it
/// cannot: a kernel would find that out too late, and leave the process without its context.
[[nodiscard]] inline bool is_on_host(std::byte* byte, int device) {
    auto const expect = [&](bool reached, std::string const& what) {
        MARCONI_EXPECT(reached, "memory of the arena", what,
                       "of device " + std::to_string(device) +
                           ", the current one, or pinned on the host");
    };
    cudaPointerAttributes found{};
    check(cudaPointerGetAttributes(&found, byte), "cudaPointerGetAttributes");
    if (found.type == cudaMemoryTypeManaged) return false;
    if (found.type == cudaMemoryTypeDevice) {
        expect(found.device == device, "of device " + std::to_string(found.device));
        return false;
    }
    if (found.type == cudaMemoryTypeHost) {
        expect(found.devicePointer == byte, "of the host, and the device has it elsewhere");
        return true;
    }
    int reaches_all = 0;
    check(cudaDeviceGetAttribute(&reaches_all, cudaDevAttrPageableMemoryAccess, device),
          "cudaDeviceGetAttribute");
    expect(reaches_all != 0, "of the host, and not pinned");
    return true;
}

/// An arena that an engine lends for use on the current device. Looks at both ends of it. Throws
/// invalid_argument, cuda_error.
[[nodiscard]] inline arena_place lent_arena(std::span<std::byte> memory) {
    auto const address = reinterpret_cast<std::uintptr_t>(memory.data());
    MARCONI_EXPECT(memory.data() && address % 256 == 0, "address of the arena", address,
                   "a multiple of 256, not null");
    beside_captures const aside;
    int const device = current_device();
    bool const on_host = is_on_host(memory.data(), device);
    MARCONI_EXPECT(on_host == is_on_host(&memory.back(), device), "memory of the arena",
                   "partly on the host", "on one side of the link");
    return {memory.data(), on_host};
}

} // namespace marconi::gpu
