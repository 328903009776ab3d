#pragma once

#include <marconi/cache/commit_checks.hpp>
#include <marconi/cache/evict.hpp>
#include <marconi/cache/lease.hpp>
#include <marconi/cache/loans.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/index/match.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace marconi::cache {

/// The first half of a commit: what of it is stored already, and how much of the rest fits.
/// Positions are tokens from the start of the sequence.
template <class Entries, token Token>
class sized_commit {
public:
    sized_commit(Entries& entries, lease_table const& leases, lease_record& lease,
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

        /// Its own among the pages of all arrivals.
        [[nodiscard]] std::span<page_id const> own(std::span<page_id const> all) const {
            return all.subspan(pages_so_far - pages, pages);
        }
    };

    /// Follows the sequence from where the lease stands as far as it is stored.
    node_id follow() {
        index::location start{tree_.find_root(lease_.in), 0};
        if (lease_.kv_pinned)
            start = {lease_.node, lease_.position};
        else if (!start.node)
            start.node = tree_.make_root(lease_.in);
        index::location const at = tree_.walk(start, tokens_, [](node_id) {});
        known_ = at.depth;
        return attachment_ = at.node;
    }

    /// Where the sequence leaves an edge, or ends, in its middle, cuts it there: what lies beyond
    /// belongs to other requests and may have to make room for this one. Unpinned, the halves merge
    /// again.
    void part_from_others(path_pin<Entries>& pin) {
        entries_.reserve(2 * brought_.checkpoints.size() + 2, brought_.checkpoints.size());
        if (known_ == tree_[attachment_].depth) return;
        attachment_ = entries_.split(attachment_, known_);
        pin.move_to(attachment_);
    }

    void choose_end() {
        list_arrivals();
        taken_ = arrivals_.size();
        end_ = entries_.has_kv() ? static_cast<std::uint32_t>(tokens_.size()) : end_with(taken_);
        std::uint32_t const wished = end_;
        shrink_to(obtainable_pages(entries_, leases_, pages_needed(end_, taken_), attachment_));
        check_sources();
        while (!make_room(entries_, pages_needed(end_, taken_), eviction_reason::commit))
            shrink_to(store_.pages().available());
        outcome_.declined_tokens = token_count{wished - end_};
        outcome_.known_checkpoints = still_known();
        outcome_.declined_checkpoints = static_cast<std::uint32_t>(
            brought_.checkpoints.size() - taken_ - outcome_.known_checkpoints);
    }

    /// From the last to the first, so that one climb along the path finds all their nodes.
    void list_arrivals() {
        node_id below = attachment_;
        for (std::size_t i = brought_.checkpoints.size(); i-- > 0;) {
            captured_state const& c = brought_.checkpoints[i];
            auto const position = static_cast<std::uint32_t>(c.position.value());
            if (position <= known_) {
                below = tree_.holding(below, position);
                if (tree_[below].depth == position && entries_.has_checkpoint(below)) {
                    known_positions_.push_back(position);
                    continue;
                }
            }
            arrivals_.push_back({position, c.state, store_.layout().checkpoint_pages(c.position)});
        }
        std::reverse(arrivals_.begin(), arrivals_.end());
        std::uint64_t sum = 0;
        for (arrival& a : arrivals_)
            a.pages_so_far = sum += a.pages;
    }

    /// Of what was known, what has not been evicted to make room.
    [[nodiscard]] std::uint32_t still_known() const {
        std::uint32_t count = 0;
        node_id below = attachment_;
        for (std::uint32_t const position : known_positions_) {
            below = tree_.holding(below, position);
            count += tree_[below].depth == position && entries_.has_checkpoint(below);
        }
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

    /// Blocks of [known_, end) for which the lease has no page.
    [[nodiscard]] std::uint64_t fresh_blocks(std::uint32_t end) const {
        if (end == known_ || !entries_.has_kv()) return 0;
        std::uint64_t const first = known_ / block_;
        std::uint64_t const last = divide_up(end, block_);
        std::uint64_t const owned_first = std::max<std::uint64_t>(first, lease_.first_block);
        std::uint64_t const owned_last =
            std::min<std::uint64_t>(last, lease_.first_block + lease_.pages.size());
        return last - first - (owned_last > owned_first ? owned_last - owned_first : 0);
    }

    /// Pages of the first `count` arrivals.
    [[nodiscard]] std::uint64_t state_pages(std::size_t count) const {
        return count == 0 ? 0 : arrivals_[count - 1].pages_so_far;
    }

private:
    /// The end of a sequence that stops at the last of the first `count` arrivals.
    [[nodiscard]] std::uint32_t end_with(std::size_t count) const {
        return count == 0 ? known_ : std::max(known_, arrivals_[count - 1].position);
    }

    std::vector<std::uint32_t> known_positions_; ///< of checkpoints that were here, descending

    [[nodiscard]] std::uint64_t pages_needed(std::uint32_t end, std::size_t count) const {
        return fresh_blocks(end) + state_pages(count);
    }
    /// Cuts what will be stored to what `available` pages hold: up to the last checkpoint that
    /// fits; any token will do where no checkpoint is needed to resume.
    void shrink_to(std::uint64_t available) {
        if (pages_needed(end_, taken_) <= available) return;
        if (entries_.needs_checkpoint()) {
            if (end_ == end_with(taken_) && taken_ > 0) --taken_;
            while (taken_ > 0 && pages_needed(end_with(taken_), taken_) > available)
                --taken_;
            end_ = end_with(taken_);
            return;
        }
        std::uint32_t fits = known_;
        for (std::uint32_t too_far = end_; too_far - fits > 1;) {
            std::uint32_t const middle = fits + (too_far - fits) / 2;
            (pages_needed(middle, 0) <= available ? fits : too_far) = middle;
        }
        end_ = fits;
    }

    /// What is to be stored must come from somewhere.
    void check_sources() const {
        if constexpr (store_type::holds_bytes)
            if (entries_.has_kv() && brought_.kv.layers.empty() && end_ > known_ &&
                (!lease_.in_place || fresh_blocks(end_) != 0))
                throw invalid_argument{"commit: tokens [" + std::to_string(known_) + ", " +
                                       std::to_string(end_) +
                                       ") are neither in the kv view nor all in pages that the "
                                       "lease reserved"};
    }
};

} // namespace marconi::cache
