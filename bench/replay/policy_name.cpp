#include "policy_name.hpp"

#include <marconi/core/error.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace marconi::replay {

namespace {

std::string quoted(std::string_view text) { return std::string{"'"}.append(text).append("'"); }

} // namespace

std::string policy_name::text() const {
    if (!alpha) return kind;
    std::array<char, 32> digits{};
    auto const written = std::to_chars(digits.data(), digits.data() + digits.size(), *alpha);
    return kind + ":" + std::string{digits.data(), written.ptr};
}

policy_name parse_policy(std::string_view text) {
    std::size_t const colon = text.find(':');
    std::string_view const kind = text.substr(0, colon);
    auto const* const known = std::ranges::find(known_policies, kind, &known_policy::kind);
    if (known == known_policies.end()) {
        std::string names;
        for (known_policy const& policy : known_policies)
            names.append(names.empty() ? "" : ", ").append(policy.kind);
        throw_invalid("policy", quoted(text), "one of " + names);
    }
    if (colon == std::string_view::npos) return {.kind = std::string{kind}, .alpha = {}};
    if (!known->takes_alpha)
        throw_invalid("policy", quoted(text), std::string{kind}.append(" without an alpha"));
    return {.kind = std::string{kind}, .alpha = parse_alpha(text.substr(colon + 1))};
}

double parse_alpha(std::string_view text) {
    double value = 0;
    auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) ||
        value < 0)
        throw_invalid("alpha", quoted(text), "a number, at least 0");
    return value + 0.0; // of -0, too, 0
}

} // namespace marconi::replay
