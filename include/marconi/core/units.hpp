#pragma once

// Literals for quantities, and products and sums that throw rather than overflow.

#include <marconi/core/config.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace marconi {

/// a * b, or size_overflow naming what was computed.
[[nodiscard]] constexpr std::uint64_t checked_product(std::uint64_t a, std::uint64_t b,
                                                      std::string_view what) {
    if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b)
        throw size_overflow{std::string{what} + ": " + std::to_string(a) + " * " +
                            std::to_string(b) + " does not fit 64 bits"};
    return a * b;
}

/// a + b, or size_overflow naming what was computed.
[[nodiscard]] constexpr std::uint64_t checked_sum(std::uint64_t a, std::uint64_t b,
                                                  std::string_view what) {
    if (a > std::numeric_limits<std::uint64_t>::max() - b)
        throw size_overflow{std::string{what} + ": " + std::to_string(a) + " + " +
                            std::to_string(b) + " does not fit 64 bits"};
    return a + b;
}

/// The smallest n with n * divisor >= dividend.
[[nodiscard]] MARCONI_HOST_DEVICE constexpr std::uint64_t divide_up(std::uint64_t dividend,
                                                                    std::uint64_t divisor) {
    return dividend / divisor + (dividend % divisor != 0);
}

/// The smallest multiple of `step` that is at least `value`.
[[nodiscard]] MARCONI_HOST_DEVICE constexpr std::uint64_t round_up(std::uint64_t value,
                                                                   std::uint64_t step) {
    return divide_up(value, step) * step;
}

inline namespace literals {

// Not consteval: in templates, clang 14 leaves calls of such functions to the linker.
constexpr token_count operator""_tokens(unsigned long long n) { return token_count{n}; }
constexpr byte_count operator""_B(unsigned long long n) { return byte_count{n}; }
// The literals of bytes below throw size_overflow.
constexpr byte_count operator""_KiB(unsigned long long n) {
    return byte_count{checked_product(n, 1ull << 10, "KiB")};
}
constexpr byte_count operator""_MiB(unsigned long long n) {
    return byte_count{checked_product(n, 1ull << 20, "MiB")};
}
constexpr byte_count operator""_GiB(unsigned long long n) {
    return byte_count{checked_product(n, 1ull << 30, "GiB")};
}
constexpr byte_count operator""_KB(unsigned long long n) {
    return byte_count{checked_product(n, 1'000, "KB")};
}
constexpr byte_count operator""_MB(unsigned long long n) {
    return byte_count{checked_product(n, 1'000'000, "MB")};
}
constexpr byte_count operator""_GB(unsigned long long n) {
    return byte_count{checked_product(n, 1'000'000'000, "GB")};
}

} // namespace literals
} // namespace marconi
