#pragma once

#include <marconi/cache/lease.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/types.hpp>
#include <marconi/tune/replay.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace marconi::tune {

/// What a commit shows of its request to somebody who learns from requests: all of it, if its
/// prompt is complete by this commit, but for a block that is not full; more of its answer (with an
/// empty prompt), if that can be resumed; or nothing. To be asked before the commit is made.
template <token Token, class Entries>
[[nodiscard]] std::optional<replay_request<Token>>
request_shown(cache::lease_record const& lease, std::span<Token const> tokens,
              cache::computed const& brought, Entries const& entries) {
    // An answer that grows is shown at its first commit and where it passes a multiple of this.
    constexpr std::uint64_t stride = 1024;
    token_count const size{tokens.size()};
    auto const& states = brought.checkpoints;
    std::uint64_t const block = entries.store().layout().block_tokens();
    auto const completes = [&](std::uint64_t offered) {
        return offered > 0 && offered + block > lease.prompt.value();
    };
    if (!completes(size.value())) return std::nullopt;
    if (!completes(lease.offered))
        return replay_request<Token>{.in = lease.in,
                                     .tokens = tokens,
                                     .prompt = std::min(size, lease.prompt),
                                     .limit = std::min(size, lease.limit),
                                     .ended = !states.empty() && states.back().position == size,
                                     .captured = states};
    auto const passes = [&](std::uint64_t position, std::uint64_t before) {
        return before <= lease.prompt.value() || position / stride != before / stride;
    };
    bool const more = entries.needs_checkpoint()
                          ? !states.empty() && passes(size.value(), lease.captured)
                          : passes(size.value(), lease.offered);
    if (size.value() <= lease.offered || !more) return std::nullopt;
    return replay_request<Token>{.in = lease.in,
                                 .tokens = tokens,
                                 .prompt = {},
                                 .limit = {},
                                 .ended = false,
                                 .captured = states};
}

} // namespace marconi::tune
