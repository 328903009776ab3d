#pragma once

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/launcher.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/tiles.hpp>

#include <cuda_runtime.h>

#include <cstdint>

namespace marconi::gpu {

inline constexpr unsigned threads_per_block = warps_per_block * lanes;

/// Warps of one number are spread over all blocks before the next: where the last round of tiles
/// does not fill all warps, every multiprocessor has a share of it.
[[nodiscard]] __device__ inline std::uint32_t warp_in_grid() {
    return threadIdx.x / lanes * gridDim.x + blockIdx.x;
}
[[nodiscard]] __device__ inline std::uint32_t warps_in_grid() {
    return blockDim.x / lanes * gridDim.x;
}

template <direction Way>
__global__ void __launch_bounds__(threads_per_block) copy_kernel(copy_job const job) {
    copy_tiles<Way>(job, warp_in_grid(), warps_in_grid(), threadIdx.x % lanes);
}

/// A template, so that it can be in a header.
template <class Job>
__global__ void __launch_bounds__(threads_per_block) copy_pages_kernel(Job const job) {
    copy_page_tiles(job, warp_in_grid(), warps_in_grid(), threadIdx.x % lanes);
}

/// One block for each multiprocessor that a copy may take: it cannot be on more of them.
class kernel_launcher {
public:
    static void copy(direction way, copy_job const& job, std::uint32_t blocks, stream_ref on) {
        launch(way == direction::to_pages ? copy_kernel<direction::to_pages>
                                          : copy_kernel<direction::to_engine>,
               job, blocks, on);
    }
    static void copy_pages(page_job const& job, std::uint32_t blocks, stream_ref on) {
        launch(copy_pages_kernel<page_job>, job, blocks, on);
    }

private:
    /// Reports what this launch says, and not, as cudaGetLastError would, what failed before it.
    template <class Job>
    static void launch(void (*kernel)(Job), Job job, std::uint32_t blocks, stream_ref on) {
        void* arguments[] = {&job};
        check(
            cudaLaunchKernel(kernel, dim3{blocks}, dim3{threads_per_block}, arguments, 0, on.get()),
            "cudaLaunchKernel");
    }
};

static_assert(launcher<kernel_launcher>);

} // namespace marconi::gpu
