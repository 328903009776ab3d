#pragma once

// Writes results for people (a table), spreadsheets (CSV) and programs (JSON lines).

#include "options.hpp"
#include "result.hpp"

#include <fstream>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>

namespace marconi::replay {

/// As a table, one block for each trace and capacity, `*` at the policy that saved most FLOPs of
/// those with the same limit. As CSV with a heading, empty where there is no value. As JSON, one
/// object a line, so that files can be appended to one another; null where there is no value.
void write_report(report_format format, std::span<result const> results, std::ostream& to);

/// Where a report goes. Opened before the work starts, so that a wrong path costs no time; a file
/// that exists is replaced at the end, and stays as it was if none comes.
class report_file {
public:
    /// A file, or `standard` where there is no path. Throws error.
    report_file(std::optional<std::string> const& path, std::ostream& standard);
    report_file(report_file const&) = delete;
    report_file& operator=(report_file const&) = delete;
    ~report_file();

    [[nodiscard]] std::ostream& stream() { return *stream_; }
    /// The report is whole. Throws error where anything could not be written.
    void finish();

private:
    void begin_draft();

    std::string name_;
    std::string target_;
    std::string draft_; ///< beside the target, until it is whole; empty: written at once
    std::ofstream file_;
    std::ostream* stream_;
};

} // namespace marconi::replay
