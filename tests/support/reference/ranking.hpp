#pragma once

// Who goes first: the published formulas of the eviction policies, as full scans.

#include <marconi/core/types.hpp>

#include <marconi/policy/eviction/reuse_odds.hpp>
#include <marconi/policy/facts.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace reference {

using marconi::flop_count;
using marconi::tick;
using marconi::policy::candidate_facts;

/// What any of the policies remembers of a node. What it remembers not stays 0.
struct history {
    tick last_use;
    std::uint64_t uses = 0;    ///< with those of what merged into it
    double clock = 0;          ///< gdsf's
    std::uint64_t resumed = 0; ///< expected_savings': its own uses

    friend bool operator==(history const&, history const&) = default;
};

struct rule {
    enum kind { lru, gdsf, flop_aware, expected_savings } by = lru;
    double alpha = 0;
};

struct candidate {
    history used;
    candidate_facts facts;
};

/// Smaller goes first; what is equal goes by node id.
using rank = std::array<double, 3>;

inline std::vector<rank> ranks_by_score(double alpha, std::vector<candidate> const& all, tick now) {
    auto const recency = [&](candidate const& c) {
        std::uint64_t const age = now > c.used.last_use ? (now - c.used.last_use).value() : 1;
        return 1.0 / static_cast<double>(age);
    };
    constexpr double most = std::numeric_limits<double>::infinity();
    double r_least = most, r_most = -most, e_least = most, e_most = -most;
    for (candidate const& c : all) {
        r_least = std::min(r_least, recency(c));
        r_most = std::max(r_most, recency(c));
        e_least = std::min(e_least, c.facts.flop_efficiency());
        e_most = std::max(e_most, c.facts.flop_efficiency());
    }
    std::vector<rank> ranks;
    for (candidate const& c : all) {
        double const e = c.facts.flop_efficiency();
        double const score = (r_most > r_least ? (recency(c) - r_least) / (r_most - r_least) : 0) +
                             (e_most > e_least ? alpha * (e - e_least) / (e_most - e_least) : 0);
        ranks.push_back({score, static_cast<double>(c.used.last_use.value()), e});
    }
    return ranks;
}

inline double gdsf_priority(candidate const& c) {
    return c.used.clock + (static_cast<double>(c.used.uses) + 1) * c.facts.flop_efficiency();
}

/// Odds as no cache would learn them: neighbours differ, and some are equal.
inline double strange_odds(bool leaf, bool in_answer, std::uint64_t uses, std::uint64_t first_age) {
    std::uint64_t const place = !leaf ? 0 : in_answer ? 1 : 2;
    return static_cast<double>(1 + (first_age * 5 + uses * 3 + place) % 7);
}
inline marconi::policy::reuse_odds all_strange_odds() {
    using marconi::policy::age_bucket, marconi::policy::reuse_kind;
    marconi::policy::reuse_odds odds;
    for (std::uint64_t uses = 0; uses < 4; ++uses)
        for (std::size_t b = 0; b < age_bucket::count; ++b) {
            std::uint64_t const age = age_bucket::first(b);
            for (bool const in_answer : {true, false})
                odds.set({reuse_kind::passing, uses, in_answer}, b,
                         strange_odds(true, in_answer, uses, age));
            odds.set({reuse_kind::resuming, uses}, b, strange_odds(false, false, uses, age));
        }
    return odds;
}

/// The first of the ages 1, 2, 3, 4, 6, 8, 12, ... that are told apart from the next.
inline std::uint64_t first_age_like(std::uint64_t age) {
    std::uint64_t first = 1;
    for (std::uint64_t power = 2; power <= age && power <= std::uint64_t{1} << 32; power *= 2)
        first =
            power + power / 2 <= age && power < std::uint64_t{1} << 32 ? power + power / 2 : power;
    return first;
}

inline rank rank_by_expectation(candidate const& c, tick now) {
    std::uint64_t const age = now > c.used.last_use ? (now - c.used.last_use).value() : 1;
    std::uint64_t const uses = c.facts.is_leaf ? c.used.uses : c.used.resumed;
    double const odds = strange_odds(c.facts.is_leaf, c.facts.in_answer,
                                     std::min<std::uint64_t>(uses, 3), first_age_like(age));
    double const efficiency = c.facts.flop_efficiency();
    return {odds * efficiency, static_cast<double>(c.used.last_use.value()), efficiency};
}

/// The rank of each candidate.
inline std::vector<rank> ranks_of(rule const& by, std::vector<candidate> const& all, tick now) {
    if (by.by == rule::flop_aware) return ranks_by_score(by.alpha, all, now);
    std::vector<rank> ranks;
    for (candidate const& c : all) {
        double const use = static_cast<double>(c.used.last_use.value());
        if (by.by == rule::expected_savings)
            ranks.push_back(rank_by_expectation(c, now));
        else if (by.by == rule::lru)
            ranks.push_back({use, 0, 0});
        else
            ranks.push_back({gdsf_priority(c), use, 0});
    }
    return ranks;
}

} // namespace reference
