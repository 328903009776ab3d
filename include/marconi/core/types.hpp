#pragma once

// Strong types for the quantities that are easily confused. All are cheap and constexpr; none is
// made from a plain integer by accident, and mixing two of them does not compile.

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace marconi {

/// An amount of something: sums and differences of the same kind, multiples by a plain number,
/// and the ratio of two (of counts, rounded down).
template <class Kind, class Rep>
class quantity {
public:
    constexpr quantity() = default;
    constexpr explicit quantity(Rep value) : value_{value} {}

    [[nodiscard]] constexpr Rep value() const { return value_; }

    friend constexpr auto operator<=>(quantity, quantity) = default;
    friend constexpr quantity operator+(quantity a, quantity b) {
        return quantity{static_cast<Rep>(a.value_ + b.value_)};
    }
    friend constexpr quantity operator-(quantity a, quantity b) {
        return quantity{static_cast<Rep>(a.value_ - b.value_)};
    }
    friend constexpr quantity operator*(quantity a, Rep n) {
        return quantity{static_cast<Rep>(a.value_ * n)};
    }
    friend constexpr quantity operator*(Rep n, quantity a) { return a * n; }
    friend constexpr quantity operator/(quantity a, Rep n) { return quantity{a.value_ / n}; }
    friend constexpr Rep operator/(quantity a, quantity b) { return a.value_ / b.value_; }
    friend constexpr Rep operator%(quantity a, quantity b) requires std::integral<Rep> {
        return a.value_ % b.value_;
    }
    constexpr quantity& operator+=(quantity other) { return *this = *this + other; }
    constexpr quantity& operator-=(quantity other) { return *this = *this - other; }

private:
    Rep value_{};
};

/// Tokens; also a position, which is the number of tokens before it.
using token_count = quantity<struct token_count_kind, std::uint64_t>;
/// Bytes.
using byte_count = quantity<struct byte_count_kind, std::uint64_t>;
/// Floating-point operations (a multiply-add counts as two).
using flop_count = quantity<struct flop_count_kind, double>;
/// The cache's logical clock: it advances once at every acquire and every commit.
using tick = quantity<struct tick_kind, std::uint64_t>;

/// A small index that names something; one made by default names nothing.
template <class Kind>
class identifier {
public:
    constexpr identifier() = default;
    constexpr explicit identifier(std::uint32_t value) : value_{value} {}

    [[nodiscard]] constexpr std::uint32_t value() const { return value_; }
    [[nodiscard]] constexpr explicit operator bool() const { return value_ != nothing; }

    friend constexpr auto operator<=>(identifier, identifier) = default;

private:
    static constexpr std::uint32_t nothing = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t value_{nothing};
};

/// A node of the tree. Ids are reused after a node is gone; node_ref tells old from new.
using node_id = identifier<struct node_id_kind>;
/// A page of a store's arena: bytes [id * page_bytes, (id + 1) * page_bytes).
using page_id = identifier<struct page_id_kind>;

/// A node id with the generation of its slot: it goes stale when the node goes.
struct node_ref {
    node_id id;
    std::uint32_t generation = 0;
    friend constexpr bool operator==(node_ref, node_ref) = default;
};

/// Whose cache a request uses. Nothing is ever shared between two different scopes; the fields
/// are compared exactly, never as one hash. Give each of them any meaning you like.
struct scope {
    std::uint64_t tenant = 0;
    std::uint64_t adapter = 0;
    std::uint64_t revision = 0;
    friend constexpr auto operator<=>(scope const&, scope const&) = default;
    friend constexpr bool operator==(scope const&, scope const&) = default; // for nvcc 13
};

/// The longest sequence: positions are kept in 32 bits.
inline constexpr std::uint64_t most_tokens = (std::uint64_t{1} << 31) - 1;
/// Pages that ids can number.
inline constexpr std::uint64_t most_pages = (std::uint64_t{1} << 32) - 2;

/// What can be a token: compared by its bytes, one per position (a token id, or a hash of an
/// image patch, say).
template <class T>
concept token =
    std::is_object_v<T> && !std::is_array_v<T> && std::same_as<T, std::remove_cv_t<T>> &&
    std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;

} // namespace marconi
