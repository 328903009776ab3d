#pragma once

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/launcher.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/tiles.hpp>

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace marconi::gpu {

inline constexpr unsigned threads_per_block = launch_shape::warps_per_block * lanes;

/// Blocks resident on a multiprocessor at once, by which the compiler divides its registers. A loop
/// keeps more in registers: it gets all that one block can have (on sm_100 it spills some).
[[nodiscard]] constexpr unsigned blocks_at_once(bool loops) { return loops ? 1 : 2; }

/// Calls copy(tile, lane) for the tiles that are this warp's.
template <bool Loops, class Copy>
__device__ void each_tile_of_warp(std::uint32_t tiles, Copy&& copy) {
    launch_shape const shape{gridDim.x, Loops};
    std::uint32_t const lane = threadIdx.x % lanes;
    std::uint64_t tile = shape.first_tile(blockIdx.x, threadIdx.x / lanes);
    if constexpr (Loops) {
        for (; tile < tiles; tile += shape.step())
            copy(static_cast<std::uint32_t>(tile), lane);
    } else { // no loop: the compiler would not see that it ends after one tile, and spill
        if (tile < tiles) copy(static_cast<std::uint32_t>(tile), lane);
    }
}

template <direction Way, bool Loops>
__global__ void __launch_bounds__(threads_per_block, blocks_at_once(Loops))
    copy_kernel(copy_job const job) {
    each_tile_of_warp<Loops>(job.tiles, [&](std::uint32_t tile, std::uint32_t lane) {
        copy_tile<Way>(job, tile, lane);
    });
}

template <direction Way, bool Loops, std::size_t Bytes>
__global__ void __launch_bounds__(threads_per_block, blocks_at_once(Loops))
    copy_inline_kernel(copy_job const job, __grid_constant__ inline_tables<Bytes> const tables) {
    copy_job here = job;
    here.read_from(tables.at);
    each_tile_of_warp<Loops>(job.tiles, [&](std::uint32_t tile, std::uint32_t lane) {
        copy_tile<Way>(here, tile, lane);
    });
}

template <bool Loops>
__global__ void __launch_bounds__(threads_per_block, blocks_at_once(Loops))
    copy_pages_kernel(page_job const job) {
    each_tile_of_warp<Loops>(job.tiles, [&](std::uint32_t tile, std::uint32_t lane) {
        copy_page_tile(job, tile, lane);
    });
}

class kernel_launcher {
public:
    /// Loads all kernels. A kernel is otherwise loaded at its first launch, which may wait for all
    /// work on the device.
    static void load() {
        beside_captures const aside;
        each_case([](auto way, auto loops) {
            load_one(&copy_kernel<way(), loops()>);
            each_inline_size(
                [&](auto size) { load_one(&copy_inline_kernel<way(), loops(), size()>); });
        });
        load_one(&copy_pages_kernel<false>);
        load_one(&copy_pages_kernel<true>);
    }
    static void copy(direction way, copy_job const& job, launch_shape shape, stream_ref on) {
        void* arguments[] = {const_cast<copy_job*>(&job)};
        with_case(way, shape.loops, [&](auto w, auto loops) {
            launch(&copy_kernel<w(), loops()>, arguments, shape, on);
        });
    }
    static void copy_inline(direction way, copy_job const& job, std::byte const* tables,
                            std::size_t bytes, launch_shape shape, stream_ref on) {
        void* arguments[] = {const_cast<copy_job*>(&job), const_cast<std::byte*>(tables)};
        with_inline_size(bytes, [&](auto size) {
            with_case(way, shape.loops, [&](auto w, auto loops) {
                launch(&copy_inline_kernel<w(), loops(), size()>, arguments, shape, on);
            });
        });
    }
    static void copy_pages(page_job const& job, launch_shape shape, stream_ref on) {
        void* arguments[] = {const_cast<page_job*>(&job)};
        launch(shape.loops ? &copy_pages_kernel<true> : &copy_pages_kernel<false>, arguments, shape,
               on);
    }

private:
    /// Visits the four cases of copies between pages and engines.
    template <class Visit>
    static void each_case(Visit&& visit) {
        using to_pages = std::integral_constant<direction, direction::to_pages>;
        using to_engine = std::integral_constant<direction, direction::to_engine>;
        visit(to_pages{}, std::false_type{});
        visit(to_pages{}, std::true_type{});
        visit(to_engine{}, std::false_type{});
        visit(to_engine{}, std::true_type{});
    }
    template <class Visit>
    static void with_case(direction way, bool loops, Visit&& visit) {
        each_case([&](auto w, auto l) {
            if (w() == way && l() == loops) visit(w, l);
        });
    }
    template <class Kernel>
    static void load_one(Kernel* kernel) {
        cudaFuncAttributes unused{};
        check(cudaFuncGetAttributes(&unused, kernel), "cudaFuncGetAttributes");
    }
    /// Reports this launch's own error; cudaGetLastError would report earlier failures, too.
    template <class Kernel>
    static void launch(Kernel* kernel, void** arguments, launch_shape shape, stream_ref on) {
        check(cudaLaunchKernel(kernel, dim3{shape.blocks}, dim3{threads_per_block}, arguments, 0,
                               on.get()),
              "cudaLaunchKernel");
    }
};

static_assert(launcher<kernel_launcher>);

} // namespace marconi::gpu
