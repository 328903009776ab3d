#pragma once

#include <cstddef>
#include <limits>

namespace testing {

/// While one lives, after `allowed` more allocations of this program every one fails, or as many as
/// `refusals` says. Catch2's assertions allocate, so state what happened only when it is gone.
class no_memory {
public:
    explicit no_memory(std::size_t allowed = 0,
                       std::size_t refusals = std::numeric_limits<std::size_t>::max());
    ~no_memory();
    no_memory(no_memory const&) = delete;
    no_memory& operator=(no_memory const&) = delete;

    /// Whether an allocation has failed.
    [[nodiscard]] bool was_asked() const;
};

/// Between spare_memory(true) and spare_memory(false) allocations neither count nor fail: those of
/// the test itself, in the middle of what it tests.
void spare_memory(bool on);

/// How often this program has allocated; and the bytes, as they were asked for, that it has not
/// freed since. Of assertions and of a test's own values, too: compare what was read beside a call.
[[nodiscard]] std::size_t allocations();
[[nodiscard]] std::size_t bytes_held();

} // namespace testing
