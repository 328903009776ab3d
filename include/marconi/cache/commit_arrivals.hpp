#pragma once

#include <marconi/cache/outcome.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace marconi::cache {

/// A checkpoint that a commit brings.
struct arrival {
    std::uint32_t position;
    memory::state_view state;
    std::uint64_t pages;
    std::uint64_t pages_so_far = 0; // of this and the arrivals before
    bool stored = false;            // found to be in the cache already

    /// Its own among the pages of all arrivals.
    [[nodiscard]] std::span<page_id const> own(std::span<page_id const> all) const {
        return all.subspan(pages_so_far - pages, pages);
    }
};

/// The checkpoints that a commit brings and that are not in the cache yet, ascending. Those that
/// will be stored, the first so many of them, are the ones taken. `bottom` is the node in which the
/// sequence's first `known` tokens end: those that are stored.
template <class Entries>
class arrival_list {
public:
    explicit arrival_list(Entries const& entries) : entries_{entries} {}

    /// Lists those of `brought` that are not here, and takes all.
    void list(std::span<captured_state const> brought, node_id bottom, std::uint32_t known) {
        std::uint64_t const too_many = entries_.store().pages().capacity() + 1;
        for (captured_state const& c : brought) // sums of what could not fit do not overflow
            all_.push_back(
                {static_cast<std::uint32_t>(c.position.value()), c.state,
                 std::min(entries_.store().layout().checkpoint_pages(c.position), too_many)});
        find_stored(bottom, known);
        erase_stored();
        std::uint64_t sum = 0;
        for (arrival& a : all_)
            a.pages_so_far = sum += a.pages;
        taken_ = all_.size();
    }
    /// Drops those that were stored since, and adds their pages, of `states`, to `surplus`.
    void drop_stored(node_id bottom, std::uint32_t known, std::span<page_id const> states,
                     std::vector<page_id>& surplus) {
        find_stored(bottom, known);
        for (std::size_t i = std::exchange(taken_, 0); i-- > 0;)
            if (all_[i].stored)
                std::ranges::copy(all_[i].own(states), std::back_inserter(surplus));
            else
                ++taken_;
        erase_stored();
    }
    /// Takes none, and adds the pages of those that it took, of `states`, to `surplus`.
    void decline_all(std::span<page_id const> states, std::vector<page_id>& surplus) {
        for (arrival const& a : taken())
            std::ranges::copy(a.own(states), std::back_inserter(surplus));
        taken_ = 0;
    }
    /// How many of the checkpoints that were found stored have not been evicted since.
    [[nodiscard]] std::uint32_t count_known(node_id bottom) const {
        std::uint32_t count = 0;
        node_id below = bottom;
        for (std::uint32_t const position : known_positions_)
            count += is_stored(below, position);
        return count;
    }

    [[nodiscard]] std::span<arrival const> taken() const { return std::span{all_}.first(taken_); }
    /// Takes one fewer. Precondition: it takes some.
    void decline_last() { --taken_; }
    /// Pages of those that are taken, before drop_stored().
    [[nodiscard]] std::uint64_t pages() const {
        return taken_ == 0 ? 0 : all_[taken_ - 1].pages_so_far;
    }

private:
    /// From the last to the first, so that one climb along the path passes all their nodes.
    void find_stored(node_id bottom, std::uint32_t known) {
        node_id below = bottom;
        for (std::size_t i = all_.size(); i-- > 0;) {
            arrival& a = all_[i];
            if (a.position > known) continue;
            a.stored = is_stored(below, a.position);
            if (a.stored) known_positions_.push_back(a.position);
        }
        std::ranges::sort(known_positions_, std::ranges::greater{});
    }
    void erase_stored() {
        std::erase_if(all_, [](arrival const& a) { return a.stored; });
    }
    /// Moves `below` up to the node that holds the position; whether that has a checkpoint there.
    [[nodiscard]] bool is_stored(node_id& below, std::uint32_t position) const {
        auto const& tree = entries_.tree();
        below = tree.holding(below, position);
        return tree[below].depth == position && entries_.has_checkpoint(below);
    }

    Entries const& entries_;
    std::vector<arrival> all_;
    std::size_t taken_ = 0;
    std::vector<std::uint32_t> known_positions_; ///< of checkpoints that were here, descending
};

} // namespace marconi::cache
