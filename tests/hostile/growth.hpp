#pragma once

// How the cost of something grows with its size.

#include <support/small_stack.hpp>

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <vector>

namespace hostile {

/// Seconds of this thread's own work.
inline double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// How many times as long `work(2 * n)` takes as `work(n)`: the median of three pairs, each on a
/// small stack, or of nine where three came to more than 2.6, which other programs at work on the
/// same caches and memory can do. What is O(n log n) stays near 2, also where it outgrows a
/// processor's caches; what is quadratic comes to 4.
template <class Work>
[[nodiscard]] double cost_of_doubling(std::size_t n, Work const& work) {
    auto const seconds = [&](std::size_t size) {
        double took = 0;
        support::on_small_stack([&] {
            double const start = thread_seconds();
            work(size);
            took = thread_seconds() - start;
        });
        return took;
    };
    std::vector<double> ratios;
    auto const median_of = [&](std::size_t pairs) {
        while (ratios.size() < pairs)
            ratios.push_back(seconds(2 * n) / seconds(n));
        std::sort(ratios.begin(), ratios.end());
        return ratios[pairs / 2];
    };
    double const first = median_of(3);
    return first < 2.6 ? first : median_of(9);
}

} // namespace hostile
