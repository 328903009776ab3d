#pragma once

// How the programs' command lines read what several of their options take.

#include <CLI/CLI.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace marconi::replay {

/// No bound on a whole_number but that of its type.
inline constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();

/// CLI11 reads "-1" into an unsigned number without complaint, and "010" as eight; and it describes
/// its own checks at length in the help. So numbers are read, and their ranges described, here: for
/// an option's transform().
[[nodiscard]] CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);

/// What commas separate in an option's values, without the blanks around each. Throws
/// invalid_argument if one of them is empty.
[[nodiscard]] std::vector<std::string> listed(std::vector<std::string> const& values,
                                              char const* option);

} // namespace marconi::replay
