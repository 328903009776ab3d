#pragma once

// How the programs end.

#include <functional>
#include <iosfwd>

namespace marconi::replay {

namespace exit_code {
inline constexpr int good = 0;
inline constexpr int incomplete = 1; ///< the report lacks a trace, or there is no report
inline constexpr int refused = 2;    ///< the command line was refused: nothing was done
} // namespace exit_code

/// What `work` returns. If it throws, `err` is told why, under the program's name, and the code is
/// `refused` for an invalid_argument, which is to end like what the parser refuses, or else
/// `failed`.
[[nodiscard]] int exit_code_of(std::function<int()> const& work, char const* program, int failed,
                               std::ostream& err);

} // namespace marconi::replay
