#pragma once

// A transfer's tables, laid out one behind the other in one buffer, and the job that refers to
// them. The host writes them in one place, the kernel reads a copy in another.
//
//     | KV parts | pieces of checkpoints | pages | the engine's blocks, of what is copied |

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/tiles.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/places.hpp>
#include <marconi/memory/state_places.hpp>
#include <marconi/memory/transfer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>

namespace marconi::gpu {

/// Tiles that `bytes` bytes take, in vectors of `alignment`.
[[nodiscard]] constexpr std::uint64_t tiles_for(std::uint64_t bytes, std::uint32_t alignment) {
    return divide_up(bytes, std::uint64_t{tile_vectors} * alignment);
}

/// Kernels count tiles in 32 bits: 8 TiB in one transfer if its vectors have 16 bytes.
[[nodiscard]] inline std::uint32_t checked_tiles(std::uint64_t tiles) {
    if (tiles > std::numeric_limits<std::uint32_t>::max())
        throw size_overflow{"a copy of " + std::to_string(tiles) + " tiles; at most 2^32 - 1"};
    return static_cast<std::uint32_t>(tiles);
}

/// Where a transfer's tables lie in their buffer, in bytes.
class job_tables {
public:
    job_tables(memory::transfer const& t, memory::page_layout const& layout)
        : transfer_{t}, layout_{layout} {
        if (t.kv.begin != t.kv.end)
            memory::each_part(t.kv.engine, layout, [&](auto const&) { ++parts_; });
        std::uint64_t pages = parts_ == 0 ? 0 : t.kv.pages.size();
        for (memory::checkpoint_transfer const& c : t.checkpoints) {
            if (c.engine.windows.empty())
                pieces_ += c.engine.pieces.size();
            else
                memory::each_piece(c, layout, [&](auto const&) { ++pieces_; });
            pages += c.pages.size();
        }
        pieces_at_ = parts_ * sizeof(tiled_kv_part);
        pages_at_ = pieces_at_ + pieces_ * sizeof(tiled_state_part);
        blocks_at_ = pages_at_ + pages * sizeof(std::uint32_t);
        bytes_ = blocks_at_ + (parts_ == 0 ? 0 : engine_blocks().size_bytes());
    }

    [[nodiscard]] std::size_t bytes() const { return bytes_; }

    /// Fills `buffer`, at a multiple of 16. The job still needs read_from() to find its tables.
    [[nodiscard]] copy_job write(std::byte* buffer, std::byte* arena) const {
        copy_job job;
        job.arena = arena;
        job.cut = memory::page_divider::of(layout_);
        job.pieces_at = pieces_at_;
        job.pages_at = pages_at_;
        std::uint32_t listed = 0;
        auto const list = [&](std::span<page_id const> pages) {
            if (pages.empty()) return; // memcpy must not get a null pointer, even for 0 bytes
            static_assert(sizeof(page_id) == sizeof(std::uint32_t));
            std::memcpy(buffer + pages_at_ + listed * sizeof(std::uint32_t), pages.data(),
                        pages.size_bytes());
            listed += static_cast<std::uint32_t>(pages.size());
        };
        if (parts_ != 0) {
            list(transfer_.kv.pages);
            write_kv(job, buffer);
        }
        std::uint64_t tiles = 0;
        std::uint32_t count = 0;
        for (memory::checkpoint_transfer const& c : transfer_.checkpoints) {
            write_pieces(buffer + pieces_at_, c, listed, count, tiles);
            list(c.pages);
        }
        job.which_piece = part_finder::of(count, tiles);
        job.tiles = checked_tiles(job.kv_tiles + tiles);
        return job;
    }

private:
    /// The engine's blocks of the tokens that are copied.
    [[nodiscard]] std::span<std::int32_t const> engine_blocks() const {
        memory::kv_transfer const& t = transfer_.kv;
        if (t.engine.blocks.empty()) return {};
        std::uint64_t const last = (t.end.value() - 1) / t.engine.block_tokens;
        return t.engine.blocks.subspan(first_engine_block(), last + 1 - first_engine_block());
    }
    [[nodiscard]] std::uint32_t first_engine_block() const {
        return static_cast<std::uint32_t>(transfer_.kv.begin.value() /
                                          transfer_.kv.engine.block_tokens);
    }
    void write_kv(copy_job& job, std::byte* buffer) const {
        memory::kv_transfer const& t = transfer_.kv;
        job.range = memory::make_range(t, layout_);
        job.range.engine_blocks = nullptr; // the caller's own list is in host memory
        if (std::span const blocks = engine_blocks(); !blocks.empty()) {
            std::memcpy(buffer + blocks_at_, blocks.data(), blocks.size_bytes());
            job.blocks_at = blocks_at_;
            job.range.first_engine_block = first_engine_block();
        }
        std::uint64_t tiles = 0;
        std::uint32_t count = 0;
        memory::each_part(t.engine, layout_, [&](memory::kv_part const& part) {
            std::uint64_t const most = std::uint64_t{layout_.block_tokens()} * part.row.divisor();
            new (buffer + count++ * sizeof(tiled_kv_part))
                tiled_kv_part{part, checked_tiles(tiles)};
            tiles += tiles_for(most, part.alignment);
        });
        job.which_part = part_finder::of(count, tiles);
        job.tiles_a_page = memory::divider{checked_tiles(tiles)};
        job.kv_tiles = checked_tiles(tiles * t.pages.size());
    }
    /// Adds the pieces of one checkpoint. `count` and `tiles` run on from those before.
    void write_pieces(std::byte* pieces, memory::checkpoint_transfer const& c,
                      std::uint32_t first_page, std::uint32_t& count, std::uint64_t& tiles) const {
        memory::each_piece(c, layout_, [&](memory::state_part const& piece) {
            if (piece.bytes == 0) return;
            new (pieces + count++ * sizeof(tiled_state_part))
                tiled_state_part{piece, first_page, checked_tiles(tiles)};
            tiles += tiles_for(piece.bytes, piece.alignment);
        });
    }

    memory::transfer const& transfer_;
    memory::page_layout const& layout_;
    std::size_t parts_ = 0, pieces_ = 0;
    std::size_t pieces_at_ = 0, pages_at_ = 0, blocks_at_ = 0, bytes_ = 0;
};

/// Copies whole pages between two arenas. `lists` is where the kernel will read all sources, then
/// all targets; a single pair needs none.
[[nodiscard]] inline page_job make_page_job(std::byte const* from_arena, std::byte* to_arena,
                                            std::uint64_t page_bytes, std::span<page_id const> from,
                                            std::span<page_id const> to, std::byte* lists) {
    page_job job;
    job.from_arena = from_arena;
    job.to_arena = to_arena;
    job.page_bytes = page_bytes;
    std::uint64_t const tiles = tiles_for(page_bytes, sizeof(sixteen_bytes));
    job.tiles_a_page = memory::divider{checked_tiles(tiles)};
    job.tiles = checked_tiles(tiles * from.size());
    if (from.size() == 1) {
        job.single_from = from[0].value();
        job.single_to = to[0].value();
    } else {
        job.from = reinterpret_cast<std::uint32_t const*>(lists);
        job.to = job.from + from.size();
    }
    return job;
}

} // namespace marconi::gpu
