#pragma once

#include <bit>
#include <cstdint>

// By the bits of a double: where -ffast-math is set, as some engines do, compilers take it for
// granted that no number is infinite or NaN, and drop every test that says otherwise.

namespace marconi {

[[nodiscard]] constexpr bool is_finite(double x) {
    return (std::bit_cast<std::uint64_t>(x) >> 52 & 0x7FF) != 0x7FF;
}
[[nodiscard]] constexpr bool is_nan(double x) {
    return !is_finite(x) && (std::bit_cast<std::uint64_t>(x) & 0xF'FFFF'FFFF'FFFF) != 0;
}
[[nodiscard]] constexpr bool is_plus_infinity(double x) {
    return std::bit_cast<std::uint64_t>(x) == std::uint64_t{0x7FF} << 52;
}

} // namespace marconi
