#pragma once

#include <marconi/core/units.hpp>
#include <marconi/gpu/error.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/tiles.hpp>

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace marconi::gpu {

/// A transfer's tables as an argument of its launch. They reach the device with it, where a copy
/// ahead of it would be one more thing to enqueue and to wait for.
template <std::size_t Bytes>
struct inline_tables {
    alignas(16) std::byte at[Bytes];
};

/// Sizes that kernels exist for. From CUDA 12.1 on, a launch's arguments may take 32,764 bytes.
inline constexpr std::size_t few_inline_bytes = 3'840;
inline constexpr std::size_t some_inline_bytes = 14'336;
inline constexpr std::size_t many_inline_bytes = 22'528;
inline constexpr std::size_t most_inline_bytes = 32'000;

template <class Visit>
void each_inline_size(Visit&& visit) {
    visit(std::integral_constant<std::size_t, few_inline_bytes>{});
    visit(std::integral_constant<std::size_t, some_inline_bytes>{});
    visit(std::integral_constant<std::size_t, many_inline_bytes>{});
    visit(std::integral_constant<std::size_t, most_inline_bytes>{});
}
/// Visits the smallest of these that holds `bytes`, at most most_inline_bytes.
template <class Visit>
void with_inline_size(std::size_t bytes, Visit&& visit) {
    bool found = false;
    each_inline_size([&](auto size) {
        if (!found && bytes <= size()) {
            found = true;
            visit(size);
        }
    });
}

/// Each call enqueues a kernel on a stream and returns; its warps run copy_tile or copy_page_tile
/// for every tile of the job. `tables` are the job's, in a buffer of most_inline_bytes at a
/// multiple of 16, which may be overwritten at once; a job launched without them points to its own
/// already. load() makes the current device ready for all of these. Throws cuda_error.
template <class L>
concept launcher = requires(copy_job const& job, std::byte const* tables, std::size_t bytes,
                            page_job const& pages, launch_shape shape, stream_ref on) {
    L::load();
    L::copy(direction::to_pages, job, shape, on);
    L::copy_inline(direction::to_pages, job, tables, bytes, shape, on);
    L::copy_pages(pages, shape, on);
};

/// How large launches are on a device.
class launch_size {
public:
    /// `over_link`: all copies are from or to the host's memory.
    launch_size(int device, bool over_link)
        : all_{multiprocessors_of(device)},
          unless_told_{over_link ? enough_for_link(all_) : all_} {}

    /// From now on copies run on at most `most` multiprocessors; 0: on all that serve.
    void limit(std::uint32_t most) { most_ = most == 0 ? unless_told_ : std::min(most, all_); }
    [[nodiscard]] launch_shape shape_for(std::uint32_t tiles) const {
        if (most_ < all_) return on_few(tiles, most_);
        return {static_cast<std::uint32_t>(divide_up(tiles, launch_shape::warps_per_block)), false};
    }
    /// The same for one copy from or to the host's memory.
    [[nodiscard]] launch_shape shape_over_link(std::uint32_t tiles) const {
        return on_few(tiles, enough_for_link(most_));
    }

private:
    static std::uint32_t multiprocessors_of(int device) {
        int count = 0;
        check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
              "cudaDeviceGetAttribute");
        return static_cast<std::uint32_t>(count);
    }
    /// 8 multiprocessors have 256 KiB in flight, more than a link of 64 GB/s brings in 4 us. More
    /// of them would only be taken from the model.
    static std::uint32_t enough_for_link(std::uint32_t most) { return std::min(most, 8u); }
    /// A block runs on one multiprocessor. A small copy is spread over as many as it may take.
    static launch_shape on_few(std::uint32_t tiles, std::uint32_t most) {
        return {std::min(tiles, most), true};
    }

    std::uint32_t all_, unless_told_, most_ = unless_told_;
};

} // namespace marconi::gpu
