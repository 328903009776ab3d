#pragma once

// Failure comes in three tiers. An expected failure (a miss, no room) is a value in a result type.
// A broken contract throws one of the exceptions below. Destructors never throw.

#include <charconv>
#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>

namespace marconi {

/// Base of everything this library throws on its own account.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// An argument is outside its documented range. The message names it, its value and the range.
class invalid_argument : public error {
public:
    using error::error;
};

/// Calls came in an order, or with contents, that the contract forbids.
class contract_violation : public error {
public:
    using error::error;
};

/// A product or sum of sizes does not fit its type.
class size_overflow : public error {
public:
    using error::error;
};

/// Throws invalid_argument: "<name> is <value>; expected <expectation>".
template <class Value>
[[noreturn]] void throw_invalid(std::string_view name, Value const& value,
                                std::string_view expectation) {
    std::string text{name};
    text += " is ";
    if constexpr (std::floating_point<Value>) { // std::to_string(1e-9) is "0.000000"
        char digits[64];
        text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    } else if constexpr (requires { std::to_string(value); })
        text += std::to_string(value);
    else
        text += std::string_view{value};
    text += "; expected ";
    text += expectation;
    throw invalid_argument{text};
}

} // namespace marconi

/// Checks an argument: MARCONI_EXPECT(tokens > 0, "tokens", tokens, "at least 1").
#define MARCONI_EXPECT(condition, name, value, expectation)                                        \
    do {                                                                                           \
        if (!(condition)) [[unlikely]]                                                             \
            ::marconi::throw_invalid((name), (value), (expectation));                              \
    } while (false)
