#pragma once

#include <marconi/cache/commit_follow.hpp>
#include <marconi/cache/evict.hpp>
#include <marconi/cache/lease.hpp>
#include <marconi/cache/loans.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace marconi::cache {

/// The next part of a commit: how much of what is not stored fits, and what is declined.
template <class Entries, token Token>
class sized_commit : public followed_commit<Entries, Token> {
    using base = followed_commit<Entries, Token>;

public:
    using base::base;

protected:
    using base::arrivals_;
    using base::block_;
    using base::brought_;
    using base::end_;
    using base::entries_;
    using base::known_;
    using base::lease_;
    using base::leases_;
    using base::outcome_;
    using base::store_;
    using base::taken_;
    using base::tokens_;
    using typename base::store_type;

    void choose_end() {
        this->list_arrivals();
        taken_ = arrivals_.size();
        end_ = entries_.has_kv() ? static_cast<std::uint32_t>(tokens_.size()) : end_with(taken_);
        wished_ = end_;
        shrink_to(obtainable_pages(entries_, leases_, pages_needed(end_, taken_)));
        check_sources();
        std::uint64_t const evictions = entries_.counts().evictions();
        byte_count const evicted = entries_.counts().bytes_evicted;
        while (!make_room(entries_, pages_needed(end_, taken_), eviction_reason::commit))
            shrink_to(store_.pages().available());
        outcome_.evicted_entries = entries_.counts().evictions() - evictions;
        outcome_.evicted_bytes = entries_.counts().bytes_evicted - evicted;
        note_declined();
    }

    /// Other calls came in between and may have published more of the sequence: follows it to where
    /// it is not stored. Pages of `states` for what is stored by now become surplus. A lease that
    /// reserved pages, which its block table names, stops where it has filled them.
    void follow_others(path_pin<Entries>& pin, std::span<page_id const> states) {
        pin.move_to(this->follow({this->attachment_, known_},
                                 lease_.in_place ? tokens_.first(end_) : tokens_));
        this->part_from_others(pin);
        end_ = std::max(end_, known_);
        wished_ = std::max(wished_, end_);
        this->find_stored();
        for (std::size_t i = std::exchange(taken_, 0); i-- > 0;)
            if (arrivals_[i].stored)
                std::ranges::copy(arrivals_[i].own(states), std::back_inserter(surplus_));
            else
                ++taken_;
        this->drop_stored();
        note_declined();
    }

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

    std::vector<page_id> surplus_; ///< filled for what others have published meanwhile

private:
    void note_declined() {
        outcome_.known_checkpoints = this->count_known();
        outcome_.declined_checkpoints = static_cast<std::uint32_t>(
            brought_.checkpoints.size() - taken_ - outcome_.known_checkpoints);
        outcome_.declined_tokens = token_count{wished_ - end_};
    }

    /// The end of a sequence that stops at the last of the first `count` arrivals.
    [[nodiscard]] std::uint32_t end_with(std::size_t count) const {
        return count == 0 ? known_ : std::max(known_, arrivals_[count - 1].position);
    }

    [[nodiscard]] std::uint64_t pages_needed(std::uint32_t end, std::size_t count) const {
        return fresh_blocks(end) + state_pages(count);
    }
    /// Where the pages end that the lease has reserved, as far as they go on from what is known:
    /// tokens up to there take no room.
    [[nodiscard]] std::uint32_t end_of_reserved() const {
        if (!lease_.in_place || !lease_.owns_block(known_ / block_)) return known_;
        return std::min(end_, lease_.end_block() * block_);
    }
    /// Cuts what will be stored to what `available` pages hold: up to the last checkpoint that
    /// fits, or to any token where resuming needs no checkpoint; in any case what lies in pages
    /// that the lease has reserved.
    void shrink_to(std::uint64_t available) {
        if (pages_needed(end_, taken_) <= available) return;
        if (entries_.needs_checkpoint()) {
            std::uint32_t const kept = end_of_reserved();
            auto const end = [&] { return std::max(end_with(taken_), kept); };
            if (end_ == end() && taken_ > 0) --taken_;
            while (taken_ > 0 && pages_needed(end(), taken_) > available)
                --taken_;
            end_ = end();
            return;
        }
        std::uint32_t fits = known_;
        for (std::uint32_t too_far = end_; too_far - fits > 1;) {
            std::uint32_t const middle = fits + (too_far - fits) / 2;
            (pages_needed(middle, 0) <= available ? fits : too_far) = middle;
        }
        end_ = fits;
    }

    /// The KV to be stored must come from the view or from pages that the lease reserved.
    void check_sources() const {
        if constexpr (store_type::holds_bytes)
            if (entries_.has_kv() && brought_.kv.layers.empty() && end_ > known_ &&
                (!lease_.in_place || fresh_blocks(end_) != 0))
                throw invalid_argument{"commit: tokens [" + std::to_string(known_) + ", " +
                                       std::to_string(end_) +
                                       ") are neither in the kv view nor all in pages that the "
                                       "lease reserved"};
    }

    std::uint32_t wished_ = 0; ///< what end_ would be if all had room
};

} // namespace marconi::cache
