#pragma once

#include <cstddef>

namespace testing {

/// While one lives, after `allowed` more allocations of this program every one fails. Catch2's
/// assertions allocate, so state what happened only when it is gone.
class no_memory {
public:
    explicit no_memory(std::size_t allowed = 0);
    ~no_memory();
    no_memory(no_memory const&) = delete;
    no_memory& operator=(no_memory const&) = delete;

    /// Whether an allocation has failed.
    [[nodiscard]] bool was_asked() const;
};

} // namespace testing
