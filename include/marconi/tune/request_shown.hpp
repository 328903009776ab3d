#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/core/types.hpp>
#include <marconi/tune/replay.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace marconi::tune {

/// What a commit shows of its request to a cache that learns from requests: all of it, if this
/// commit completes the prompt (but for a block that is not full); more of its answer, with an
/// empty prompt, if that can be resumed; or nothing, as of a request that is not counted. To be
/// called before the commit is made.
template <token Token, class Entries>
[[nodiscard]] std::optional<replay_request<Token>>
request_shown(cache::lease_record const& lease, std::span<Token const> tokens,
              cache::computed const& brought, Entries const& entries) {
    // A growing answer is shown at its first state (with attention alone, at its first commit),
    // where it passes a multiple of this, and with each state that the lease did not ask for: a
    // tail.
    constexpr std::uint64_t stride = 1024;
    if (!lease.match().counted) return std::nullopt;
    token_count const size{tokens.size()};
    auto const& states = brought.checkpoints;
    std::uint64_t const block = entries.store().layout().block_tokens();
    auto const completes = [&](std::uint64_t offered) {
        std::uint64_t const prompt = lease.match().tokens.value();
        return offered >= prompt || (offered >= block && offered / block * block + block > prompt);
    };
    if (!completes(size.value())) return std::nullopt;
    if (!completes(lease.offered))
        return replay_request<Token>{.in = lease.match().in,
                                     .tokens = tokens,
                                     .prompt = std::min(size, lease.match().tokens),
                                     .limit = std::min(size, lease.match().limit),
                                     .ended = ends_resumable(lease, size, states),
                                     .weight = lease.weight(),
                                     .captured = states,
                                     .captured_before = lease.captured_in_prompt,
                                     .answer_from = lease.match().answer_from};
    auto const passes = [&](std::uint64_t position, std::uint64_t before) {
        return before <= lease.match().tokens.value() || position / stride != before / stride;
    };
    auto const is_more = [&] {
        if (!entries.needs_checkpoint())
            return size.value() > lease.offered && passes(size.value(), lease.offered);
        if (states.empty() || size.value() < lease.offered) return false;
        token_count const last = states.back().position;
        return last.value() > lease.captured &&
               (passes(last.value(), lease.captured) ||
                !cache::is_captured(lease.granted.captures, lease.match().limit, last));
    };
    if (!is_more()) return std::nullopt;
    return replay_request<Token>{.in = lease.match().in,
                                 .tokens = tokens,
                                 .prompt = {},
                                 .limit = {},
                                 .ended = false,
                                 .weight = lease.weight(),
                                 .captured = states,
                                 .answer_from = lease.match().answer_from};
}

} // namespace marconi::tune
