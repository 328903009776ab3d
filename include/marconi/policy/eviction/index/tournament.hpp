#pragma once

// A tournament of candidates: in groups of eight, the smallest goes on to the next round.
//
//   rounds_[1]   n3
//   rounds_[0]   n3                 n9
//   keys_        n0 n1 -- n3 .. n7  n8 n9 .. n15      a node's key is where its id says
//
// A heap would move other nodes' entries, and would have to keep where each is: in a large cache
// that is a cache miss a level. Here a change reads one group in each round whose winner it
// changes, most often in none.

#include <marconi/core/prefetch.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace marconi::policy {

/// Candidates by priority, smallest (key, node id) first: for priorities that change only when
/// the candidate does. Keys are compared by functions that do not throw. Below, N is the largest
/// id. Memory: for each id up to that a key, a bit, and a seventh of a key and an id; or up to
/// twice that.
template <std::totally_ordered Key>
    requires std::is_nothrow_default_constructible_v<Key> &&
        std::is_nothrow_copy_constructible_v<Key> && std::is_nothrow_copy_assignable_v<Key>
class tournament_index {
public:
    /// Adds a node that is absent. O(log N), or O(N) where an id is twice as large as any before.
    /// std::bad_alloc leaves the index as it was.
    void insert(node_id node, Key const& key) {
        assert(!contains(node));
        if (node.value() >= keys_.size()) grow(node.value() + std::size_t{1});
        ++size_;
        present_[node.value() / group] |= bit(node);
        set(node, key);
    }

    /// Gives a node that is present another key. O(log N).
    void update(node_id node, Key const& key) noexcept {
        assert(contains(node));
        if (!(keys_[node.value()] == key)) set(node, key); // most often another fact has changed
    }

    /// Removes a node that is present. O(log N).
    void erase(node_id node) noexcept {
        assert(contains(node));
        --size_;
        present_[node.value() / group] ^= bit(node);
        play(node, {});
    }

    /// The node with the smallest (key, id), or nothing. O(1).
    [[nodiscard]] std::optional<node_id> top() const {
        if (size() == 0) return std::nullopt;
        return rounds_.back().front().node;
    }

    /// top(), and asks for the memory that erasing it will look at. O(1).
    [[nodiscard]] std::optional<node_id> prefetched_top() const noexcept {
        std::optional<node_id> const node = top();
        if (!node) return node;
        std::size_t at = node->value() / group;
        marconi::prefetch(&present_[at]);
        marconi::prefetch(&keys_[at * group], group);
        std::size_t const large = std::min<std::size_t>(rounds_.size() - 1, 2); // others: in caches
        for (std::size_t r = 0; r < large; ++r) {
            at /= group;
            marconi::prefetch(&rounds_[r][at * group], group);
        }
        return node;
    }

    /// Asks for the memory that inserting or updating a node will look at, most often.
    void prefetch(node_id node) const noexcept {
        if (node.value() >= keys_.size()) return; // never a candidate
        marconi::prefetch(&keys_[node.value()]);
        marconi::prefetch(&rounds_[0][node.value() / group]);
    }

    /// The key of a node that is present. O(1).
    [[nodiscard]] Key const& key(node_id node) const {
        assert(contains(node));
        return keys_[node.value()];
    }

    [[nodiscard]] bool contains(node_id node) const {
        return node.value() < keys_.size() && (present_[node.value() / group] & bit(node)) != 0;
    }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    /// Without a node, nobody: greater than all others.
    struct entry {
        Key key{};
        node_id node;
        friend bool operator<(entry const& a, entry const& b) {
            if (!a.node || !b.node) return bool{a.node};
            if (a.key < b.key) return true;
            return !(b.key < a.key) && a.node < b.node;
        }
    };
    using round = std::vector<entry>;

    /// As many as present_ has bits for; 16 take as long, 32 longer.
    static constexpr std::size_t group = 8;

    [[nodiscard]] static std::uint8_t bit(node_id node) {
        return static_cast<std::uint8_t>(1u << node.value() % group);
    }

    void set(node_id node, Key const& key) noexcept {
        keys_[node.value()] = key;
        play(node, {key, node});
    }

    /// Plays again what a node takes part in, as far up as that changes who wins. `now` is what
    /// has become of it.
    void play(node_id node, entry now) noexcept {
        std::size_t at = node.value();
        for (std::size_t r = 0; r < rounds_.size(); ++r) {
            at /= group;
            entry& won = rounds_[r][at];
            if (now < won)
                won = now;
            else if (won.node == node)
                won = r == 0 ? winner(at) : winner(rounds_[r - 1], at);
            else
                return;
            now = won;
        }
    }

    /// Who wins in a group of nodes, or of a round's entries.
    [[nodiscard]] entry winner(std::size_t of) const noexcept {
        entry won;
        for (std::uint32_t i = 0; i < group; ++i) {
            node_id const node{static_cast<std::uint32_t>(of * group) + i};
            if ((present_[of] & bit(node)) == 0) continue;
            if (!won.node || keys_[node.value()] < won.key) won = {keys_[node.value()], node};
        }
        return won;
    }
    [[nodiscard]] static entry const& winner(round const& entries, std::size_t of) noexcept {
        auto const first = entries.begin() + static_cast<std::ptrdiff_t>(of * group);
        // Of equal keys the first has the smallest id.
        return *std::min_element(first, first + group, [](entry const& a, entry const& b) {
            return a.node && (!b.node || a.key < b.key);
        });
    }

    /// Makes room for ids below `wanted`. The strong guarantee holds.
    void grow(std::size_t wanted) {
        auto const groups_of = [](std::size_t n) { return divide_up(n, group); };
        std::size_t const groups = groups_of(std::max(wanted, 2 * keys_.size()));
        std::vector<round> rounds;
        for (std::size_t left = groups; left > 1; left = groups_of(left))
            rounds.emplace_back(groups_of(left) * group);
        rounds.emplace_back(1);
        present_.resize(groups);
        keys_.resize(groups * group); // if this throws, there are bits for keys that are not there
        rounds_ = std::move(rounds);
        for (std::size_t at = 0; at < groups; ++at)
            rounds_[0][at] = winner(at);
        for (std::size_t r = 1; r < rounds_.size(); ++r)
            for (std::size_t at = 0; at * group < rounds_[r - 1].size(); ++at)
                rounds_[r][at] = winner(rounds_[r - 1], at);
    }

    std::vector<Key> keys_;
    std::vector<std::uint8_t> present_; ///< a bit for each key
    std::vector<round> rounds_;         ///< the last has one entry, the winner
    std::size_t size_ = 0;
};

} // namespace marconi::policy
