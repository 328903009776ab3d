#pragma once

// The bytes of a file or of standard input, plain or gzip, told apart by their content.

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace marconi::replay {

class byte_source {
public:
    /// Opens a file, or standard input for "-". Throws error, which says why.
    explicit byte_source(std::string const& path);
    ~byte_source();

    /// Fills `out`, which is not empty, from its front. Returns how many bytes: 0 only at the end.
    /// Throws error if reading fails, or if gzip data is damaged, ends early or is followed by
    /// anything but more of it.
    [[nodiscard]] std::size_t read(std::span<char> out);

private:
    struct closer {
        void operator()(std::FILE* file) const;
    };
    struct decoder;

    [[nodiscard]] std::span<unsigned char const> unread() const {
        return std::span{buffer_}.subspan(begin_);
    }
    bool read_more();
    void tell_form();
    std::size_t copy(std::span<char> out);
    std::size_t decode(std::span<char> out);

    std::unique_ptr<std::FILE, closer> file_;
    std::vector<unsigned char> buffer_;
    std::size_t begin_ = 0; ///< of the unread bytes
    bool told_ = false;
    std::unique_ptr<decoder> gzip_; ///< none for plain bytes
};

} // namespace marconi::replay
