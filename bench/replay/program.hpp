#pragma once

// All of marconi_replay but its main(), so that tests can run it.

#include <iosfwd>

namespace marconi::replay {

/// How the program ends.
namespace exit_code {
inline constexpr int good = 0;
inline constexpr int incomplete = 1; ///< a trace is missing in the report, or all of the report is
inline constexpr int refused = 2;    ///< the command line is: nothing was done
} // namespace exit_code

/// Does what the command line asks for and returns the exit code. A report goes to `out` or to a
/// file; `err` is told why it is not as it was asked for. Throws nothing.
[[nodiscard]] int run_program(int argc, char const* const* argv, std::ostream& out,
                              std::ostream& err);

} // namespace marconi::replay
