#include "sizes.hpp"

#include <marconi/core/error.hpp>
#include <marconi/core/units.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

namespace marconi::replay {

namespace {

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 9> units = {{
    {"b", 1},
    {"kb", 1'000},
    {"mb", 1'000'000},
    {"gb", 1'000'000'000},
    {"tb", 1'000'000'000'000},
    {"kib", std::uint64_t{1} << 10},
    {"mib", std::uint64_t{1} << 20},
    {"gib", std::uint64_t{1} << 30},
    {"tib", std::uint64_t{1} << 40},
}};

[[noreturn]] void reject(std::string_view text, std::string_view expectation) {
    throw_invalid("capacity", std::string{"'"}.append(text).append("'"), expectation);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Three digits and a unit; each unit is 1000 times the one before.
template <std::size_t N>
std::string scaled(double value, std::array<char const*, N> const& names) {
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < N) {
        value /= 1000;
        ++unit;
    }
    bool const whole = unit == 0 || value >= 99.95;
    return format_fixed(value, whole ? 0 : value >= 9.995 ? 1 : 2) + " " + names[unit];
}

} // namespace

byte_count capacity::of(byte_count infinite) const {
    if (bytes) return *bytes;
    double const part = std::round(static_cast<double>(infinite.value()) * share);
    return byte_count{std::max<std::uint64_t>(1, static_cast<std::uint64_t>(part))};
}

capacity parse_capacity(std::string_view text) {
    constexpr std::string_view example = "a size such as 5GB, 512MiB or 10%";
    std::size_t const digits = std::min(text.find_first_not_of("0123456789."), text.size());
    std::string_view const number = text.substr(0, digits);
    std::string unit{text.substr(digits)};
    unit.erase(0, unit.find_first_not_of(' '));
    std::ranges::transform(unit, unit.begin(), lower);

    double value = 0;
    auto const [end, problem] =
        std::from_chars(number.data(), number.data() + number.size(), value);
    if (problem == std::errc::result_out_of_range) reject(text, "at most 2^63 bytes");
    if (problem != std::errc{} || end != number.data() + number.size()) reject(text, example);
    if (unit.empty()) reject(text, "a unit after the number: B, KB, MB, GB, TB, KiB to TiB, or %");
    if (unit == "%") {
        if (!(value > 0 && value <= 100)) reject(text, "above 0% and at most 100%");
        return {.bytes = {}, .share = value / 100};
    }
    auto const* const found = std::ranges::find(units, unit, &decltype(units)::value_type::first);
    if (found == units.end()) reject(text, example);
    double const bytes = std::round(value * static_cast<double>(found->second));
    if (bytes < 1) reject(text, "at least 1 byte");
    // Beyond 2^53 a double skips numbers; nobody means a capacity to the byte there.
    if (bytes > 0x1p63) reject(text, "at most 2^63 bytes");
    return {.bytes = byte_count{static_cast<std::uint64_t>(bytes)}, .share = 0};
}

std::string format_bytes(std::uint64_t bytes) {
    return scaled(static_cast<double>(bytes), std::array{"B", "KB", "MB", "GB", "TB", "PB", "EB"});
}

std::string format_flops(double flops) {
    return scaled(flops, std::array{"FLOP", "KFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP",
                                    "ZFLOP", "YFLOP"});
}

std::string format_count(std::uint64_t count) {
    std::string text = std::to_string(count);
    for (std::size_t left = text.size(); left > 3; left -= 3)
        text.insert(left - 3, 1, ',');
    return text;
}

std::string format_share(double share) { return format_fixed(100 * share, 2) + " %"; }

std::string format_fixed(double value, int decimals) {
    std::array<char, 512> text{}; // the largest double has 309 digits before the point
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    return text.data();
}

} // namespace marconi::replay
