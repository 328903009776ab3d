#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <vector>

namespace marconi::replay {

/// The smallest sample at or below which `percent` percent of the samples lie, by nearest rank; 0
/// if there are none. Reorders them. O(samples).
template <class Value>
[[nodiscard]] Value percentile(std::vector<Value>& samples, std::same_as<int> auto percent) {
    if (samples.empty()) return {};
    std::size_t const rank = (samples.size() * static_cast<std::size_t>(percent) + 99) / 100;
    auto const at =
        samples.begin() + std::max(static_cast<std::ptrdiff_t>(rank) - 1, std::ptrdiff_t{0});
    std::nth_element(samples.begin(), at, samples.end());
    return *at;
}

} // namespace marconi::replay
