#pragma once

// Lines of a file or of standard input, plain or gzip.

#include "byte_source.hpp"

#include <marconi/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace marconi::replay {

/// A trace that cannot be read. The message starts with the file and, where there is one, the
/// line and the field.
class trace_error : public error {
public:
    using error::error;
};

class line_source {
public:
    /// No trace has lines this long; files of anything else often do.
    static constexpr std::size_t longest_line = std::size_t{256} << 20;

    /// The most values that a line may hold, an object counting twice: those of the longest
    /// request, and some more. Each takes up to 96 bytes of memory while its line is read, so a
    /// line takes at most 1.6 GB besides its text.
    static constexpr std::size_t most_values = (std::size_t{1} << 24) + (1 << 16);

    /// Opens a file, or standard input for "-". Throws trace_error if that fails.
    explicit line_source(std::string const& path, std::size_t most_bytes = longest_line);

    /// The next line without its end, valid until the next call; false after the last.
    /// Throws trace_error if reading fails, as byte_source says, or if a line is too long.
    [[nodiscard]] bool next(std::string_view& line);

    /// The file's name, for messages.
    [[nodiscard]] std::string const& name() const { return name_; }
    /// The number of the line returned last, from 1.
    [[nodiscard]] std::uint64_t number() const { return number_; }

private:
    void fill();

    std::string name_;
    std::size_t most_bytes_;
    byte_source bytes_;
    std::string buffer_;
    std::size_t begin_ = 0; // of what next() has not returned yet
    bool ended_ = false;
    std::uint64_t number_ = 0;
};

} // namespace marconi::replay
