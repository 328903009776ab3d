#pragma once

// Capacities as people write them, and numbers as people read them.

#include <marconi/core/types.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace marconi::replay {

/// A number of bytes, or a share of what an infinite cache would hold at its peak.
struct capacity {
    std::optional<byte_count> bytes; // at least 1; nothing: `share` applies
    double share = 0;                // above 0, at most 1

    /// In bytes, given what an infinite cache held at its peak; at least 1.
    [[nodiscard]] byte_count of(byte_count infinite) const;

    friend bool operator==(capacity const&, capacity const&) = default;
};

/// Parses "5GB" (10^9), "5GiB" (2^30), "1.5GB", "512MB", "100B", "10%"; units from B to TB and
/// TiB, in either case. Throws invalid_argument.
[[nodiscard]] capacity parse_capacity(std::string_view text);

/// 26,787,840 -> "26.8 MB": three digits, units of 1000.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);
/// 5.1e14 -> "510 TFLOP".
[[nodiscard]] std::string format_flops(double flops);
/// 1234567 -> "1,234,567".
[[nodiscard]] std::string format_count(std::uint64_t count);
/// 0.1234 -> "12.34 %".
[[nodiscard]] std::string format_share(double share);
[[nodiscard]] std::string format_fixed(double value, int decimals);

} // namespace marconi::replay
