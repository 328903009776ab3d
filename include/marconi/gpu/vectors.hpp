#pragma once

// How a warp copies one tile: in vectors as wide as the alignment of the runs allows, so that none
// straddles two runs. Each lane does all its loads before its first store.

#include <marconi/core/config.hpp>
#include <marconi/memory/host_copy.hpp>
#include <marconi/memory/places.hpp>

#include <cstddef>
#include <cstdint>

namespace marconi::gpu {

using memory::direction;

inline constexpr std::uint32_t lanes = 32;
inline constexpr std::uint32_t vectors_per_lane = 4; ///< loads in flight before the first store
inline constexpr std::uint32_t tile_vectors = lanes * vectors_per_lane;

/// Sixteen bytes that are loaded and stored at once.
struct alignas(16) sixteen_bytes {
    std::uint64_t low, high;
};

/// Copies a lane's vectors if they lie in one run: from `from` on, `lanes` vectors apart, below
/// `left` bytes. All loads come before the first store.
template <class Vector>
MARCONI_HOST_DEVICE void copy_in_run(std::byte const* from, std::byte* to, std::uint64_t left) {
    constexpr std::uint64_t step = lanes * sizeof(Vector);
    Vector loaded[vectors_per_lane];
    MARCONI_UNROLL
    for (std::uint32_t v = 0; v < vectors_per_lane; ++v)
        if (v * step + sizeof(Vector) <= left)
            loaded[v] = *reinterpret_cast<Vector const*>(from + v * step);
    MARCONI_UNROLL
    for (std::uint32_t v = 0; v < vectors_per_lane; ++v)
        if (v * step + sizeof(Vector) <= left)
            *reinterpret_cast<Vector*>(to + v * step) = loaded[v];
}

/// Copies a lane's share of one tile: the vectors at `first`, `lanes` vectors on, ... below `end`;
/// place(offset) says where one lies. It is asked once if one run holds them all.
template <direction Way, class Vector, class Place>
MARCONI_HOST_DEVICE void copy_vectors(std::uint64_t first, std::uint64_t end, Place const& place) {
    constexpr std::uint64_t step = lanes * sizeof(Vector);
    constexpr std::uint64_t all = (vectors_per_lane - 1) * step + sizeof(Vector);
    constexpr bool to_pages = Way == direction::to_pages;
    if (first + sizeof(Vector) > end) return;
    memory::place const here = place(first);
    std::uint64_t const left = end - first;
    if (here.run >= all || here.run >= left)
        return copy_in_run<Vector>(to_pages ? here.in_engine : here.in_page,
                                   to_pages ? here.in_page : here.in_engine, left);

    Vector loaded[vectors_per_lane];
    std::byte* target[vectors_per_lane];
    MARCONI_UNROLL
    for (std::uint32_t v = 0; v < vectors_per_lane; ++v) {
        std::uint64_t const at = first + v * step;
        target[v] = nullptr;
        if (at + sizeof(Vector) > end) continue;
        memory::place const there = v == 0 ? here : place(at);
        target[v] = to_pages ? there.in_page : there.in_engine;
        loaded[v] = *reinterpret_cast<Vector const*>(to_pages ? there.in_engine : there.in_page);
    }
    MARCONI_UNROLL
    for (std::uint32_t v = 0; v < vectors_per_lane; ++v)
        if (target[v]) *reinterpret_cast<Vector*>(target[v]) = loaded[v];
}

/// Copies a lane's share of a tile of bytes [begin, end) of a part or piece, in vectors of its
/// alignment. Bytes at the end that fill no vector go one by one.
template <direction Way, class Place>
MARCONI_HOST_DEVICE void copy_share(std::uint32_t alignment, std::uint32_t tile, std::uint32_t lane,
                                    std::uint64_t begin, std::uint64_t end, Place const& place) {
    std::uint64_t const first = begin + (std::uint64_t{tile} * tile_vectors + lane) * alignment;
    switch (alignment) {
    case 16:
        copy_vectors<Way, sixteen_bytes>(first, end, place);
        break;
    case 8:
        copy_vectors<Way, std::uint64_t>(first, end, place);
        break;
    case 4:
        copy_vectors<Way, std::uint32_t>(first, end, place);
        break;
    case 2:
        copy_vectors<Way, std::uint16_t>(first, end, place);
        break;
    default:
        copy_vectors<Way, std::uint8_t>(first, end, place);
        return;
    }
    std::uint64_t const rest = end - ((end - begin) & (alignment - 1)); // a power of two
    std::uint64_t const stop = begin + std::uint64_t{tile + 1} * tile_vectors * alignment;
    std::uint64_t const at = rest + lane;
    if (at < end && rest < stop && stop - rest <= tile_vectors * alignment)
        copy_vectors<Way, std::uint8_t>(at, at + 1, place);
}

} // namespace marconi::gpu
