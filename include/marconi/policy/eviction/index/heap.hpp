#pragma once

// A heap of candidates that can be addressed by node.
//
//   entries_     [k0 n7][k2 n1][k9 n4][k3 n0][k5 n2]...    children of i at 4i + 1 .. 4i + 4
//   positions_    n0:3   n1:1   n2:4   n3:-   n4:2 ...     where a node's entry is
//
// Four children a node: half the levels of a binary heap, and siblings share a cache line or two.

#include <marconi/core/config.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/eviction/index/position_table.hpp>

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <vector>

namespace marconi::policy {

/// Candidates by priority, smallest (key, node id) first: for priorities that change only when
/// the candidate does. Memory: an entry a candidate, and 4 bytes for every id up to the largest.
template <std::totally_ordered Key>
    requires std::is_nothrow_copy_assignable_v<Key>
class heap_index {
public:
    /// Adds a node that is absent. O(log N). std::bad_alloc leaves the index as it was.
    void insert(node_id node, Key const& key) {
        assert(!contains(node));
        positions_.reserve(node);
        entries_.push_back({key, node});
        raise(entries_.size() - 1, entries_.back());
    }

    /// Gives a node that is present another key. O(log N).
    void update(node_id node, Key const& key) noexcept {
        std::size_t const at = positions_[node];
        if (entries_[at].key == key) return; // most often: another fact has changed
        settle(at, {key, node});
    }

    /// Removes a node that is present. O(log N).
    void erase(node_id node) noexcept {
        std::size_t const at = positions_[node];
        entry const last = entries_.back();
        entries_.pop_back();
        positions_.clear(node);
        if (at < entries_.size()) settle(at, last);
    }

    /// The node with the smallest (key, id), or nothing. O(1).
    [[nodiscard]] std::optional<node_id> top() const {
        if (entries_.empty()) return std::nullopt;
        return entries_.front().node;
    }

    /// The key of a node that is present. O(1).
    [[nodiscard]] Key const& key(node_id node) const { return entries_[positions_[node]].key; }

    [[nodiscard]] bool contains(node_id node) const { return positions_.contains(node); }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
    struct entry {
        Key key;
        node_id node;
        friend bool operator<(entry const& a, entry const& b) {
            if (a.key < b.key) return true;
            return !(b.key < a.key) && a.node < b.node;
        }
    };

    static constexpr std::size_t fanout = 4;

    void place(std::size_t at, entry const& e) noexcept {
        entries_[at] = e;
        positions_.set(e.node, at);
    }

    /// Places `e` in the hole `at` or where it belongs above or below it.
    void settle(std::size_t at, entry e) noexcept {
        if (at > 0 && e < entries_[(at - 1) / fanout])
            raise(at, e);
        else
            sink(at, e);
    }

    void raise(std::size_t at, entry e) noexcept {
        while (at > 0) {
            std::size_t const parent = (at - 1) / fanout;
            if (!(e < entries_[parent])) break;
            place(at, entries_[parent]);
            at = parent;
        }
        place(at, e);
    }

    void sink(std::size_t at, entry e) noexcept {
        while (at * fanout + 1 < entries_.size()) {
            prefetch_below(at * fanout + 1);
            auto const first = entries_.begin() + static_cast<std::ptrdiff_t>(at * fanout + 1);
            auto const count = std::min<std::ptrdiff_t>(fanout, entries_.end() - first);
            auto const least = std::min_element(first, first + count);
            if (!(*least < e)) break;
            place(at, *least);
            at = static_cast<std::size_t>(least - entries_.begin());
        }
        place(at, e);
    }

    /// In a large heap each level is a cache miss. Prefetches the children of the `fanout` entries
    /// from `first` on: those of one of these are compared next.
    void prefetch_below(std::size_t first) const noexcept {
        std::size_t const begin = first * fanout + 1;
        if (begin + fanout * fanout > entries_.size()) return;
        auto const* const bytes = reinterpret_cast<char const*>(entries_.data() + begin);
        for (std::size_t at = 0; at < fanout * fanout * sizeof(entry); at += 64)
            MARCONI_PREFETCH(bytes + at);
    }

    std::vector<entry> entries_;
    position_table positions_;
};

} // namespace marconi::policy
