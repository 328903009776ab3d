#pragma once

// All of tiny_engine but its main(), so that tests can run it.

#include <replay/exit_code.hpp>

#include <iosfwd>

namespace tiny {

/// How the program ends, besides marconi_replay's codes for what is good and for what is refused.
namespace exit_code {
using marconi::replay::exit_code::good;
using marconi::replay::exit_code::refused; ///< prove: or nothing was put to the test
inline constexpr int differs = 1;          ///< prove: a bit does, or the cache is inconsistent
inline constexpr int failed = 3;           ///< there is no report, or not the whole of it
} // namespace exit_code

/// Does what the command line asks for and returns an exit_code. Reports go to `out`; `err` is told
/// what went wrong. Throws nothing.
[[nodiscard]] int run_program(int argc, char const* const* argv, std::ostream& out,
                              std::ostream& err);

} // namespace tiny
