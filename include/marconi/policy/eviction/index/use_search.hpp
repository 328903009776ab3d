#pragma once

// Finds the smallest score among the candidates of a use_tree without looking at most of them: a
// subtree spans a stretch of last uses and has a least efficiency, which bound the scores in it.
// If no score within these bounds is better than the best found so far, the subtree is passed over.

#include <marconi/core/types.hpp>
#include <marconi/policy/eviction/index/use_tree.hpp>

#include <algorithm>
#include <compare>
#include <concepts>
#include <limits>
#include <utility>

namespace marconi::policy {

/// What candidates are compared by, smallest first: a score, then age, then efficiency, then id.
struct use_rank {
    double score = std::numeric_limits<double>::infinity();
    tick last_use;
    double efficiency = 0;
    use_tree::link node = use_tree::none;

    friend auto operator<=>(use_rank const&, use_rank const&) = default;
    friend bool operator==(use_rank const&, use_rank const&) = default; // for nvcc 13
};

/// A score that can be bounded: score.least(first, last, efficiency) is at most score(use, e) for
/// every use in [first, last] and every e >= efficiency, in floating point, too. Scores are finite.
template <class S>
concept bounded_score = requires(S const& score, tick use, double efficiency) {
    { score(use, efficiency) } -> std::convertible_to<double>;
    { score.least(use, use, efficiency) } -> std::convertible_to<double>;
};

/// A search through trees of candidates, with the best of them so far.
template <bounded_score Score>
class use_search {
public:
    use_search(use_tree const& tree, Score const& score) : tree_{tree}, score_{score} {}

    /// Looks for a better candidate in one of the trees. O(log N) for each stretch of last uses
    /// where scores come near the smallest.
    void look_in(std::size_t tree) {
        link const root = tree_.root(tree);
        if (root != none) look_below(root, tree_.oldest(tree), 0, tree_.newest(tree));
    }
    [[nodiscard]] use_rank const& best() const { return best_; }

private:
    using link = use_tree::link;
    static constexpr link none = use_tree::none;

    /// Looks in a subtree that begins at or past (first, id) and ends at `last`. The more promising
    /// half goes first, so that the other may be passed over; so is one whose corner only equals
    /// the best: none of its candidates ranks before that.
    void look_below(link at, tick first, link id, tick last) {
        auto const& c = tree_[at];
        best_ = std::min(best_,
                         use_rank{score_(c.last_use, c.efficiency), c.last_use, c.efficiency, at});
        struct half {
            link root;
            use_rank corner;
            tick last;
        };
        auto const half_of = [&](link root, tick from, link after, tick until) {
            if (root == none) return half{root, {}, until};
            double const least = tree_[root].least;
            return half{root, {score_.least(from, until, least), from, least, after}, until};
        };
        half one = half_of(c.left, first, id, c.last_use);
        half other = half_of(c.right, c.last_use, at, last);
        if (other.corner < one.corner) std::swap(one, other);
        for (half const& h : {one, other})
            if (h.root != none && h.corner < best_)
                look_below(h.root, h.corner.last_use, h.corner.node, h.last);
    }

    use_tree const& tree_;
    Score const& score_;
    use_rank best_;
};

} // namespace marconi::policy
