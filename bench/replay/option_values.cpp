#include "option_values.hpp"

#include <marconi/core/error.hpp>

#include <charconv>
#include <sstream>

namespace marconi::replay {

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
    auto const read = [least, most](std::string& text) -> std::string {
        std::uint64_t value = 0;
        auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (problem != std::errc{} || end != text.data() + text.size() || value < least ||
            value > most)
            return "is '" + text + "'; expected a whole number from " + std::to_string(least) +
                   " to " + std::to_string(most);
        text = std::to_string(value);
        return {};
    };
    return CLI::Validator{read, ""};
}

std::vector<std::string> listed(std::vector<std::string> const& values, char const* option) {
    std::vector<std::string> items;
    for (std::string const& value : values) {
        std::istringstream rest{value + ','};
        for (std::string item; std::getline(rest, item, ',');) {
            std::size_t const begin = item.find_first_not_of(' ');
            if (begin == std::string::npos)
                throw_invalid(option, value.empty() ? "empty" : "'" + value + "'",
                              "a list separated by single commas");
            items.push_back(item.substr(begin, item.find_last_not_of(' ') + 1 - begin));
        }
    }
    return items;
}

} // namespace marconi::replay
