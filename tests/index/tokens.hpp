#pragma once

#include <marconi/core/types.hpp>

#include <compare>
#include <cstdint>
#include <tuple>

namespace testing {

/// A token that is no number, and no multiple of 8 bytes long.
struct patch {
    std::uint32_t row;
    std::uint32_t column;
    std::uint32_t hash;
    friend auto operator<=>(patch const&, patch const&) = default;
};

using token_types = std::tuple<std::int32_t, std::uint64_t, patch>;

/// Different numbers below 2^32 make different tokens.
template <marconi::token Token>
Token make_token(std::uint64_t n) {
    if constexpr (std::is_same_v<Token, patch>)
        return {.row = 1, .column = 2, .hash = static_cast<std::uint32_t>(n)};
    else
        return static_cast<Token>(n);
}

} // namespace testing
