// Bytes as a trace file, plain or gzip, of any form: what cannot be read is a trace_error that
// begins with the file's name; what can be read is as a request must be, and is described.

#include <replay/describe.hpp>
#include <replay/trace_reader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace marconi::replay;

/// A file in memory that is written anew for each input.
class memory_file {
public:
    memory_file() : file_{memfd_create("trace", MFD_CLOEXEC)} {
        if (file_ < 0) std::abort();
    }
    void write(std::uint8_t const* data, std::size_t size) const {
        if (ftruncate(file_, 0) != 0 || pwrite(file_, data, size, 0) != static_cast<ssize_t>(size))
            std::abort();
    }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

private:
    int file_;
};

void require(bool truth, char const* what) {
    if (truth) return;
    std::printf("wrong: %s\n", what);
    std::fflush(stdout);
    std::abort();
}

void check(request const& r, double since) {
    require(r.prompt_tokens >= 1 && r.prompt_tokens <= r.tokens.size(), "the prompt's length");
    require(r.tokens.size() <= trace_reader::longest_request, "the request's length");
    require(r.seconds >= since, "the time");
    require(std::ranges::all_of(r.input(), [](std::int32_t t) { return t >= 0; }), "a token");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static memory_file const file;
    file.write(data, size);
    constexpr std::size_t most_tokens = std::size_t{1} << 22; // fuzzers have little memory
    trace read{.name = "fuzz", .requests = {}};
    std::size_t tokens = 0;
    double since = 0;
    try {
        trace_reader reader{file.path()};
        for (request r; tokens < most_tokens && reader.next(r); since = r.seconds) {
            check(r, since);
            tokens += r.tokens.size();
            read.requests.push_back(r);
        }
    } catch (trace_error const& e) {
        require(std::string{e.what()}.starts_with(file.path()), "an error names its file");
    }
    if (!read.requests.empty() && tokens < most_tokens / 16)
        require(describe(read).requests == read.requests.size(), "the description");
    return 0;
}
