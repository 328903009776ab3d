#pragma once

// Finds the smallest of scores that only grow with (last use, FLOP efficiency): it lies on the
// lower left staircase.
//
//   efficiency                          A subtree of the use_tree spans a rectangle, no score in
//    |  .   .     .      .              which is less than that of its lower left corner.
//    |    .    .     .        .
//    |#        .   .
//    |    .#       .   .   .
//    |        .#       .
//    |               .    #     .
//    +--------------------------- last use

#include <marconi/core/types.hpp>
#include <marconi/policy/eviction/index/use_search.hpp>
#include <marconi/policy/eviction/index/use_tree.hpp>

#include <cassert>
#include <cstddef>
#include <optional>

namespace marconi::policy {

/// Candidates by last use and FLOP efficiency. Memory: 40 bytes for every id up to the largest.
class staircase_index {
public:
    /// The rectangle that all candidates lie in.
    struct extent {
        tick oldest;
        tick newest;
        double least; ///< efficiency
        double most;
    };

    /// As in use_tree.
    void insert(node_id node, tick last_use, double efficiency) {
        tree_.insert(node, last_use, efficiency);
    }
    void update(node_id node, tick last_use, double efficiency) noexcept {
        tree_.update(node, last_use, efficiency);
    }
    void erase(node_id node) noexcept { tree_.erase(node); }
    [[nodiscard]] std::size_t size() const { return tree_.size(); }

    /// O(log N). There is at least one candidate.
    [[nodiscard]] extent bounds() const {
        assert(size() > 0);
        auto const& root = tree_[tree_.root()];
        return {tree_.oldest(), tree_.newest(), root.least, root.most};
    }

    /// The node with the smallest (score, last use, efficiency, id). `score(last_use, efficiency)`
    /// must be finite and never fall when one of them grows, in floating point, too: operations
    /// that are monotone and the same at every call ensure that. O(S log N), S the candidates on
    /// that stretch of the staircase where scores come near the smallest.
    template <class Score>
    [[nodiscard]] std::optional<node_id> minimum(Score const& score) const {
        if (size() == 0) return std::nullopt;
        use_search search{tree_};
        search.look_in(0, growing<Score>{score});
        if (search.best().node == use_tree::none) return std::nullopt;
        return node_id{search.best().node};
    }

private:
    /// The smallest score in a rectangle is that of its lower left corner.
    template <class Score>
    struct growing {
        Score const& score;
        double operator()(tick use, double efficiency) const { return score(use, efficiency); }
        [[nodiscard]] double least(tick first, tick, double efficiency) const {
            return score(first, efficiency);
        }
    };

    use_tree tree_;
};

} // namespace marconi::policy
