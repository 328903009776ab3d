#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/eviction/reuse_odds.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace marconi::tune {

/// Reuses seen, and for how many ticks entries were there to be reused.
struct reuse_count {
    double uses = 0;
    double ticks = 0;

    friend reuse_count operator+(reuse_count const& a, reuse_count const& b) {
        return {a.uses + b.uses, a.ticks + b.ticks};
    }
};

/// How often entries were used again, by class and age, and for how long they could have been: the
/// quotient is the hazard, the rate of reuse per tick. An entry that is forgotten unused counts up
/// to then: nothing is said about whether it would have come back later. (As in LHD: N. Beckmann et
/// al., "LHD: Improving cache hit rate by maximizing hit density", NSDI 2018.)
class reuse_statistics {
public:
    /// An entry of this class was there at ages [from, to) since its last use. O(log(to / from)).
    void exposed(policy::reuse_class of, std::uint64_t from, std::uint64_t to) {
        using policy::age_bucket;
        auto& row = counts_[of.index()];
        for (std::size_t b = age_bucket::of(from); from < to; ++b) {
            std::uint64_t const end =
                b + 1 < age_bucket::count ? std::min(to, age_bucket::first(b + 1)) : to;
            row[b].ticks += static_cast<double>(end - from);
            from = end;
        }
    }
    /// An entry of this class was used again at this age.
    void reused(policy::reuse_class of, std::uint64_t age) {
        counts_[of.index()][policy::age_bucket::of(age)].uses += 1;
    }
    /// What was seen so far counts by this factor from now on.
    void fade(double factor) {
        for (auto& row : counts_)
            for (reuse_count& c : row)
                c = {c.uses * factor, c.ticks * factor};
    }

    [[nodiscard]] reuse_count seen(policy::reuse_class of, std::size_t bucket) const {
        return counts_[of.index()][bucket];
    }

    /// All reuses seen by requests that came by.
    [[nodiscard]] double reuses() const {
        double sum = 0;
        policy::reuse_class::each([&](policy::reuse_class of) {
            if (of.kind == policy::reuse_kind::passing)
                for (reuse_count const& c : counts_[of.index()])
                    sum += c.uses;
        });
        return sum;
    }

    /// How soon entries are expected back, from the middle of each bucket of ages on: the mean of
    /// exp(-ticks until the next reuse / horizon), 0 where there is none. Some thousand operations,
    /// or some ten thousand for a very long horizon.
    [[nodiscard]] policy::reuse_odds odds(double horizon) const {
        rates const passing = of_all_passing();
        policy::reuse_odds found;
        policy::reuse_class::each([&](policy::reuse_class of) {
            rates hazard;
            for (std::size_t b = 0; b < hazard.size(); ++b)
                hazard[b] = of.kind == policy::reuse_kind::passing
                                ? rate_of_passing(of, b, passing[b])
                                : rate(seen(of, b), b, unseen, 0.1 / end_of(b));
            for (std::size_t b = 0; b < hazard.size(); ++b)
                found.set(of, b, discount(hazard, b, horizon));
        });
        return found;
    }

private:
    using rates = std::array<double, policy::age_bucket::count>; ///< reuses a tick

    /// Priors: this many entries are added to what was seen. `like_others` did as others that
    /// requests pass by do; `unseen` ones did as one expects if nothing is known. Such an entry
    /// goes unused for as long again as it has, and for ten times as long if others go on from it.
    /// What requests pass by is much alike; where they resume and go no further is either a fork or
    /// a turn of a conversation that went on.
    static constexpr double like_others = 30, unseen = 1;
    static constexpr double negligible = 1e-12;

    /// The rate of what was seen and of `entries` more, which passed through the bucket at `other`.
    [[nodiscard]] static double rate(reuse_count const& seen, std::size_t bucket, double entries,
                                     double other) {
        double const ticks = entries * (end_of(bucket) - first_of(bucket));
        return (seen.uses + ticks * other) / (seen.ticks + ticks);
    }

    /// The rate of a class, given that of all passing. Most like it are those with as many uses
    /// whose state lies on the other side of a prompt's end.
    [[nodiscard]] double rate_of_passing(policy::reuse_class of, std::size_t bucket,
                                         double all) const {
        policy::reuse_class other = of;
        other.in_answer = !of.in_answer;
        double const alike = rate(seen(other, bucket), bucket, like_others, all);
        return rate(seen(of, bucket), bucket, like_others, alike);
    }
    [[nodiscard]] rates of_all_passing() const {
        rates hazard;
        for (std::size_t b = 0; b < hazard.size(); ++b) {
            reuse_count sum;
            policy::reuse_class::each([&](policy::reuse_class of) {
                if (of.kind == policy::reuse_kind::passing) sum = sum + seen(of, b);
            });
            hazard[b] = rate(sum, b, unseen, 1 / end_of(b));
        }
        return hazard;
    }

    [[nodiscard]] static double first_of(std::size_t bucket) {
        return static_cast<double>(policy::age_bucket::first(bucket));
    }
    [[nodiscard]] static double end_of(std::size_t bucket) { return first_of(bucket + 1); }

    [[nodiscard]] static double discount(rates const& hazard, std::size_t bucket, double horizon) {
        double at = (first_of(bucket) + end_of(bucket)) / 2;
        double mean = 0;
        double left = 1; // the chance that the reuse is still to come, times its discount by now
        for (; bucket < hazard.size() && left > negligible; at = end_of(bucket++)) {
            double const rate = hazard[bucket] + 1 / horizon;
            double const passed = -std::expm1(-rate * (end_of(bucket) - at));
            mean += left * passed * hazard[bucket] / rate;
            left -= left * passed;
        }
        return mean;
    }

    std::array<std::array<reuse_count, policy::age_bucket::count>, policy::reuse_class::count>
        counts_{};
};

} // namespace marconi::tune
