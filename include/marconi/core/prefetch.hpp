#pragma once

#include <cstddef>

namespace marconi {

/// Asks the processor for the memory of values that will be needed soon, and does not wait. Does
/// nothing where the compiler cannot say that.
template <class T>
void prefetch([[maybe_unused]] T const* values, [[maybe_unused]] std::size_t count = 1) noexcept {
#if defined(__GNUC__)
    constexpr std::size_t line = 64;
    auto const* const first = reinterpret_cast<std::byte const*>(values);
    auto const* const last = reinterpret_cast<std::byte const*>(values + count) - 1;
    for (auto const* at = first; at < last; at += line)
        __builtin_prefetch(at);
    __builtin_prefetch(last);
    asm volatile(""); // or GCC takes a caller that does no more for one without effects: no call
#endif
}

} // namespace marconi
