#include "line_source.hpp"

#include <span>

namespace marconi::replay {

namespace {

constexpr std::size_t refill_bytes = std::size_t{1} << 18;

std::string name_of(std::string const& path) { return path == "-" ? "standard input" : path; }

byte_source open(std::string const& path) try {
    return byte_source{path};
} catch (error const& why) {
    throw trace_error{(path == "-" ? name_of(path) : "'" + path + "'") +
                      " cannot be opened: " + why.what()};
}

} // namespace

line_source::line_source(std::string const& path, std::size_t most_bytes)
    : name_{name_of(path)}, most_bytes_{most_bytes}, bytes_{open(path)} {}

bool line_source::next(std::string_view& line) {
    std::size_t searched = begin_;
    for (;;) {
        std::size_t const end = buffer_.find('\n', searched);
        if (end != std::string::npos) {
            line = std::string_view{buffer_}.substr(begin_, end - begin_);
            begin_ = end + 1;
            ++number_;
            return true;
        }
        if (ended_) {
            line = std::string_view{buffer_}.substr(begin_);
            begin_ = buffer_.size();
            number_ += !line.empty();
            return !line.empty();
        }
        searched = buffer_.size() - begin_;
        if (searched > most_bytes_)
            throw trace_error{name_ + ":" + std::to_string(number_ + 1) +
                              ": is too long a line; expected at most " +
                              std::to_string(most_bytes_) + " bytes"};
        fill();
    }
}

void line_source::fill() {
    buffer_.erase(0, begin_);
    begin_ = 0;
    std::size_t const old_size = buffer_.size();
    buffer_.resize(old_size + refill_bytes);
    std::size_t got = 0;
    try {
        got = bytes_.read(std::span{buffer_}.subspan(old_size));
    } catch (error const& why) {
        throw trace_error{name_ + ":" + std::to_string(number_ + 1) +
                          ": cannot be read: " + why.what()};
    }
    buffer_.resize(old_size + got);
    ended_ = got == 0;
}

} // namespace marconi::replay
