#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <exception>
#include <random>

namespace marconi {

/// Mixes 64 bits so that every output bit depends on all input bits.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) {
    x ^= x >> 32;
    x *= 0xE9846AF9B1A615Du;
    x ^= x >> 32;
    x *= 0xE9846AF9B1A615Du;
    x ^= x >> 28;
    return x;
}

/// Of a seed and some bytes.
[[nodiscard]] inline std::uint64_t hash_bytes(std::uint64_t seed, void const* bytes,
                                              std::size_t count) {
    std::uint64_t hash = mix(seed);
    for (std::size_t at = 0; at < count; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, static_cast<std::byte const*>(bytes) + at,
                    count - at < 8 ? count - at : 8);
        hash = mix(hash ^ word);
    }
    return hash;
}

/// A number that no request can foresee. Everything filed by hashes uses such a seed, so that
/// nobody can choose tokens, scopes or an order of requests that all collide. The seed decides how
/// long a search takes, never what it finds.
[[nodiscard]] inline std::uint64_t random_seed() {
    try {
        std::random_device entropy;
        return mix(entropy() | std::uint64_t{entropy()} << 32);
    } catch (std::exception const&) { // a machine without a source of randomness: better than none
        return mix(static_cast<std::uint64_t>(std::time(nullptr)) << 32 ^
                   static_cast<std::uint64_t>(std::clock()));
    }
}

} // namespace marconi
