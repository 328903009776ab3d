#include "byte_source.hpp"

#include <marconi/core/error.hpp>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

namespace marconi::replay {

namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 18;
constexpr std::array<unsigned char, 2> gzip_magic{0x1f, 0x8b};
constexpr int gzip_window = 15 + 16; // the largest one; plus 16 means gzip's frame to zlib

} // namespace

struct byte_source::decoder : z_stream {
    decoder() : z_stream{} {
        if (inflateInit2(this, gzip_window) != Z_OK) throw error{"out of memory"};
    }
    ~decoder() { inflateEnd(this); }
    decoder(decoder const&) = delete;
    decoder& operator=(decoder const&) = delete;

    bool between = false; // one gzip member has ended, and no other has begun
};

void byte_source::closer::operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
}

byte_source::byte_source(std::string const& path)
    : file_{path == "-" ? stdin : std::fopen(path.c_str(), "rb")} {
    if (!file_) throw error{std::strerror(errno)};
}

byte_source::~byte_source() = default;

std::size_t byte_source::read(std::span<char> out) {
    if (!told_) tell_form();
    return gzip_ ? decode(out) : copy(out);
}

/// Adds to what is unread; false at the end.
bool byte_source::read_more() {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
    std::size_t const old_size = buffer_.size();
    buffer_.resize(old_size + chunk_bytes);
    std::size_t const got = std::fread(buffer_.data() + old_size, 1, chunk_bytes, file_.get());
    buffer_.resize(old_size + got);
    if (got == 0 && std::ferror(file_.get())) throw error{std::strerror(errno)};
    return got > 0;
}

void byte_source::tell_form() {
    while (unread().size() < gzip_magic.size() && read_more()) {
    }
    auto const first = unread().first(std::min(unread().size(), gzip_magic.size()));
    if (std::ranges::equal(first, gzip_magic)) gzip_ = std::make_unique<decoder>();
    told_ = true;
}

std::size_t byte_source::copy(std::span<char> out) {
    if (unread().empty() && !read_more()) return 0;
    std::size_t const count = std::min(out.size(), unread().size());
    std::ranges::copy(unread().first(count), out.begin());
    begin_ += count;
    return count;
}

std::size_t byte_source::decode(std::span<char> out) {
    decoder& gzip = *gzip_;
    auto const room =
        static_cast<uInt>(std::min<std::size_t>(out.size(), std::numeric_limits<uInt>::max()));
    gzip.next_out = reinterpret_cast<Bytef*>(out.data());
    gzip.avail_out = room;
    while (gzip.avail_out == room) {
        if (unread().empty() && !read_more()) {
            if (gzip.between) return 0;
            throw error{"its gzip data ends early"};
        }
        if (gzip.between) {
            if (unread().front() != gzip_magic.front())
                throw error{"what follows its gzip data is not gzip"};
            inflateReset(&gzip);
            gzip.between = false;
        }
        gzip.next_in = const_cast<Bytef*>(unread().data());
        gzip.avail_in = static_cast<uInt>(unread().size());
        int const code = inflate(&gzip, Z_NO_FLUSH);
        begin_ = buffer_.size() - gzip.avail_in;
        gzip.between = code == Z_STREAM_END;
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            throw error{"its gzip data is damaged: " +
                        std::string{gzip.msg != nullptr ? gzip.msg : zError(code)}};
    }
    return room - gzip.avail_out;
}

} // namespace marconi::replay
