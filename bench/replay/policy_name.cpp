#include "policy_name.hpp"

#include <marconi/core/error.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace marconi::replay {

namespace {

std::string quoted(std::string_view text) { return std::string{"'"}.append(text).append("'"); }

constexpr std::uint64_t most_spacing = std::uint64_t{1} << 31;

std::uint64_t parse_spacing(std::string_view text) {
    std::uint64_t tokens = 0;
    auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), tokens);
    if (problem != std::errc{} || end != text.data() + text.size() || tokens == 0 ||
        tokens > most_spacing)
        throw_invalid("tokens between checkpoints", quoted(text), "a number from 1 to 2^31");
    return tokens;
}

} // namespace

std::string policy_name::text() const {
    if (checkpoint_every != 0) return kind + ":" + std::to_string(checkpoint_every);
    if (!alpha) return kind;
    std::array<char, 32> digits{};
    auto const written = std::to_chars(digits.data(), digits.data() + digits.size(), *alpha);
    return kind + ":" + std::string{digits.data(), written.ptr};
}

policy_name parse_policy(std::string_view text, std::span<known_policy const> known) {
    std::size_t const colon = text.find(':');
    std::string_view const kind = text.substr(0, colon);
    auto const found = std::ranges::find(known, kind, &known_policy::kind);
    if (found == known.end()) {
        std::string names;
        for (known_policy const& policy : known)
            names.append(names.empty() ? "" : ", ").append(policy.kind);
        throw_invalid("policy", quoted(text), "one of " + names);
    }
    policy_name named{.kind = std::string{kind}};
    if (colon == std::string_view::npos) return named;
    std::string_view const argument = text.substr(colon + 1);
    switch (found->takes) {
    case policy_argument::none:
        throw_invalid("policy", quoted(text), std::string{kind}.append(" without an argument"));
    case policy_argument::alpha:
        named.alpha = parse_alpha(argument);
        break;
    case policy_argument::spacing:
        named.checkpoint_every = parse_spacing(argument);
        break;
    }
    return named;
}

double parse_alpha(std::string_view text) {
    double value = 0;
    auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) ||
        value < 0)
        throw_invalid("alpha", quoted(text), "a number, at least 0");
    return value + 0.0; // -0 becomes 0
}

} // namespace marconi::replay
