#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/finite.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

namespace marconi::policy {

/// When an entry is of use.
enum class reuse_kind {
    passing,  ///< when a request comes by, to resume here or further on: asked of leaves
    resuming, ///< when one resumes here and no further: asked of what others go on from
};

/// What the odds of a reuse depend on, beside age: the kind; how often the entry was reused; and,
/// where requests come by, whether its state lies in an answer (see candidate_facts), since
/// whole loads differ in whether their prompts keep answers as they were. Entries used three times
/// and those used more often are one class.
struct reuse_class {
    static constexpr std::uint64_t most_uses = 3;
    static constexpr std::size_t count = 3 * (most_uses + 1);

    reuse_kind kind;
    std::uint64_t uses;
    bool in_answer = false; ///< makes no difference to `resuming`

    /// 0 .. count - 1.
    [[nodiscard]] constexpr std::size_t index() const {
        std::size_t const row = kind == reuse_kind::resuming ? 2 : in_answer ? 1 : 0;
        return row * (most_uses + 1) + static_cast<std::size_t>(std::min(uses, most_uses));
    }
    /// Calls visit(reuse_class) for each.
    template <class Visit>
    static constexpr void each(Visit&& visit) {
        for (std::uint64_t uses = 0; uses <= most_uses; ++uses) {
            visit(reuse_class{reuse_kind::passing, uses, false});
            visit(reuse_class{reuse_kind::passing, uses, true});
            visit(reuse_class{reuse_kind::resuming, uses});
        }
    }
};

/// Ages fall into buckets, two to a doubling: 1, 2, 3, 4-5, 6-7, 8-11, 12-15, ... Their unit is the
/// cache's tick: one for each acquire and one for each commit.
struct age_bucket {
    static constexpr std::size_t count = 64; ///< the last one holds all ages from 2^32 on

    [[nodiscard]] static constexpr std::size_t of(std::uint64_t age) {
        if (age < 2) return 0;
        auto const doublings = static_cast<std::size_t>(std::bit_width(age)) - 1;
        return std::min(2 * doublings - 1 + (age >> (doublings - 1) & 1), count - 1);
    }
    /// The smallest age in a bucket; of `count`, that of the next if there were one.
    [[nodiscard]] static constexpr std::uint64_t first(std::size_t bucket) {
        if (bucket == 0) return 1;
        return (2 + (bucket + 1) % 2) << ((bucket + 1) / 2 - 1);
    }
};

/// How likely an entry is to be used soon, by its class and by how long it has gone unused, in any
/// unit that is the same for all. By default, with nothing known but that what has gone unused for
/// long will do so for as long again, 1 / the first age of the bucket, or `least` if that is more.
class reuse_odds {
public:
    using by_age = std::array<double, age_bucket::count>;

    /// Odds are at least this, even where 0 is set: of two entries that are not expected back, the
    /// one that saves more compute stays.
    static constexpr double least = 1e-9;
    static constexpr double most = 1e9;

    reuse_odds() {
        reuse_class::each([this](reuse_class of) {
            for (std::size_t b = 0; b < age_bucket::count; ++b)
                set(of, b, 1 / static_cast<double>(age_bucket::first(b)));
        });
    }

    /// Sets the odds in a bucket of ages. NaN counts as 0. Throws invalid_argument for a bucket
    /// past the last; so does at().
    void set(reuse_class of, std::size_t bucket, double odds) {
        check(bucket);
        odds_[of.index()][bucket] = !is_nan(odds) && odds >= least ? std::min(odds, most) : least;
    }
    [[nodiscard]] double at(reuse_class of, std::size_t bucket) const {
        check(bucket);
        return odds_[of.index()][bucket];
    }
    /// Of the class with this index.
    [[nodiscard]] by_age const& row(std::size_t index) const { return odds_[index]; }

private:
    static void check(std::size_t bucket) {
        MARCONI_EXPECT(bucket < age_bucket::count, "bucket", bucket,
                       "less than " + std::to_string(age_bucket::count));
    }

    std::array<by_age, reuse_class::count> odds_;
};

} // namespace marconi::policy
