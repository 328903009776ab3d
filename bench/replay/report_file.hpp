#pragma once

// The file, or the stream, that a report is written to.

#include <fstream>
#include <iosfwd>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace marconi::replay {

/// Throws invalid_argument if a report would replace one of these files ("-" is standard input).
void expect_out_is_no_input(std::optional<std::string> const& out,
                            std::vector<std::string> const& inputs);

/// Where a report goes. The path is tried before the work starts, so that a wrong one costs no
/// time. An existing file is replaced at the end, and stays as it was if no report comes. Until
/// then the report is held in memory, so that a program that is ended leaves nothing behind,
/// whatever ends it.
class report_file {
public:
    /// A file, or `standard` where there is no path. Throws error.
    report_file(std::optional<std::string> const& path, std::ostream& standard);
    report_file(report_file const&) = delete;
    report_file& operator=(report_file const&) = delete;

    [[nodiscard]] std::ostream& stream() { return *stream_; }
    /// To call when the report is whole. Throws error if anything could not be written. Signals
    /// that end a program, sent to this thread while a file is written, wait until it is.
    void finish();

private:
    void replace_target(std::string const& text) const;

    std::string name_;
    std::string target_; ///< replaced at the end; if empty, output is written at once
    std::ostringstream text_;
    std::ofstream at_once_;
    std::ostream* stream_;
};

} // namespace marconi::replay
