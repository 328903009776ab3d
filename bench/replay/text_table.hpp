#pragma once

// Rows of cells as aligned text.

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace marconi::replay {

class text_table {
public:
    using row = std::vector<std::string>;

    /// Adds a row; rows need not have the same number of cells.
    void add(row cells) { lines_.push_back({.cells = std::move(cells), .is_text = false}); }
    /// Adds a line of text between the rows; it does not widen their columns.
    void add_text(std::string text) {
        lines_.push_back({.cells = {std::move(text)}, .is_text = true});
    }

    /// The first column flush left, the others flush right, two spaces between.
    void print(std::ostream& to) const;

private:
    struct line {
        row cells;
        bool is_text = false;
    };

    std::vector<line> lines_;
};

} // namespace marconi::replay
