#pragma once

// How a transfer is dealt out to the warps of one launch. A tile is what a warp copies at a time:
// four vectors for each of its lanes, within one part of one page, or one piece of a checkpoint.
//
//     KV       page 0: | part 0: tiles | part 1: tiles | ... | page 1: | part 0: tiles | ...
//     states   then    | piece 0: tiles | piece 1: tiles | ...
//
// Everything here runs on the host, too: tests compare it with a plain loop.

#include <marconi/core/config.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/vectors.hpp>
#include <marconi/memory/places.hpp>
#include <marconi/memory/state_places.hpp>

#include <cstddef>
#include <cstdint>

namespace marconi::gpu {

/// The blocks of a launch, and how their warps share its tiles.
struct launch_shape {
    static constexpr std::uint32_t warps_per_block = 16;

    std::uint32_t blocks; ///< at least one; if they do not loop, one for every 16 tiles
    /// Whether a warp goes on to further tiles. If not, it has one at most, and blocks come and go
    /// in the order of the tiles: the memory sees one stretch after the other.
    bool loops;

    /// The first tile of a warp, which may be past the job's last one.
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint64_t first_tile(std::uint32_t block,
                                                               std::uint32_t warp) const {
        // In a loop, warp 0 of every block comes before warp 1 of any: if the last round of tiles
        // does not fill all warps, every multiprocessor has a share of it.
        return loops ? std::uint64_t{warp} * blocks + block
                     : std::uint64_t{block} * warps_per_block + warp;
    }
    /// From each tile of a warp to its next: past any tile if the warp has one at most.
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint64_t step() const {
        return loops ? std::uint64_t{blocks} * warps_per_block : std::uint64_t{1} << 32;
    }
};

struct tiled_kv_part : memory::kv_part {
    std::uint32_t first_tile = 0; ///< among the tiles of a page
};
struct tiled_state_part : memory::state_part {
    std::uint32_t first_page = 0; ///< its checkpoint's first, in the list of all pages
    std::uint32_t first_tile = 0; ///< among the tiles of all pieces
};

/// Finds which of `count` parts a tile belongs to; they ascend by first_tile and have one tile or
/// more each. Parts are mostly alike: a guess by proportion is right, or one off, and takes two
/// loads, where a binary search takes a chain of them. From a worse guess the search goes on in
/// doubling steps, then by halves: O(log of how far the guess was off).
struct part_finder {
    std::uint32_t count = 0;
    std::uint32_t per_tile = 0; ///< parts, in units of 2^-31, rounded up

    /// For `count` parts that have `tiles` tiles together.
    [[nodiscard]] static part_finder of(std::uint32_t count, std::uint64_t tiles) {
        if (count == 0) return {};
        return {count, static_cast<std::uint32_t>(divide_up(std::uint64_t{count} << 31, tiles))};
    }
    template <class Part>
    [[nodiscard]] MARCONI_HOST_DEVICE std::uint32_t operator()(Part const* parts,
                                                               std::uint32_t tile) const {
        auto low = static_cast<std::uint32_t>(std::uint64_t{tile} * per_tile >> 31);
        if (low >= count) low = count - 1;
        std::uint32_t high = low + 1;
        for (std::uint32_t step = 1; parts[low].first_tile > tile; step *= 2)
            low -= step < low ? step : low;
        for (std::uint32_t step = 1; high < count && parts[high].first_tile <= tile; step *= 2)
            high += step < count - high ? step : count - high;
        while (high - low > 1) {
            std::uint32_t const middle = low + (high - low) / 2;
            (parts[middle].first_tile <= tile ? low : high) = middle;
        }
        return low;
    }
};

/// A transfer as kernels take it: a value, with tables in memory that the kernel reads. They lie
/// one behind the other; read_from() makes the job point to them.
struct copy_job {
    std::byte* arena = nullptr; ///< at a multiple of 256
    memory::page_divider cut{};
    memory::kv_range range{};
    tiled_kv_part const* parts = nullptr;
    tiled_state_part const* pieces = nullptr;
    std::uint32_t const* pages = nullptr; ///< of the KV, then of each checkpoint
    part_finder which_part{};
    part_finder which_piece{};
    memory::divider tiles_a_page{};
    std::uint32_t kv_tiles = 0;
    std::uint32_t tiles = 0;
    std::uint64_t pieces_at = 0; ///< in bytes; the parts are at 0
    std::uint64_t pages_at = 0;
    std::uint64_t blocks_at = 0; ///< the engine's; 0: it has none

