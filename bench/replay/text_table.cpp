#include "text_table.hpp"

#include <algorithm>
#include <ostream>

namespace marconi::replay {

void text_table::print(std::ostream& to) const {
    std::vector<std::size_t> widths;
    for (row const& cells : rows_) {
        widths.resize(std::max(widths.size(), cells.size()));
        for (std::size_t i = 0; i < cells.size(); ++i)
            widths[i] = std::max(widths[i], cells[i].size());
    }
    for (row const& cells : rows_) {
        std::string line;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            std::string const padding(widths[i] - cells[i].size(), ' ');
            line += i == 0 ? cells[i] + padding : "  " + padding + cells[i];
        }
        line.erase(line.find_last_not_of(' ') + 1);
        to << line << '\n';
    }
}

} // namespace marconi::replay
