#pragma once

// The policies that can be named on the command line.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace marconi::replay {

/// "marconi:0.5" is of kind "marconi" with alpha 0.5, "learned:4096" of kind "learned" with a
/// checkpoint every 4,096 tokens.
struct policy_name {
    std::string kind;                   // one of known_policies
    std::optional<double> alpha{};      // finite, at least 0; only where the kind takes one
    std::uint64_t checkpoint_every = 0; // tokens; 0 where none are spaced, or the kind takes none

    /// As written, and as results name it: names with the same text are the same policy.
    [[nodiscard]] std::string text() const;
    /// Whether a capacity limits it.
    [[nodiscard]] bool has_limit() const { return kind != "none" && kind != "infinite"; }

    friend bool operator==(policy_name const&, policy_name const&) = default;
};

/// What a policy takes after the colon.
enum class policy_argument { none, alpha, spacing };

struct known_policy {
    std::string_view kind;
    std::string_view meaning;
    policy_argument takes = policy_argument::none;
};

inline constexpr std::array<known_policy, 10> known_policies = {{
    {"none", "no cache at all"},
    {"vllm+", "a checkpoint every 32 tokens, leaves evicted by LRU"},
    {"sglang+", "Marconi's admission, leaves evicted by LRU, a hit refreshes its whole path"},
    {"marconi", "the paper's score; alpha is tuned, or given after a colon: marconi:0.5",
     policy_argument::alpha},
    {"marconi-artifact",
     "the score as the paper's artifact computes it, for its 7B model; :alpha as above",
     policy_argument::alpha},
    {"lru", "Marconi's admission, evicts the least recently used first", policy_argument::spacing},
    {"gdsf", "Marconi's admission, greedy-dual: age + frequency x FLOPs saved / bytes freed",
     policy_argument::spacing},
    {"learned", "Marconi's admission, odds of reuse x FLOPs saved / bytes freed, or gdsf",
     policy_argument::spacing},
    {"oracle", "Marconi's admission; knows the future: shows what others could still gain",
     policy_argument::spacing},
    {"infinite", "Marconi's admission and no limit: the most that its checkpoints can save",
     policy_argument::spacing},
}};

/// Throws invalid_argument if the kind is none of those known, or does not take what follows the
/// colon.
[[nodiscard]] policy_name parse_policy(std::string_view text,
                                       std::span<known_policy const> known = known_policies);

/// A number that is finite and at least 0. Throws invalid_argument.
[[nodiscard]] double parse_alpha(std::string_view text);

} // namespace marconi::replay
