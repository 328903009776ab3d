#pragma once

// What the benchmarks measure with: clocks, medians, and the heap.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace marconi::micro {

/// Runs `work` and returns how many seconds it took: some 20 ns of the clock itself included.
template <class Work>
[[nodiscard]] double timed(Work&& work) {
    auto const start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// How often the loop ran; for Google Benchmark this is a signed number.
[[nodiscard]] inline std::uint64_t iterations(benchmark::State const& state) {
    return static_cast<std::uint64_t>(state.iterations());
}

/// One duration per call of something.
class durations {
public:
    void add(double seconds) { seconds_.push_back(seconds); }
    /// The odd one out does not show: a page fault, an interrupt, a table that doubled.
    [[nodiscard]] double median_us() {
        if (seconds_.empty()) return 0;
        auto const middle = seconds_.begin() + static_cast<std::ptrdiff_t>(seconds_.size() / 2);
        std::nth_element(seconds_.begin(), middle, seconds_.end());
        return *middle * 1e6;
    }

    [[nodiscard]] std::size_t bytes() const { return seconds_.capacity() * sizeof(double); }

private:
    std::vector<double> seconds_;
};

/// Bytes that the program holds from the heap; 0 if the C library does not say.
[[nodiscard]] inline std::size_t heap_bytes() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    auto const held = mallinfo2();
    return held.uordblks + held.hblkhd;
#else
    return 0;
#endif
}

/// Fails a benchmark that did not do the work that it was to do.
inline void expect_equal(benchmark::State& state, std::size_t found, std::size_t expected,
                         std::string const& what) {
    if (found == expected) return;
    std::string const message =
        what + ": " + std::to_string(found) + ", expected " + std::to_string(expected);
    state.SkipWithError(message.c_str());
}

} // namespace marconi::micro
