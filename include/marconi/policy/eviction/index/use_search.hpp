#pragma once

// Finds the smallest score among the candidates of a use_tree without looking at most of them: a
// subtree spans a range of last uses and has a least efficiency, which bound the scores in it. If
// no score within these bounds is better than the best found so far, the subtree is skipped.

#include <marconi/core/types.hpp>
#include <marconi/policy/eviction/index/use_tree.hpp>

#include <concepts>
#include <limits>
#include <tuple>
#include <utility>

namespace marconi::policy {

/// What candidates are compared by, smallest first: a score, then age, then efficiency, then id.
struct use_rank {
    double score = std::numeric_limits<double>::infinity();
    tick last_use;
    double efficiency = 0;
    use_tree::link node = use_tree::none;

    friend bool operator<(use_rank const& a, use_rank const& b) {
        if (a.score != b.score) return a.score < b.score; // most often
        return std::tie(a.last_use, a.efficiency, a.node) <
               std::tie(b.last_use, b.efficiency, b.node);
    }
};

/// A score that can be bounded: score.least(first, last, efficiency) is at most score(use, e) for
/// every use in [first, last] and every e >= efficiency, in floating point, too. No score
/// is NaN; infinity is never the best.
template <class S>
concept bounded_score = requires(S const& score, tick use, double efficiency) {
    { score(use, efficiency) } -> std::convertible_to<double>;
    { score.least(use, use, efficiency) } -> std::convertible_to<double>;
};

/// A search through trees of candidates, with the best of them so far.
class use_search {
public:
    explicit use_search(use_tree const& tree) : tree_{tree} {}

    /// Looks for a better candidate in one of the trees. O(log N) for each range of last uses where
    /// scores come near the smallest.
    template <bounded_score Score>
    void look_in(std::size_t tree, Score const& score) {
        link const root = tree_.root(tree);
        if (root != none) look_below(score, root, tree_.oldest(tree), 0, tree_.newest(tree));
    }
    /// Its node is none while no score was below infinity.
    [[nodiscard]] use_rank const& best() const { return best_; }

private:
    using link = use_tree::link;
    static constexpr link none = use_tree::none;

    /// Searches a subtree that begins at or past (first, id) and ends at `last`. The more promising
    /// half goes first, so that the other may be skipped. So is a half whose corner only equals the
    /// best: none of its candidates ranks before that.
    template <class Score>
    void look_below(Score const& score, link at, tick first, link id, tick last) {
        auto const& c = tree_[at];
        use_rank const here{score(c.last_use, c.efficiency), c.last_use, c.efficiency, at};
        if (here < best_) best_ = here;
        struct half {
            link root;
            use_rank corner;
            tick last;
        };
        auto const half_of = [&](link root, tick from, link after, tick until) {
            if (root == none) return half{root, {}, until};
            double const least = tree_[root].least;
            return half{root, {score.least(from, until, least), from, least, after}, until};
        };
        half one = half_of(c.left, first, id, c.last_use);
        half other = half_of(c.right, c.last_use, at, last);
        if (other.corner < one.corner) std::swap(one, other);
        auto const look_in = [&](half const& h) {
            if (h.root != none && h.corner < best_)
                look_below(score, h.root, h.corner.last_use, h.corner.node, h.last);
        };
        look_in(one);
        look_in(other);
    }

    use_tree const& tree_;
    use_rank best_;
};

} // namespace marconi::policy
