#pragma once

#include <marconi/cache/lease.hpp>
#include <marconi/cache/loans.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/match.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace marconi::cache {

/// The first part of a commit: how much of it is stored already. Positions are tokens from the
/// start of the sequence.
template <class Entries, token Token>
class followed_commit {
public:
    followed_commit(Entries& entries, lease_table const& leases, lease_record& lease,
                    std::span<Token const> tokens, computed const& brought)
        : entries_{entries},
          tree_{entries.tree()},
          store_{entries.store()},
          leases_{leases},
          lease_{lease},
          tokens_{tokens},
          brought_{brought},
          block_{entries.store().layout().block_tokens()} {}

protected:
    using store_type = std::remove_cvref_t<decltype(std::declval<Entries&>().store())>;

    /// A checkpoint that was brought, and is not in the cache yet.
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

    /// Where the lease stands.
    [[nodiscard]] index::location start() {
        if (lease_.kv_pinned) return {lease_.node, lease_.position};
        node_id const root = tree_.find_root(lease_.in);
        return {root ? root : tree_.make_root(lease_.in), 0};
    }
    /// Follows the sequence, or its first tokens, from `from` as far as it is stored.
    node_id follow(index::location from, std::span<Token const> sequence) {
        index::location const at = tree_.walk(from, sequence, [](node_id) {});
        known_ = at.depth;
        return attachment_ = at.node;
    }

    /// If the sequence leaves an edge, or ends, in its middle, cuts the edge there: what lies
    /// beyond belongs to other requests and may have to make room for this one. When unpinned, the
    /// halves merge again.
    void part_from_others(path_pin<Entries>& pin) {
        entries_.reserve(2 * brought_.checkpoints.size() + 2, brought_.checkpoints.size());
        if (known_ == tree_[attachment_].depth) return;
        attachment_ = entries_.split(attachment_, known_);
        pin.move_to(attachment_);
    }

    void list_arrivals() {
        for (captured_state const& c : brought_.checkpoints)
            arrivals_.push_back({static_cast<std::uint32_t>(c.position.value()), c.state,
                                 store_.layout().checkpoint_pages(c.position)});
        find_stored();
        drop_stored();
        std::uint64_t sum = 0;
        for (arrival& a : arrivals_)
            a.pages_so_far = sum += a.pages;
    }

    /// Finds the arrivals whose checkpoints are here already: from the last to the first, so that
    /// one climb along the path passes all their nodes.
    void find_stored() {
        node_id below = attachment_;
        for (std::size_t i = arrivals_.size(); i-- > 0;) {
            arrival& a = arrivals_[i];
            if (a.position > known_) continue;
            a.stored = is_stored(below, a.position);
            if (a.stored) known_positions_.push_back(a.position);
        }
        std::ranges::sort(known_positions_, std::ranges::greater{});
    }
    void drop_stored() {
        std::erase_if(arrivals_, [](arrival const& a) { return a.stored; });
    }
    /// How many of the checkpoints that were found stored have not been evicted since.
    [[nodiscard]] std::uint32_t count_known() const {
        std::uint32_t count = 0;
        node_id below = attachment_;
        for (std::uint32_t const position : known_positions_)
            count += is_stored(below, position);
        return count;
    }

    Entries& entries_;
    typename Entries::tree_type& tree_;
    store_type& store_;
    lease_table const& leases_;
    lease_record& lease_;
    std::span<Token const> tokens_;
    computed const& brought_;
    std::uint32_t block_;

    node_id attachment_;            ///< where position known_ is; later the last node added
    std::uint32_t known_ = 0;       ///< how far the sequence is stored already
    std::uint32_t end_ = 0;         ///< how far it will be
    std::vector<arrival> arrivals_; ///< ascending
    std::size_t taken_ = 0;         ///< how many of the arrivals will be stored, from the first
    commit_outcome outcome_;

private:
    /// Moves `below` up to the node that holds the position; whether that has a checkpoint there.
    [[nodiscard]] bool is_stored(node_id& below, std::uint32_t position) const {
        below = tree_.holding(below, position);
        return tree_[below].depth == position && entries_.has_checkpoint(below);
    }

    std::vector<std::uint32_t> known_positions_; ///< of checkpoints that were here, descending
};

} // namespace marconi::cache
