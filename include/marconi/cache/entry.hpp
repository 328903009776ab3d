#pragma once

#include <marconi/cache/checkpoint_table.hpp>
#include <marconi/core/types.hpp>

#include <cstdint>
#include <limits>

namespace marconi::cache {

/// What the cache keeps of a node beside its edge.
template <class History>
struct entry {
    static constexpr std::uint32_t unranked = std::numeric_limits<std::uint32_t>::max();

    checkpoint_id checkpoint;
    std::uint32_t resume_above = 0; ///< depth of the nearest live checkpoint above; 0 if none
    std::uint32_t kv_pins = 0;
    std::uint32_t checkpoint_pins : 30 = 0;
    std::uint32_t in_answer : 1 = 0;       ///< see candidate_facts
    std::uint32_t forgotten : 1 = 0;       ///< found by no match, it goes with its pins
    std::uint32_t ranked_pages = unranked; ///< pages evicting it would free, as told to the policy
    float weight = 1;                      ///< the largest among requests that published or used it
    /// Or creation, by the cache's clock, whatever the policy remembers. A merge keeps the child's,
    /// a split copies it.
    tick last_use = {};
    History history{};
};

} // namespace marconi::cache
