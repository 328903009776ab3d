#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/facts.hpp>

#include <algorithm>

namespace marconi::policy {

/// The first half of an eviction policy, for those that remember a node's last use and number of
/// uses and nothing else: inherit it.
struct usage_history {
    using history = usage;

    [[nodiscard]] static constexpr usage created(tick now) { return {.last_use = now}; }

    [[nodiscard]] static constexpr usage used(usage h, tick now) {
        return {.last_use = now, .uses = h.uses + 1};
    }

    /// The later use and the larger count. Not the sum: a split has given both halves the uses
    /// before it, and adding them up at the merge would count these twice.
    [[nodiscard]] static constexpr usage merged(usage child, usage parent) {
        return {.last_use = std::max(child.last_use, parent.last_use),
                .uses = std::max(child.uses, parent.uses)};
    }
};

} // namespace marconi::policy
