#pragma once

// Time to first token, estimated: how long a prefill of the tokens that were not resumed takes.
// Queueing and batching are left out.

#include <marconi/core/types.hpp>

#include <cstdint>

namespace marconi::replay {

enum class ttft_curve {
    a100x4, // by tokens: the paper's measurement of Jamba-1.5-Mini on four A100
    h100,   // by FLOPs
    h200,   // by FLOPs; it computes as fast as an H100, only its memory is larger and faster
};

namespace ttft {

inline constexpr double a100x4_ms_a_token = 0.0530;
inline constexpr double a100x4_overhead_ms = 17.8;
inline constexpr double h100_peak_flops_a_second = 989e12; // dense bf16, NVIDIA's data sheet
inline constexpr double h100_utilisation = 0.5;            // assumed: what good prefills reach
inline constexpr double h100_overhead_ms = 10;             // assumed

} // namespace ttft

/// Milliseconds to prefill `tokens` tokens that cost `flops`.
[[nodiscard]] constexpr double prefill_ms(ttft_curve curve, token_count tokens, flop_count flops) {
    if (curve == ttft_curve::a100x4)
        return ttft::a100x4_overhead_ms +
               ttft::a100x4_ms_a_token * static_cast<double>(tokens.value());
    return ttft::h100_overhead_ms +
           1000 * flops.value() / (ttft::h100_peak_flops_a_second * ttft::h100_utilisation);
}

} // namespace marconi::replay
