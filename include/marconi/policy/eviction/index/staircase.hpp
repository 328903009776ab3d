#pragma once

// Finds the smallest score among many candidates without looking at most of them, for any score
// that only grows with (last use, FLOP efficiency): its minimum lies on the lower left staircase.
//
//   efficiency                          A subtree of the use_tree spans a rectangle, no score in
//    |  .   .     .      .              which is less than that of its lower left corner. If that
//    |    .    .     .        .         is no better than the best candidate found so far, the
//    |#        .   .                    subtree is passed over.
//    |    .#       .   .   .
//    |        .#       .
//    |               .    #     .
//    +--------------------------- last use

#include <marconi/core/types.hpp>
#include <marconi/policy/eviction/index/use_tree.hpp>

#include <algorithm>
#include <cassert>
#include <compare>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

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
        link last = tree_.root();
        while (tree_[last].right != none)
            last = tree_[last].right;
        auto const& root = tree_[tree_.root()];
        return {oldest(), tree_[last].last_use, root.least, root.most};
    }

    /// The node with the smallest (score, last use, efficiency, id), where `score(last_use,
    /// efficiency)` is finite and never falls when one of them grows: in floating point too,
    /// which holds for monotone operations that are the same at every call. O(S log N), S the
    /// candidates on that stretch of the staircase where scores come near the smallest.
    template <class Score>
    [[nodiscard]] std::optional<node_id> minimum(Score const& score) const {
        if (size() == 0) return std::nullopt;
        rank best{std::numeric_limits<double>::infinity(), {}, 0, none};
        search(tree_.root(), oldest(), 0, score, best);
        return node_id{best.node};
    }

private:
    using link = use_tree::link;
    static constexpr link none = use_tree::none;

    struct rank {
        double score;
        tick last_use;
        double efficiency;
        link node;
        friend auto operator<=>(rank const&, rank const&) = default;
        friend bool operator==(rank const&, rank const&) = default; // for nvcc 13
    };

    [[nodiscard]] tick oldest() const {
        link first = tree_.root();
        while (tree_[first].left != none)
            first = tree_[first].left;
        return tree_[first].last_use;
    }

    /// Looks for a better candidate in a subtree that begins at or past (use, id). The more
    /// promising half goes first, so that the other may be passed over; so is one whose corner
    /// only equals the best: none of its candidates ranks before that.
    template <class Score>
    void search(link at, tick use, link id, Score const& score, rank& best) const {
        auto const& c = tree_[at];
        best = std::min(best, rank{score(c.last_use, c.efficiency), c.last_use, c.efficiency, at});
        struct half {
            link root;
            rank corner;
        };
        auto const half_from = [&](link root, tick from, link after) {
            double const least = root == none ? 0 : tree_[root].least;
            return half{root, {score(from, least), from, least, after}};
        };
        half first = half_from(c.left, use, id);
        half second = half_from(c.right, c.last_use, at);
        if (second.corner < first.corner) std::swap(first, second);
        for (half const& h : {first, second})
            if (h.root != none && h.corner < best)
                search(h.root, h.corner.last_use, h.corner.node, score, best);
    }

    use_tree tree_;
};

} // namespace marconi::policy
