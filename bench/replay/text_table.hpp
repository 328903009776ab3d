#pragma once

// Rows of cells as aligned text.

#include <iosfwd>
#include <string>
#include <vector>

namespace marconi::replay {

class text_table {
public:
    using row = std::vector<std::string>;

    /// The first row is the heading.
    explicit text_table(row heading) : rows_{std::move(heading)} {}

    void add(row cells) { rows_.push_back(std::move(cells)); }

    /// The first column flush left, the others flush right, two spaces between; a row with fewer
    /// cells than the heading ends early.
    void print(std::ostream& to) const;

private:
    std::vector<row> rows_;
};

} // namespace marconi::replay
