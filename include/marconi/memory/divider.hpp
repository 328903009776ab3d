#pragma once

#include <marconi/core/config.hpp>

#include <cstdint>

namespace marconi::memory {

/// Divides by a number known in advance, with a multiplication and two shifts: kernels would need
/// three divisions for every 16 bytes they copy. Exact for every dividend (Granlund and Montgomery,
/// "Division by invariant integers using multiplication", 1994).
class divider {
public:
    /// Divides by 1.
    constexpr divider() : divider{1} {}
    /// `divisor` is at least 1.
    constexpr explicit divider(std::uint32_t divisor) : divisor_{divisor} {
        std::uint32_t bits = 0; // the smallest with 2^bits >= divisor
        while ((std::uint64_t{1} << bits) < divisor)
            ++bits;
        std::uint64_t const excess = (std::uint64_t{1} << bits) - divisor;
        multiplier_ = static_cast<std::uint32_t>((excess << 32) / divisor + 1);
        first_shift_ = static_cast<std::uint8_t>(bits == 0 ? 0 : 1);
        second_shift_ = static_cast<std::uint8_t>(bits == 0 ? 0 : bits - 1);
    }

    [[nodiscard]] MARCONI_HOST_DEVICE constexpr std::uint32_t divisor() const { return divisor_; }
    [[nodiscard]] MARCONI_HOST_DEVICE constexpr std::uint32_t quotient(std::uint32_t n) const {
        auto const high =
            static_cast<std::uint32_t>((static_cast<std::uint64_t>(multiplier_) * n) >> 32);
        return (high + ((n - high) >> first_shift_)) >> second_shift_;
    }

private:
    std::uint32_t divisor_;
    std::uint32_t multiplier_;
    std::uint8_t first_shift_;
    std::uint8_t second_shift_;
};

} // namespace marconi::memory
