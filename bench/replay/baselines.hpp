#pragma once

// What engines and the paper's artifact do, written as policies for this library's cache, from
// outside it.

#include <marconi/core/types.hpp>
#include <marconi/model/spec.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace marconi::replay {

/// LRU as in block caches: only leaves are evicted, and a hit refreshes its whole path.
class leaf_lru : public policy::usage_history {
public:
    static constexpr bool refreshes_path = true;

    void insert(node_id node, policy::usage h, policy::candidate_facts const& facts) {
        ++candidates_;
        rank(node, h, facts);
    }
    void update(node_id node, policy::usage h, policy::candidate_facts const& facts) {
        rank(node, h, facts);
    }
    void erase(node_id node) {
        --candidates_;
        if (ranked(node)) forget(node);
    }
    void evicted(node_id node) { erase(node); }
    [[nodiscard]] std::optional<node_id> victim(tick now) const { return leaves_.victim(now); }
    [[nodiscard]] std::size_t size() const { return candidates_; }

private:
    [[nodiscard]] bool ranked(node_id node) const {
        return node.value() < ranked_.size() && ranked_[node.value()];
    }
    void rank(node_id node, policy::usage h, policy::candidate_facts const& facts) {
        if (!facts.is_leaf) {
            if (ranked(node)) forget(node);
        } else if (ranked(node)) {
            leaves_.update(node, h, facts);
        } else {
            leaves_.insert(node, h, facts);
            if (node.value() >= ranked_.size()) ranked_.resize(2 * node.value() + 1);
            ranked_[node.value()] = true;
        }
    }
    void forget(node_id node) {
        leaves_.erase(node);
        ranked_[node.value()] = false;
    }

    policy::lru leaves_;
    std::vector<bool> ranked_;
    std::size_t candidates_ = 0;
};

static_assert(policy::eviction_policy<leaf_lru>);

/// The score as the paper's published artifact computes it, with two slips in the formula: an MLP
/// layer's saving is its FLOPs for the whole path minus an attention layer's for the parent's path,
/// and the bytes are the whole path's, though the FLOPs are the node's own. Its clock ticks at
/// every match, at the look-up and at the end of every insertion, and at every eviction. The
/// artifact's other faults are left out.
class artifact_score : public policy::flop_aware {
public:
    /// Layers of each kind, and the model's and the states' width, as the paper's formulas need
    /// them.
    struct shape {
        double attention = 4, mlp = 28, mamba = 24;
        double width = 4096, states = 128;
    };

    explicit artifact_score(double alpha = 0) : artifact_score{alpha, shape{}} {}
    artifact_score(double alpha, shape model) : flop_aware{alpha}, model_{model} {}

    [[nodiscard]] policy::usage created(tick now) const { return flop_aware::created(clock(now)); }
    [[nodiscard]] policy::usage used(policy::usage h, tick now) const {
        return flop_aware::used(h, clock(now));
    }
    void insert(node_id node, policy::usage const& h, policy::candidate_facts const& facts) {
        flop_aware::insert(node, h, efficiency(facts));
    }
    void update(node_id node, policy::usage const& h, policy::candidate_facts const& facts) {
        flop_aware::update(node, h, efficiency(facts));
    }
    void evicted(node_id node) {
        ++evictions_;
        flop_aware::evicted(node);
    }
    [[nodiscard]] std::optional<node_id> victim(tick now) const {
        return flop_aware::victim(clock(now));
    }

    [[nodiscard]] double efficiency(policy::candidate_facts const& facts) const {
        double const d = model_.width;
        double const n = model_.states;
        double const length = static_cast<double>(facts.depth.value());
        double const before = static_cast<double>(facts.parent_depth.value());
        auto const attention = [&](double l) { return 8 * l * d * d + 4 * l * l * d; };
        auto const mlp = [&](double l) { return 16 * l * d * d; };
        auto const mamba = [&](double l) { return 12 * l * d * d + 16 * l * d * n + 10 * l * d; };
        double const saved = model_.attention * (attention(length) - attention(before)) +
                             model_.mlp * (mlp(length) - attention(before)) +
                             model_.mamba * (mamba(length) - mamba(before));
        double const bytes =
            model_.attention * 4 * d * length + model_.mamba * (2 * d * n + 8 * (2 * d + 2 * n));
        return saved / bytes;
    }

private:
    /// The cache ticks twice a request, the artifact three times and at evictions.
    [[nodiscard]] tick clock(tick now) const { return tick{now.value() * 3 / 2 + evictions_}; }

    shape model_;
    std::uint64_t evictions_ = 0;
};

static_assert(policy::eviction_policy<artifact_score>);

} // namespace marconi::replay
