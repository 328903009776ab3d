#pragma once

#include <string>

namespace marconi::replay {

/// What --help says below the options: the policies, the units, the estimates and examples.
[[nodiscard]] std::string help_epilogue();

} // namespace marconi::replay
