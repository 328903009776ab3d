#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <system_error>

namespace marconi::tests {

/// The value of an option that is a whole number. If it is none, or less than `least` or more than
/// `most`, says so and ends the program with 2.
inline std::uint64_t whole_number(char const* option, std::string_view text,
                                  std::uint64_t least = 0,
                                  std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t value = 0;
    char const* const end = text.data() + text.size();
    auto const [at, problem] = std::from_chars(text.data(), end, value);
    if (problem == std::errc{} && at == end && value >= least && value <= most) return value;
    std::fprintf(stderr, "%s is '%.*s'; expected a whole number from %llu to %llu\n", option,
                 static_cast<int>(text.size()), text.data(), static_cast<unsigned long long>(least),
                 static_cast<unsigned long long>(most));
    std::exit(2);
}

} // namespace marconi::tests
