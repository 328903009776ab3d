#pragma once

// Copies a list of segments by the multiprocessors' own copy engines (bulk asynchronous copies,
// sm_90 and up): global memory -> shared memory -> global memory, driven by one thread a
// multiprocessor. Measured beside the library's kernels, which are faster on an H200; kept for the
// devices to come.

#include <marconi/gpu/error.hpp>
#include <marconi/gpu/stream.hpp>

#include <cuda_runtime.h>
#if __has_include(<cuda/ptx>) // since CUDA 12.3
#include <cuda/ptx>
#define MARCONI_BENCH_HAS_PTX 1
#else
#define MARCONI_BENCH_HAS_PTX 0
#endif

#include <cstddef>
#include <cstdint>

namespace gpu_bench {

/// Chunks in flight on a multiprocessor: eleven on their way in, the rest on their way out.
inline constexpr std::uint32_t bulk_stages = 14;
inline constexpr std::uint32_t bulk_stages_in = 11;
inline constexpr std::uint32_t bulk_chunk_bytes = 16 << 10; ///< no segment is longer

/// Lists on the device, of `count` each: addresses and sizes, all multiples of 16.
struct bulk_lists {
    std::byte* const* from;
    std::byte* const* to;
    std::size_t const* bytes;
    std::uint32_t count;
};

/// One thread a block, one block a multiprocessor. A template, so that it can be in a header.
template <class Lists>
__global__ void bulk_copy_kernel(Lists const lists) {
#if __CUDA_ARCH__ >= 900 && MARCONI_BENCH_HAS_PTX
    namespace ptx = cuda::ptx;
    extern __shared__ __align__(128) std::byte stages[];
    __shared__ std::uint64_t arrived[bulk_stages];
    for (std::uint64_t& barrier : arrived)
        ptx::mbarrier_init(&barrier, 1);
    ptx::fence_proxy_async();

    std::uint32_t const mine =
        lists.count > blockIdx.x ? (lists.count - blockIdx.x - 1) / gridDim.x + 1 : 0;
    auto const segment = [&](std::uint32_t i) { return blockIdx.x + i * gridDim.x; };
    auto const stage = [&](std::uint32_t i) {
        return stages + std::size_t{i % bulk_stages} * bulk_chunk_bytes;
    };
    auto const fetch = [&](std::uint32_t i) {
        std::uint64_t* const barrier = &arrived[i % bulk_stages];
        auto const bytes = static_cast<std::uint32_t>(lists.bytes[segment(i)]);
        (void)ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared,
                                             barrier, bytes);
        ptx::cp_async_bulk(ptx::space_cluster, ptx::space_global, stage(i), lists.from[segment(i)],
                           bytes, barrier);
    };
    for (std::uint32_t i = 0; i < mine && i < bulk_stages_in; ++i)
        fetch(i);
    for (std::uint32_t i = 0; i < mine; ++i) {
        while (!ptx::mbarrier_try_wait_parity(&arrived[i % bulk_stages], i / bulk_stages % 2)) {
        }
        ptx::cp_async_bulk(ptx::space_global, ptx::space_shared, lists.to[segment(i)], stage(i),
                           static_cast<std::uint32_t>(lists.bytes[segment(i)]));
        ptx::cp_async_bulk_commit_group();
        if (i + bulk_stages_in >= mine) continue;
        // The next stage was sent out bulk_stages - bulk_stages_in chunks ago.
        ptx::cp_async_bulk_wait_group_read(ptx::n32_t<bulk_stages - bulk_stages_in>{});
        fetch(i + bulk_stages_in);
    }
    ptx::cp_async_bulk_wait_group(ptx::n32_t<0>{});
#else
    (void)lists;
    __trap(); // see has_bulk_copies()
#endif
}

inline constexpr std::size_t bulk_memory = std::size_t{bulk_stages} * bulk_chunk_bytes;

/// Whether the code that runs here has bulk copies, and there is enough shared memory.
inline bool has_bulk_copies() {
    using marconi::gpu::check;
    cudaFuncAttributes code{};
    check(cudaFuncGetAttributes(&code, bulk_copy_kernel<bulk_lists>), "cudaFuncGetAttributes");
    int memory = 0;
    check(cudaDeviceGetAttribute(&memory, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0),
          "cudaDeviceGetAttribute");
    return MARCONI_BENCH_HAS_PTX && code.ptxVersion >= 90 &&
           static_cast<std::size_t>(memory) >= bulk_memory + code.sharedSizeBytes;
}

/// Enqueues the copies, if has_bulk_copies(); `blocks` is how many multiprocessors they may take.
inline void bulk_copy(bulk_lists const& lists, std::uint32_t blocks, marconi::gpu::stream_ref on) {
    marconi::gpu::check(cudaFuncSetAttribute(bulk_copy_kernel<bulk_lists>,
                                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             static_cast<int>(bulk_memory)),
                        "cudaFuncSetAttribute");
    bulk_copy_kernel<<<blocks, 1, bulk_memory, on.get()>>>(lists);
    marconi::gpu::check(cudaGetLastError(), "bulk_copy_kernel");
}

} // namespace gpu_bench
