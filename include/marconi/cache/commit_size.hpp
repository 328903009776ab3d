#pragma once

#include <marconi/cache/evict.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

namespace marconi::cache {

/// How much of what is not stored yet fits, and what is declined. `Work` is a commit_work.
template <class Work>
class commit_size {
public:
    explicit commit_size(Work& work) : work_{work} {}

    /// Chooses the end, and how many of the checkpoints are taken, and makes room for these.
    void choose_end() {
        if (!work_.is_forgotten())
            work_.arrivals.list(work_.brought.checkpoints, work_.attachment, work_.known);
        work_.end = work_.entries.has_kv() ? static_cast<std::uint32_t>(work_.tokens.size())
                                           : end_of_taken();
        wished_ = work_.end;
        shrink_to(obtainable_pages(work_.entries, work_.leases, pages_needed()));
        check_sources();
        std::uint64_t const evictions = work_.entries.counts().evictions();
        byte_count const evicted = work_.entries.counts().bytes_evicted;
        while (!make_room(work_.entries, pages_needed(), eviction_reason::commit))
            shrink_to(work_.store.pages().available());
        work_.outcome.evicted_entries = work_.entries.counts().evictions() - evictions;
        work_.outcome.evicted_bytes = work_.entries.counts().bytes_evicted - evicted;
        note_declined();
    }
    /// Other calls came in between, and may have published more of the sequence than was to be
    /// stored.
    void end_no_earlier_than_known() {
        work_.end = std::max(work_.end, work_.known);
        wished_ = std::max(wished_, work_.end);
        note_declined();
    }

private:
    void note_declined() {
        work_.outcome.known_checkpoints = work_.arrivals.count_known(work_.attachment);
        work_.outcome.declined_checkpoints = static_cast<std::uint32_t>(
            work_.brought.checkpoints.size() - work_.arrivals.taken().size() -
            work_.outcome.known_checkpoints);
        work_.outcome.declined_tokens = token_count{wished_ - work_.end};
    }

    /// The end of a sequence that stops at the last checkpoint that is taken.
    [[nodiscard]] std::uint32_t end_of_taken() const {
        auto const taken = work_.arrivals.taken();
        return taken.empty() ? work_.known : std::max(work_.known, taken.back().position);
    }
    [[nodiscard]] std::uint64_t pages_needed() const {
        return work_.fresh_blocks(work_.end) + work_.arrivals.pages();
    }
    /// Where the pages end that the lease has reserved, as far as they go on from what is known:
    /// tokens up to there take no room.
    [[nodiscard]] std::uint32_t end_of_reserved() const {
        if (!work_.lease.in_place || !work_.lease.owns_block(work_.known / work_.block))
            return work_.known;
        return std::min(work_.end, work_.lease.end_block() * work_.block);
    }

    /// Cuts what will be stored to what `available` pages hold: up to the last checkpoint that
    /// fits, or to any token where resuming needs no checkpoint; in any case what lies in pages
    /// that the lease has reserved.
    void shrink_to(std::uint64_t available) {
        if (pages_needed() <= available) return;
        if (work_.entries.needs_checkpoint())
            shrink_to_checkpoint(available);
        else
            shrink_to_token(available);
    }
    void shrink_to_checkpoint(std::uint64_t available) {
        std::uint32_t const kept = end_of_reserved();
        auto const end = [&] { return std::max(end_of_taken(), kept); };
        if (work_.end == end() && !work_.arrivals.taken().empty()) work_.arrivals.decline_last();
        for (work_.end = end(); !work_.arrivals.taken().empty() && pages_needed() > available;) {
            work_.arrivals.decline_last();
            work_.end = end();
        }
    }
    void shrink_to_token(std::uint64_t available) {
        std::uint32_t fits = work_.known;
        for (std::uint32_t too_far = work_.end; too_far - fits > 1;) {
            std::uint32_t const middle = fits + (too_far - fits) / 2;
            (work_.fresh_blocks(middle) <= available ? fits : too_far) = middle;
        }
        work_.end = fits;
    }

    /// The KV to be stored must come from the view or from pages that the lease reserved.
    void check_sources() const {
        if constexpr (Work::store_type::holds_bytes)
            if (work_.entries.has_kv() && work_.brought.kv.layers.empty() &&
                work_.end > work_.known &&
                (!work_.lease.in_place || work_.fresh_blocks(work_.end) != 0))
                throw invalid_argument{"commit: tokens [" + std::to_string(work_.known) + ", " +
                                       std::to_string(work_.end) +
                                       ") are neither in the kv view nor all in pages that the "
                                       "lease reserved; " +
                                       what_is_reserved()};
    }
    [[nodiscard]] std::string what_is_reserved() const {
        if (!work_.lease.in_place) return "it has reserved none";
        std::uint64_t const end = std::uint64_t{work_.lease.end_block()} * work_.block;
        return "these end at token " + std::to_string(end);
    }

    Work& work_;
    std::uint32_t wished_ = 0; ///< what the end would be if all had room
};

} // namespace marconi::cache
