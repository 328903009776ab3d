#pragma once

#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace marconi::tune {

/// Runs a step; names what it throws in words that need no memory. Empty if it throws nothing.
template <class Step>
[[nodiscard]] std::string failure_of(Step&& step) noexcept {
    try {
        std::forward<Step>(step)();
        return {};
    } catch (std::bad_alloc const&) {
        return "no memory";
    } catch (std::system_error const&) {
        return "no thread";
    } catch (...) {
        return "policy threw";
    }
}

} // namespace marconi::tune
