#pragma once

// Random numbers that are the same on every platform: the standard fixes its engines but not its
// distributions, and libm's log and exp differ in the last bit. So everything here is done with
// whole numbers.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace marconi::replay {

/// A distribution given by some of its quantiles, with straight lines between them.
struct quantiles {
    /// How many thousandths of the draws lie at or below the entry of `values` at the same index.
    static constexpr std::array<std::uint32_t, 16> thousandths = {
        0, 10, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 990, 999, 1000};

    std::array<std::uint32_t, thousandths.size()> values; // never falling
};

/// SplitMix64 (Steele, Lea, Flood 2014): a counter through a mixing function.
class random_source {
public:
    explicit constexpr random_source(std::uint64_t seed) : state_{seed} {}
    /// A source of its own for each combination of arguments.
    constexpr random_source(std::uint64_t seed, std::uint64_t purpose, std::uint64_t index)
        : state_{mix(mix(mix(seed + step) + purpose + step) + index + step)} {}

    constexpr std::uint64_t next() { return mix(state_ += step); }

    /// Uniform in [0, end); end >= 1.
    constexpr std::uint32_t below(std::uint32_t end) {
        return static_cast<std::uint32_t>(((next() >> 32) * end) >> 32);
    }

    /// A draw from a distribution, rounded to the nearest whole number.
    constexpr std::uint32_t draw(quantiles const& from) {
        // Each thousandth in 1024 parts, so that long segments reach all of their values.
        constexpr std::uint64_t parts = 1024;
        std::uint64_t const at = below(static_cast<std::uint32_t>(1000 * parts));
        std::size_t right = 1;
        while (at >= quantiles::thousandths[right] * parts)
            ++right;
        std::uint64_t const from_at = quantiles::thousandths[right - 1] * parts;
        std::uint64_t const width = quantiles::thousandths[right] * parts - from_at;
        std::uint64_t const low = from.values[right - 1];
        std::uint64_t const rise = from.values[right] - low;
        return static_cast<std::uint32_t>(low + (rise * (at - from_at) + width / 2) / width);
    }

    /// Appends `count` tokens of text that nothing else repeats: ids of a vocabulary of 32,000
    /// less the first few, which tokenizers use as marks.
    void append_text(std::vector<std::int32_t>& to, std::uint32_t count) {
        constexpr std::uint32_t marks = 3;
        constexpr std::uint32_t vocabulary = 32'000;
        for (std::uint32_t i = 0; i < count; ++i)
            to.push_back(static_cast<std::int32_t>(marks + below(vocabulary - marks)));
    }

private:
    static constexpr std::uint64_t step = 0x9E3779B97F4A7C15u;

    static constexpr std::uint64_t mix(std::uint64_t z) {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }

    std::uint64_t state_;
};

} // namespace marconi::replay
