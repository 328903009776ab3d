#pragma once

#include <marconi/core/finite.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/index/scan.hpp>
#include <marconi/policy/eviction/usage_history.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace marconi::policy {

/// What a candidate is worth at a time: a pure function. The candidate with the smallest score is
/// evicted; a score of +infinity or NaN keeps its candidate.
template <class F>
concept score_function = std::copyable<F> &&
    requires(F const score, usage const h, candidate_facts const facts, tick now) {
    { score(h, facts, now) } -> std::convertible_to<double>;
};

/// Any score makes a policy; a lambda, if it captures nothing:
///
/// ```
/// scored newest_first{[](usage const& h, candidate_facts const&, tick now) {
///     return static_cast<double>(now.value() - h.last_use.value());
/// }};
/// ```
/// Ties: oldest last use, then smaller FLOP efficiency, then lowest id. Changes O(1); victim O(N)
/// calls of the score: for experiments, and for caches of some thousand entries.
template <score_function Score>
class scored : public usage_history {
public:
    scored() requires std::is_class_v<Score>
    = default;
    explicit scored(Score score) : score_{std::move(score)} {}

    void insert(node_id node, usage const& h, candidate_facts const& facts) {
        index_.insert(node, h, facts);
    }
    void update(node_id node, usage const& h, candidate_facts const& facts) noexcept {
        index_.update(node, h, facts);
    }
    void erase(node_id node) noexcept { index_.erase(node); }
    void evicted(node_id node) noexcept { index_.erase(node); }

    [[nodiscard]] std::optional<node_id> victim(tick now) const {
        using rank = std::tuple<double, tick, double, node_id>;
        return index_.minimum(
            [&](node_id node, usage const& h, candidate_facts const& facts) -> std::optional<rank> {
                double const score = score_(h, facts, now);
                if (is_nan(score) || is_plus_infinity(score)) return std::nullopt;
                return rank{score, h.last_use, facts.flop_efficiency(), node};
            });
    }
    [[nodiscard]] std::size_t size() const { return index_.size(); }

private:
    scan_index index_;
    Score score_;
};

static_assert(eviction_policy<scored<double (*)(usage const&, candidate_facts const&, tick)>>);

} // namespace marconi::policy