    /// Points the job to its tables, which begin there.
    MARCONI_HOST_DEVICE void read_from(std::byte const* tables) {
        parts = reinterpret_cast<tiled_kv_part const*>(tables);
        pieces = reinterpret_cast<tiled_state_part const*>(tables + pieces_at);
        pages = reinterpret_cast<std::uint32_t const*>(tables + pages_at);
        if (blocks_at != 0)
            range.engine_blocks = reinterpret_cast<std::int32_t const*>(tables + blocks_at);
    }
    [[nodiscard]] MARCONI_HOST_DEVICE std::byte* page(std::uint32_t i) const {
        return arena + pages[i] * cut.page_bytes();
    }
};

template <direction Way>
MARCONI_HOST_DEVICE void copy_kv_tile(copy_job const& job, std::uint32_t tile, std::uint32_t lane) {
    std::uint32_t const i = job.tiles_a_page.quotient(tile);
    std::uint32_t const in_page = tile - i * job.tiles_a_page.divisor();
    tiled_kv_part const part = job.parts[job.which_part(job.parts, in_page)];
    std::byte* const page = job.page(i);
    copy_share<Way>(part.alignment, in_page - part.first_tile, lane,
                    job.range.first_row(i) * part.row.divisor(),
                    job.range.end_row(i) * part.row.divisor(), [&](std::uint64_t offset) {
                        return locate(part, job.range, page, i, static_cast<std::uint32_t>(offset));
                    });
}

template <direction Way>
MARCONI_HOST_DEVICE void copy_state_tile(copy_job const& job, std::uint32_t tile,
                                         std::uint32_t lane) {
    tiled_state_part const piece = job.pieces[job.which_piece(job.pieces, tile)];
    copy_share<Way>(piece.alignment, tile - piece.first_tile, lane, 0, piece.bytes,
                    [&](std::uint64_t at) {
                        memory::place_in_pages const found = locate(piece, job.cut, at);
                        return found.with(job.page(piece.first_page + found.page));
                    });
}

/// What one lane of a warp does for a tile.
template <direction Way>
MARCONI_HOST_DEVICE void copy_tile(copy_job const& job, std::uint32_t tile, std::uint32_t lane) {
    if (tile < job.kv_tiles)
        copy_kv_tile<Way>(job, tile, lane);
    else
        copy_state_tile<Way>(job, tile - job.kv_tiles, lane);
}

/// Whole pages from one arena to another, or within one; the lists name no page twice.
struct page_job {
    std::byte const* from_arena = nullptr;
    std::byte* to_arena = nullptr;
    std::uint64_t page_bytes = 0;
    std::uint32_t const* from = nullptr; ///< null: `single_from` alone
    std::uint32_t const* to = nullptr;
    std::uint32_t single_from = 0;
    std::uint32_t single_to = 0;
    memory::divider tiles_a_page{};
    std::uint32_t tiles = 0;
};

MARCONI_HOST_DEVICE inline void copy_page_tile(page_job const& job, std::uint32_t tile,
                                               std::uint32_t lane) {
    std::uint32_t const i = job.tiles_a_page.quotient(tile);
    std::byte const* const source =
        job.from_arena + (job.from ? job.from[i] : job.single_from) * job.page_bytes;
    std::byte* const target = job.to_arena + (job.to ? job.to[i] : job.single_to) * job.page_bytes;
    copy_share<direction::to_engine>(sizeof(sixteen_bytes), tile - i * job.tiles_a_page.divisor(),
                                     lane, 0, job.page_bytes, [&](std::uint64_t at) {
                                         return memory::place{const_cast<std::byte*>(source) + at,
                                                              target + at, job.page_bytes - at};
                                     });
}

} // namespace marconi::gpu
