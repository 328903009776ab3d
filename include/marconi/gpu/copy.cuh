#pragma once

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/launcher.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/tiles.hpp>

#include <cuda_runtime.h>

#include <cstddef>
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

template <direction Way, std::size_t Bytes>
__global__ void __launch_bounds__(threads_per_block)
    copy_inline_kernel(copy_job const job, __grid_constant__ inline_tables<Bytes> const tables) {
    copy_job here = job;
    here.read_from(tables.at);
    copy_tiles<Way>(here, warp_in_grid(), warps_in_grid(), threadIdx.x % lanes);
}

/// A template, so that it can be in a header.
template <class Job>
__global__ void __launch_bounds__(threads_per_block) copy_pages_kernel(Job const job) {
    copy_page_tiles(job, warp_in_grid(), warps_in_grid(), threadIdx.x % lanes);
}

/// One block for each multiprocessor that a copy may take: it cannot be on more of them.
class kernel_launcher {
public:
    /// A kernel is otherwise loaded at its first launch, which may wait for all that the device
    /// does.
    static void load() {
        beside_captures const aside;
        load_copies<direction::to_pages>();
        load_copies<direction::to_engine>();
        load_one(&copy_pages_kernel<page_job>);
    }
    static void copy(direction way, copy_job const& job, std::uint32_t blocks, stream_ref on) {
        void* arguments[] = {const_cast<copy_job*>(&job)};
        launch(way == direction::to_pages ? &copy_kernel<direction::to_pages>
                                          : &copy_kernel<direction::to_engine>,
               arguments, blocks, on);
    }
    static void copy_inline(direction way, copy_job const& job, std::byte const* tables,
                            std::size_t bytes, std::uint32_t blocks, stream_ref on) {
        void* arguments[] = {const_cast<copy_job*>(&job), const_cast<std::byte*>(tables)};
        with_inline_size(bytes, [&](auto size) {
            launch(way == direction::to_pages ? &copy_inline_kernel<direction::to_pages, size()>
                                              : &copy_inline_kernel<direction::to_engine, size()>,
                   arguments, blocks, on);
        });
    }
    static void copy_pages(page_job const& job, std::uint32_t blocks, stream_ref on) {
        void* arguments[] = {const_cast<page_job*>(&job)};
        launch(&copy_pages_kernel<page_job>, arguments, blocks, on);
    }

private:
    template <direction Way>
    static void load_copies() {
        load_one(&copy_kernel<Way>);
        each_inline_size([](auto size) { load_one(&copy_inline_kernel<Way, size()>); });
    }
    template <class Kernel>
    static void load_one(Kernel* kernel) {
        cudaFuncAttributes unused{};
        check(cudaFuncGetAttributes(&unused, kernel), "cudaFuncGetAttributes");
    }
    /// Reports what this launch says, and not, as cudaGetLastError would, what failed before it.
    template <class Kernel>
    static void launch(Kernel* kernel, void** arguments, std::uint32_t blocks, stream_ref on) {
        check(
            cudaLaunchKernel(kernel, dim3{blocks}, dim3{threads_per_block}, arguments, 0, on.get()),
            "cudaLaunchKernel");
    }
};

static_assert(launcher<kernel_launcher>);

} // namespace marconi::gpu
