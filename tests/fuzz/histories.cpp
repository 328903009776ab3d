// Bytes as a history of calls, on the cache and on the reference at once: the first two choose a
// configuration, each of the rest is a decision. At most 300 calls.

#include <support/histories/run.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static auto const all = histories::setups();
    if (size < 2) return 0;
    histories::setup const& s = all[(data[0] + std::size_t{256} * data[1]) % all.size()];
    // A call takes two bytes at the least, about five; without bytes each is a match.
    std::size_t const steps = std::min<std::size_t>(300, 4 + (size - 2) / 3);
    auto const decide = histories::byte_decisions(std::span{data, size}.subspan(2));
    if (auto found = histories::run_history(s, decide, steps)) {
        std::printf("%s", histories::shrink(s, std::move(*found)).to_code(s).c_str());
        std::fflush(stdout);
        std::abort();
    }
    return 0;
}
