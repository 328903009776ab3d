#include "json_line.hpp"

#include "json_value.hpp"

namespace marconi::replay {

using nlohmann::json;

json_line::json_line(line_source const& source, std::string_view text) : source_{&source} {
    if (text.find_first_not_of(" \t\r") == std::string_view::npos)
        fail("is empty; expected a JSON object");
    // Every value but the first follows one of these characters; those in strings are counted too.
    // An object counts twice, since its members take as much again.
    std::size_t values = 0;
    for (char const c : text)
        values += static_cast<std::size_t>((c == ',') + (c == '[') + 2 * (c == '{'));
    if (values > line_source::most_values)
        fail("holds " + std::to_string(values) + " values or more; expected at most " +
             std::to_string(line_source::most_values));
    object_ = parse_json(text, [&](std::string const& problem) { fail(problem); });
    if (!object_.is_object()) fail("is " + describe(object_) + "; expected a JSON object");
}

std::uint64_t json_line::count(char const* field, std::uint64_t least, std::uint64_t most) const {
    json const& value = at(field, count_from_to(least, most));
    if (!is_count(value, least, most)) fail(field, describe(value), count_from_to(least, most));
    return value.get<std::uint64_t>();
}

double json_line::time(char const* field, char const* unit) const {
    std::string const expected = std::string{"a number of "} + unit + ", at least 0";
    json const& value = at(field, expected);
    if (!value.is_number() || !(value.get<double>() >= 0)) fail(field, describe(value), expected);
    return value.get<double>();
}

std::size_t json_line::length(char const* field) const { return array(field).size(); }

void json_line::append(char const* field, std::int32_t most, std::vector<std::int32_t>& to) const {
    json const& values = array(field);
    std::uint64_t const limit = static_cast<std::uint64_t>(most);
    to.reserve(to.size() + values.size());
    for (json const& value : values) {
        if (!is_count(value, 0, limit))
            fail(field, describe(value) + " at index " + std::to_string(&value - &values.front()),
                 count_from_to(0, limit));
        to.push_back(static_cast<std::int32_t>(value.get<std::uint64_t>()));
    }
}

void json_line::fail(char const* field, std::string const& got, std::string const& expected) const {
    fail(std::string{"field '"} + field + "': is " + got + "; expected " + expected);
}

void json_line::fail(std::string const& problem) const {
    throw trace_error{source_->name() + ":" + std::to_string(source_->number()) + ": " + problem};
}

json const& json_line::at(char const* field, std::string const& expected) const {
    auto const found = object_.find(field);
    if (found == object_.end()) fail(field, "missing", expected);
    return *found;
}

json const& json_line::array(char const* field) const {
    std::string const expected = "an array of token ids";
    json const& value = at(field, expected);
    if (!value.is_array()) fail(field, describe(value), expected);
    return value;
}

} // namespace marconi::replay
