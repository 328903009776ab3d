#pragma once

// One call of a history, complete in itself: what a failing history is printed as, and compiled
// from. Plans and leases are named by small numbers, sequences by a letter a token.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace histories {

struct call {
    enum kind {
        match,           ///< and plan, into slot `plan`
        acquire,         ///< slot `plan`, with `weight`, into slot `lease`
        restore,         ///< and, in place, read what the block table names
        commit,          ///< copied from the engine's memory
        commit_in_place, ///< reserved, written and committed
        reserve,         ///< `amount` tokens, leaving `spare` pages
        unreserve,       ///< what is past `amount` tokens
        deduplicate,
        let_go_checkpoint,
        let_go_kv,
        release,
        evict,    ///< `amount` bytes
        evict_of, ///< `amount` bytes of one scope
        clear,    ///< one scope
        clear_all,
        forget,        ///< what goes on past `amount` of these tokens
        forget_unused, ///< what was not used for more than `amount` ticks
    } what;
    static constexpr std::size_t kinds = forget_unused + 1;
    int lease = 0;
    int plan = 0;
    char scope = 'A';
    std::string tokens = {};
    std::optional<std::uint32_t> limit = {};
    std::vector<std::uint32_t> checkpoints = {};
    std::uint32_t amount = 0;
    std::uint32_t spare = 0;
    double weight = 1;
};

using history = std::vector<call>;

/// As C++: an initialiser of a call.
inline std::string to_code(call const& c) {
    static char const* const names[] = {
        "match",     "acquire",     "restore",           "commit",    "commit_in_place", "reserve",
        "unreserve", "deduplicate", "let_go_checkpoint", "let_go_kv", "release",         "evict",
        "evict_of",  "clear",       "clear_all",         "forget",    "forget_unused"};
    std::string text = std::string{"{.what = call::"} + names[c.what];
    auto const is = [&](auto... any) { return ((c.what == any) || ...); };
    if (c.what < call::evict && c.what != call::match)
        text += ", .lease = " + std::to_string(c.lease);
    if (is(call::match, call::acquire)) text += ", .plan = " + std::to_string(c.plan);
    if (is(call::acquire)) text += ", .weight = " + std::to_string(c.weight);
    if (is(call::match, call::evict_of, call::clear, call::forget))
        text += std::string{", .scope = '"} + c.scope + "'";
    if (is(call::match, call::commit, call::commit_in_place, call::forget))
        text += ", .tokens = \"" + c.tokens + "\"";
    if (is(call::match) && c.limit) text += ", .limit = " + std::to_string(*c.limit);
    if (!c.checkpoints.empty()) {
        text += ", .checkpoints = {";
        for (std::size_t i = 0; i < c.checkpoints.size(); ++i)
            text += (i ? ", " : "") + std::to_string(c.checkpoints[i]);
        text += "}";
    }
    if (is(call::reserve, call::unreserve, call::evict, call::evict_of, call::forget,
           call::forget_unused))
        text += ", .amount = " + std::to_string(c.amount);
    if (is(call::reserve)) text += ", .spare = " + std::to_string(c.spare);
    return text + "}";
}

} // namespace histories
