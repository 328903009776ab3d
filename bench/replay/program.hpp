#pragma once

// All of marconi_replay but its main(), so that tests can run it.

#include "exit_code.hpp"

#include <iosfwd>

namespace marconi::replay {

/// Does what the command line asks for and returns an exit_code. The report goes to `out` or to a
/// file; if it is not what was asked for, `err` is told why. Throws nothing.
[[nodiscard]] int run_program(int argc, char const* const* argv, std::ostream& out,
                              std::ostream& err);

} // namespace marconi::replay
