#pragma once

// Treaps of candidates in the order of (last use, id): search trees by that key and heaps by
// priority. Priorities are a hash of the id with a seed of the tree's own, so that no order of
// requests can make one deep; the shape decides how long a search takes and nothing else. Each cell
// knows the least and the most efficiency below it. Trees share the cells: a node is in one of
// them.
//
//                     9 @ t4  [0.1 .. 8.0]
//                   /        \                  links are ids: cells lie at their node's id
//     2 @ t1  [0.1 .. 3.0]   5 @ t7  [2.5 .. 8.0]

#include <marconi/core/hash.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace marconi::policy {

/// Candidates by last use, with the range of FLOP efficiencies in every subtree; in one tree or in
/// several, where the caller must know which one a node is in. Memory: 40 bytes for every id up to
/// the largest. Depths and costs are expected ones, over the hash.
class use_tree {
public:
    using link = std::uint32_t;

    explicit use_tree(std::size_t trees = 1, std::uint64_t seed = random_seed())
        : seed_{seed}, roots_(trees, none) {}

    static constexpr link none = node_id{}.value();

    struct cell {
        tick last_use;
        double efficiency = 0;
        double least = 0; ///< efficiency in the subtree
        double most = 0;
        link left = none;
        link right = none;
    };

    [[nodiscard]] link root(std::size_t tree = 0) const { return roots_[tree]; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] cell const& operator[](link at) const { return cells_[at]; }
    /// The oldest and the newest last use in a tree that is not empty. O(log N).
    [[nodiscard]] tick oldest(std::size_t tree = 0) const {
        link at = roots_[tree];
        while (cells_[at].left != none)
            at = cells_[at].left;
        return cells_[at].last_use;
    }
    [[nodiscard]] tick newest(std::size_t tree = 0) const {
        link at = roots_[tree];
        while (cells_[at].right != none)
            at = cells_[at].right;
        return cells_[at].last_use;
    }

    /// Adds a node that is absent; the efficiency is a number. O(log N). std::bad_alloc leaves
    /// the tree as it was.
    void insert(node_id node, tick last_use, double efficiency, std::size_t tree = 0) {
        assert(node);
        if (node.value() >= cells_.size()) cells_.resize(node.value() + 1u);
        attach(roots_[tree], node.value(), last_use, efficiency);
        ++size_;
    }

    /// Moves a node that is present, to another tree if need be. O(log N).
    void update(node_id node, tick last_use, double efficiency, std::size_t from = 0,
                std::size_t to = 0) noexcept {
        cell const& c = cells_[node.value()];
        if (from == to && c.last_use == last_use && c.efficiency == efficiency) return;
        detach(roots_[from], node.value());
        attach(roots_[to], node.value(), last_use, efficiency);
    }

    /// Removes a node that is present. O(log N).
    void erase(node_id node, std::size_t tree = 0) noexcept {
        detach(roots_[tree], node.value());
        --size_;
    }

private:
    [[nodiscard]] std::uint64_t priority(link at) const noexcept { return mix(seed_ ^ at); }

    [[nodiscard]] bool before(link a, link b) const noexcept {
        tick const use_a = cells_[a].last_use;
        tick const use_b = cells_[b].last_use;
        return use_a < use_b || (use_a == use_b && a < b);
    }

    /// Recomputes a cell's range from its halves.
    void refresh(link at) noexcept {
        cell& c = cells_[at];
        c.least = c.most = c.efficiency;
        for (link const half : {c.left, c.right}) {
            if (half == none) continue;
            c.least = std::min(c.least, cells_[half].least);
            c.most = std::max(c.most, cells_[half].most);
        }
    }

    /// Goes down to where the new priority belongs; whatever is there goes below the new node.
    void attach(link& root, link added, tick last_use, double efficiency) noexcept {
        cells_[added].last_use = last_use;
        cells_[added].efficiency = efficiency;
        link* at = &root;
        while (*at != none && priority(*at) > priority(added)) {
            cell& c = cells_[*at];
            c.least = std::min(c.least, efficiency);
            c.most = std::max(c.most, efficiency);
            at = before(added, *at) ? &c.left : &c.right;
        }
        split(*at, added, cells_[added].left, cells_[added].right);
        *at = added;
        refresh(added);
    }

    void detach(link& at, link gone) noexcept {
        assert(at != none);
        cell& c = cells_[at];
        if (at == gone) {
            at = join(c.left, c.right);
            return;
        }
        detach(before(gone, at) ? c.left : c.right, gone);
        // Only removing an extreme can change a range: spares most levels two cache misses.
        double const efficiency = cells_[gone].efficiency;
        if (efficiency <= c.least || efficiency >= c.most) refresh(at);
    }

    /// Splits a subtree into what comes before a node and what comes after. O(1), as is join.
    void split(link at, link node, link& left, link& right) noexcept {
        if (at == none) {
            left = right = none;
            return;
        }
        if (before(at, node)) {
            left = at;
            split(cells_[at].right, node, cells_[at].right, right);
        } else {
            right = at;
            split(cells_[at].left, node, left, cells_[at].left);
        }
        refresh(at);
    }

    [[nodiscard]] link join(link left, link right) noexcept {
        if (left == none) return right;
        if (right == none) return left;
        link top = left;
        if (priority(left) > priority(right)) {
            cells_[left].right = join(cells_[left].right, right);
        } else {
            top = right;
            cells_[right].left = join(left, cells_[right].left);
        }
        refresh(top);
        return top;
    }

    std::uint64_t seed_;
    std::vector<cell> cells_;
    std::vector<link> roots_;
    std::size_t size_ = 0;
};

static_assert(sizeof(use_tree::cell) == 40);

} // namespace marconi::policy
