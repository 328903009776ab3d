#pragma once

// Writes results for people (a table), spreadsheets (CSV) and programs (JSON lines).

#include "options.hpp"
#include "result.hpp"

#include <iosfwd>
#include <span>

namespace marconi::replay {

/// As a table, one block for each trace and capacity, `*` at the policy that saved most FLOPs of
/// those with the same limit. As CSV with a heading, empty where there is no value. As JSON, one
/// object a line, so that files can be appended to one another; null where there is no value.
void write_report(report_format format, std::span<result const> results, std::ostream& to);

} // namespace marconi::replay
