#include "line_source.hpp"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace marconi::replay {

namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 18;

gzFile as_gz(void* file) { return static_cast<gzFile>(file); }

} // namespace

void line_source::closer::operator()(void* file) const { gzclose_r(as_gz(file)); }

line_source::line_source(std::string const& path, std::size_t most_bytes)
    : name_{path == "-" ? "standard input" : path}, most_bytes_{most_bytes} {
    errno = 0;
    // A duplicate, since closing the source must leave standard input open.
    gzFile const file = path == "-" ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path.c_str(), "rb");
    if (file == nullptr)
        throw trace_error{
            name_ + ": cannot be opened: " + (errno != 0 ? std::strerror(errno) : "out of memory")};
    file_.reset(file);
    gzbuffer(file, chunk_bytes);
}

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
                              ": is longer than a line can be; expected at most " +
                              std::to_string(most_bytes_) + " bytes"};
        fill();
    }
}

void line_source::fill() {
    buffer_.erase(0, begin_);
    begin_ = 0;
    std::size_t const old_size = buffer_.size();
    buffer_.resize(old_size + chunk_bytes);
    gzFile const file = as_gz(file_.get());
    int const got = gzread(file, buffer_.data() + old_size, chunk_bytes);
    buffer_.resize(old_size + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got > 0) return;
    int code = Z_OK;
    std::string const text = gzerror(file, &code);
    if (got < 0 || code != Z_OK)
        throw trace_error{name_ + ":" + std::to_string(number_ + 1) + ": cannot be read: " +
                          (code == Z_ERRNO ? std::strerror(errno)
                           : text.empty()  ? "damaged gzip data"
                                           : text)};
    ended_ = true;
}

} // namespace marconi::replay
