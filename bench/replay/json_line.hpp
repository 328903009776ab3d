#pragma once

// One line of a trace as JSON: fields are fetched with the range expected of them, and anything
// else becomes an error that names file, line and field.

#include "line_source.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace marconi::replay {

class json_line {
public:
    /// Parses the line that `source` returned last. `source` must outlive this.
    json_line(line_source const& source, std::string_view text);

    [[nodiscard]] bool has(char const* field) const { return object_.contains(field); }

    /// A whole number in [least, most].
    [[nodiscard]] std::uint64_t count(char const* field, std::uint64_t least,
                                      std::uint64_t most) const;
    /// A number of seconds, or of what `unit` names: finite and at least 0.
    [[nodiscard]] double time(char const* field, char const* unit = "seconds") const;
    /// The length of an array.
    [[nodiscard]] std::size_t length(char const* field) const;
    /// Appends an array of whole numbers in [0, most].
    void append(char const* field, std::int32_t most, std::vector<std::int32_t>& to) const;

    /// Throws "file:line: field 'x': is <got>; expected <expected>".
    [[noreturn]] void fail(char const* field, std::string const& got,
                           std::string const& expected) const;
    /// Throws "file:line: <problem>".
    [[noreturn]] void fail(std::string const& problem) const;

private:
    [[nodiscard]] nlohmann::json const& at(char const* field, std::string const& expected) const;
    [[nodiscard]] nlohmann::json const& array(char const* field) const;

    line_source const* source_;
    nlohmann::json object_;
};

} // namespace marconi::replay
