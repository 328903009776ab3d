#pragma once

#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/tiles.hpp>

#include <cstdint>

namespace marconi::gpu {

/// Starts a kernel on a stream and returns: `blocks` blocks of warps_per_block warps, each of them
/// running copy_tiles or copy_page_tiles. Throws cuda_error.
template <class L>
concept launcher = requires(copy_job const& job, page_job const& pages, std::uint32_t blocks,
                            stream_ref on) {
    L::copy(direction::to_pages, job, blocks, on);
    L::copy_pages(pages, blocks, on);
};

} // namespace marconi::gpu
