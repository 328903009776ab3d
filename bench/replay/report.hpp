#pragma once

// Writes results for people (a table), spreadsheets (CSV) and programs (JSON lines).

#include "options.hpp"
#include "result.hpp"

#include <iosfwd>
#include <span>

namespace marconi::replay {

/// A table has one block for each trace and capacity, with `*` at the policy that saved the most
/// FLOPs of those with the same limit. CSV has a heading, and empty cells where there is no value.
/// JSON has one object a line, so that files can be appended to one another, and null where there
/// is no value.
void write_report(report_format format, std::span<result const> results, std::ostream& to);

} // namespace marconi::replay
