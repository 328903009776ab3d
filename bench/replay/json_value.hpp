#pragma once

// JSON values from anybody: how messages describe them, and whether they are in range.

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace marconi::replay {

/// The value that a text is. If it is none, or an object in it names a field twice, calls fail(what
/// is wrong with it), which must throw.
template <class Fail>
[[nodiscard]] nlohmann::json parse_json(std::string_view text, Fail&& fail) {
    auto const fail_at = [&](std::size_t byte) {
        fail("is not JSON: error at byte " + std::to_string(byte) + " of " +
             std::to_string(text.size()));
    };
    // For the parser the text ends at a zero byte.
    std::size_t const zero = text.find('\0');
    if (zero != std::string_view::npos) fail_at(zero + 1);
    std::vector<std::set<std::string>> fields; // of the objects that are open
    auto const meets = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
        using kind = nlohmann::json::parse_event_t;
        if (event == kind::object_start) fields.emplace_back();
        if (event == kind::object_end) fields.pop_back();
        if (event != kind::key) return true;
        auto const& name = value.get_ref<std::string const&>();
        if (!fields.back().insert(name).second)
            fail("field '" + name.substr(0, 40) + "': is there twice"); // it may be a gigabyte
        return true;
    };
    try {
        return nlohmann::json::parse(text.begin(), text.end(), meets);
    } catch (nlohmann::json::parse_error const& e) {
        if (e.byte > text.size()) fail("is not JSON: it ends early");
        fail_at(e.byte);
    } catch (nlohmann::json::exception const&) {
        fail("is not JSON: a number in it is out of range");
    }
    return {};
}

/// What a value is, in few words: it may be a gigabyte, or nested a million deep.
[[nodiscard]] inline std::string describe(nlohmann::json const& value) {
    if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
    if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
    if (value.is_number() || value.is_boolean()) return value.dump();
    if (value.is_null()) return "null";
    if (value.is_string()) return "a string";
    return value.is_array() ? "an array" : "an object";
}

[[nodiscard]] inline bool is_count(nlohmann::json const& value, std::uint64_t least,
                                   std::uint64_t most) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() >= least &&
           value.get<std::uint64_t>() <= most;
}

/// What is_count() expects.
[[nodiscard]] inline std::string count_from_to(std::uint64_t least, std::uint64_t most) {
    return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
}

} // namespace marconi::replay
