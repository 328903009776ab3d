#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace marconi::policy {

enum class rival : std::uint8_t { first, second };

/// Two policies over the same candidates. One at a time is in charge and names the victims; both
/// are told of everything else, so that the charge can change hands at any time. To the policy that
/// is not in charge, a victim is a candidate that merely went: it did not evict it, so a
/// greedy-dual's clock stands still. Costs are the sum of both.
template <eviction_policy First, eviction_policy Second>
    requires(refreshes_path<First> == refreshes_path<Second>)
class either {
public:
    static constexpr bool refreshes_path = policy::refreshes_path<First>;

    struct history {
        typename First::history first;
        typename Second::history second;

        friend constexpr bool operator==(history const&, history const&) = default;
    };

    either() = default;
    either(First first, Second second, rival charge = rival::first)
        : first_{std::move(first)}, second_{std::move(second)}, charge_{charge} {}

    [[nodiscard]] First& first() { return first_; }
    [[nodiscard]] First const& first() const { return first_; }
    [[nodiscard]] Second& second() { return second_; }
    [[nodiscard]] Second const& second() const { return second_; }

    [[nodiscard]] rival in_charge() const { return charge_; }
    /// Takes effect at the next victim. O(1).
    void put_in_charge(rival which) { charge_ = which; }

    [[nodiscard]] history created(tick now) const {
        return {first_.created(now), second_.created(now)};
    }
    [[nodiscard]] history used(history const& h, tick now) const {
        return {first_.used(h.first, now), second_.used(h.second, now)};
    }
    [[nodiscard]] history merged(history const& child, history const& parent) const {
        return {first_.merged(child.first, parent.first),
                second_.merged(child.second, parent.second)};
    }

    void insert(node_id node, history const& h, candidate_facts const& facts) {
        first_.insert(node, h.first, facts);
        try {
            second_.insert(node, h.second, facts);
        } catch (...) {
            first_.erase(node);
            throw;
        }
    }
    void update(node_id node, history const& h, candidate_facts const& facts) {
        first_.update(node, h.first, facts);
        second_.update(node, h.second, facts);
    }
    void erase(node_id node) {
        first_.erase(node);
        second_.erase(node);
    }
    void evicted(node_id node) {
        bool const by_first = charge_ == rival::first;
        by_first ? first_.evicted(node) : first_.erase(node);
        by_first ? second_.erase(node) : second_.evicted(node);
    }

    [[nodiscard]] std::optional<node_id> victim(tick now) const {
        return charge_ == rival::first ? first_.victim(now) : second_.victim(now);
    }
    /// Nothing while the policy in charge names none. The cache takes `either` for a policy that
    /// does, whatever its parts do: then nothing asks early for the memory that an eviction looks
    /// at.
    [[nodiscard]] std::optional<node_id> likely_victim() const noexcept {
        return charge_ == rival::first ? policy::likely_victim(first_)
                                       : policy::likely_victim(second_);
    }
    [[nodiscard]] std::size_t size() const { return first_.size(); }

private:
    First first_;
    Second second_;
    rival charge_ = rival::first;
};

static_assert(eviction_policy<either<lru, lru>>);

} // namespace marconi::policy
