#pragma once

#include <marconi/core/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace marconi::index {

/// A point on a path: `depth` tokens down, inside or at the end of the edge of `node`.
struct location {
    node_id node;
    std::uint32_t depth;
    friend constexpr bool operator==(location, location) = default;
};

/// How many leading elements of two runs of `n` agree: memory-compares of doubling length, so
/// that equal runs go at memory speed and an early difference is found early. O(n).
template <token Token>
[[nodiscard]] std::size_t common_prefix(Token const* a, Token const* b, std::size_t n) {
    auto const equal = [&](std::size_t at, std::size_t count) {
        return std::memcmp(a + at, b + at, count * sizeof(Token)) == 0;
    };
    constexpr std::size_t shortest = 16, longest = 4096;
    std::size_t same = 0;
    std::size_t stride = shortest;
    while (same < n && equal(same, std::min(stride, n - same))) {
        same += std::min(stride, n - same);
        stride = std::min(2 * stride, longest);
    }
    // The first difference, if any, is within the next stride: close in on it by halves.
    for (std::size_t left = std::min(stride, n - same); left > 1;) {
        std::size_t const half = left / 2;
        if (equal(same, half)) {
            same += half;
            left -= half;
        } else {
            left = half;
        }
    }
    return same;
}

} // namespace marconi::index
