#pragma once

// All of marconi_replay but its main(), so that tests can run it.

#include <iosfwd>

namespace marconi::replay {

/// How the program ends.
namespace exit_code {
inline constexpr int good = 0;
inline constexpr int incomplete = 1; ///< the report lacks a trace, or there is no report
inline constexpr int refused = 2;    ///< the command line was refused: nothing was done
} // namespace exit_code

/// Does what the command line asks for and returns the exit code. The report goes to `out` or to a
/// file; if it is not what was asked for, `err` is told why. Throws nothing.
[[nodiscard]] int run_program(int argc, char const* const* argv, std::ostream& out,
                              std::ostream& err);

} // namespace marconi::replay
