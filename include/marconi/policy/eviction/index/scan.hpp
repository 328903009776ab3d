#pragma once

#include <marconi/core/types.hpp>
#include <marconi/policy/facts.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

namespace marconi::policy {

/// All candidates in a row, for scores that no index can keep in order: they may change for all
/// candidates from tick to tick. Changes O(1); choosing O(N), some ns a candidate. Memory: about 90
/// bytes a candidate.
class scan_index {
public:
    /// Adds a node that is absent. std::bad_alloc leaves the index as it was.
    void insert(node_id node, usage const& h, candidate_facts const& facts) {
        if (node.value() >= row_of_.size()) row_of_.resize(node.value() + std::size_t{1}, absent);
        assert(row_of_[node.value()] == absent);
        rows_.push_back({node, h, facts});
        row_of_[node.value()] = static_cast<std::uint32_t>(rows_.size() - 1);
    }

    /// Replaces what is known of a node that is present.
    void update(node_id node, usage const& h, candidate_facts const& facts) noexcept {
        rows_[place_of(node)] = {node, h, facts};
    }

    /// Removes a node that is present.
    void erase(node_id node) noexcept {
        std::uint32_t const at = place_of(node);
        rows_[at] = rows_.back();
        row_of_[rows_[at].node.value()] = at;
        row_of_[node.value()] = absent;
        rows_.pop_back();
    }

    /// The node with the smallest `rank(node, history, facts)`. Ranks are optional and totally
    /// ordered: nodes without one are skipped. Ranks must differ, since no contract fixes the order
    /// of the rows.
    template <class Rank>
    [[nodiscard]] std::optional<node_id> minimum(Rank const& rank) const {
        std::optional<node_id> best;
        std::invoke_result_t<Rank const&, node_id, usage const&, candidate_facts const&> least;
        for (row const& r : rows_) {
            auto const mine = rank(r.node, r.use, r.facts);
            if (!mine || (least && !(*mine < *least))) continue;
            least = mine;
            best = r.node;
        }
        return best;
    }

    [[nodiscard]] std::size_t size() const { return rows_.size(); }

private:
    struct row {
        node_id node;
        usage use;
        candidate_facts facts;
    };
    static constexpr std::uint32_t absent = std::numeric_limits<std::uint32_t>::max();

    [[nodiscard]] std::uint32_t place_of(node_id node) const {
        assert(node.value() < row_of_.size() && row_of_[node.value()] != absent);
        return row_of_[node.value()];
    }

    std::vector<row> rows_;
    std::vector<std::uint32_t> row_of_; ///< by id
};

} // namespace marconi::policy
