#include "text_table.hpp"

#include <algorithm>
#include <ostream>

namespace marconi::replay {

void text_table::print(std::ostream& to) const {
    std::vector<std::size_t> widths;
    for (auto const& [cells, is_text] : lines_) {
        if (is_text) continue;
        widths.resize(std::max(widths.size(), cells.size()));
        for (std::size_t i = 0; i < cells.size(); ++i)
            widths[i] = std::max(widths[i], cells[i].size());
    }
    for (auto const& [cells, is_text] : lines_) {
        std::string out = is_text ? cells.front() : std::string{};
        for (std::size_t i = 0; i < cells.size() && !is_text; ++i) {
            std::string const padding(widths[i] - cells[i].size(), ' ');
            out += i == 0 ? cells[i] + padding : "  " + padding + cells[i];
        }
        out.erase(out.find_last_not_of(' ') + 1);
        to << out << '\n';
    }
}

} // namespace marconi::replay
