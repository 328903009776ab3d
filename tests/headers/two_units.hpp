#pragma once

// What each of the two translation units says of the same entities.

#include <cstddef>
#include <cstdint>

namespace two_units {

struct report {
    void const* copy_function;    ///< where it sees an inline function
    void const* presets_function; ///< likewise
    std::size_t presets;          ///< how many models it sees
    std::uint64_t kv_bytes_of_7b; ///< and a figure of one
    std::uint64_t resumed_at;     ///< what a cache of its own answers
};

report first();
report second();

} // namespace two_units
