#pragma once

#include <marconi/core/types.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace marconi::policy {

/// What the odds of a reuse depend on, beside age: whether anything in the cache goes on from the
/// entry (a conversation that went on is resumed further down), and how often it was used.
struct reuse_class {
    static constexpr std::size_t count = 8;

    bool is_leaf;
    std::uint64_t uses;

    /// 0 .. count - 1: uses 0, 1, 2 and more, of leaves and of others.
    [[nodiscard]] constexpr std::size_t index() const {
        return (is_leaf ? 0 : count / 2) +
               static_cast<std::size_t>(std::min<std::uint64_t>(uses, count / 2 - 1));
    }
};

/// Ages in ticks fall into buckets, two to each doubling: 1, 2, 3, 4-5, 6-7, 8-11, ...
struct age_bucket {
    static constexpr std::size_t count = 64; ///< the last one holds all ages from 2^32 on

    [[nodiscard]] static constexpr std::size_t of(std::uint64_t age) {
        if (age < 2) return 0;
        auto const doublings = static_cast<std::size_t>(std::bit_width(age)) - 1;
        return std::min(2 * doublings - 1 + (age >> (doublings - 1) & 1), count - 1);
    }
    /// The smallest age in a bucket; of `count`, the end of the last but one.
    [[nodiscard]] static constexpr std::uint64_t first(std::size_t bucket) {
        if (bucket == 0) return 1;
        return (2 + (bucket + 1) % 2) << ((bucket + 1) / 2 - 1);
    }
};

/// How likely an entry is to be used soon, by its class and by how long it has gone unused, in any
/// unit that is the same for all. By default, with nothing known but that what has gone unused for
/// long will do so for as long again, 1 / age.
class reuse_odds {
public:
    /// Odds are at least this: of two entries that are not expected back the one that saves more
    /// compute stays.
    static constexpr double least = 1e-9;

    reuse_odds() {
        for (auto& by_age : odds_)
            for (std::size_t b = 0; b < age_bucket::count; ++b)
                by_age[b] = std::max(least, 1 / static_cast<double>(age_bucket::first(b)));
    }

    /// Of a class, by its index, in a bucket of ages.
    [[nodiscard]] double at(std::size_t of, std::size_t bucket) const { return odds_[of][bucket]; }
    /// Takes what is less than `least`, or not a number, for `least`.
    void set(std::size_t of, std::size_t bucket, double odds) {
        odds_[of][bucket] = odds >= least && odds <= most ? odds : odds > most ? most : least;
    }

private:
    static constexpr double most = 1e9;

    std::array<std::array<double, age_bucket::count>, reuse_class::count> odds_;
};

} // namespace marconi::policy
