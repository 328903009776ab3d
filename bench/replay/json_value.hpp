#pragma once

// JSON values from anybody: how messages describe them, and whether they are in range.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace marconi::replay {

/// What a value is, in few words: it may be a gigabyte, or nested a million deep.
[[nodiscard]] inline std::string describe(nlohmann::json const& value) {
    if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
    if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
    if (value.is_number() || value.is_boolean()) return value.dump();
    if (value.is_null()) return "null";
    if (value.is_string()) return "a string";
    return value.is_array() ? "an array" : "an object";
}

[[nodiscard]] inline bool is_count(nlohmann::json const& value, std::uint64_t least,
                                   std::uint64_t most) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() >= least &&
           value.get<std::uint64_t>() <= most;
}

/// What is_count() expects.
[[nodiscard]] inline std::string count_from_to(std::uint64_t least, std::uint64_t most) {
    return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
}

} // namespace marconi::replay
