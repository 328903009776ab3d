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
    explicit commit_size(Work& work) : w_{work} {}

    /// Chooses the end, and how many of the checkpoints are taken, and makes room for these.
    void choose_end() {
        w_.arrivals.list(w_.brought.checkpoints, w_.attachment, w_.known);
        w_.end =
            w_.entries.has_kv() ? static_cast<std::uint32_t>(w_.tokens.size()) : end_of_taken();
        wished_ = w_.end;
        shrink_to(obtainable_pages(w_.entries, w_.leases, pages_needed()));
        check_sources();
        std::uint64_t const evictions = w_.entries.counts().evictions();
        byte_count const evicted = w_.entries.counts().bytes_evicted;
        while (!make_room(w_.entries, pages_needed(), eviction_reason::commit))
            shrink_to(w_.store.pages().available());
        w_.outcome.evicted_entries = w_.entries.counts().evictions() - evictions;
        w_.outcome.evicted_bytes = w_.entries.counts().bytes_evicted - evicted;
        note_declined();
    }
    /// Other calls came in between, and may have published more of the sequence than was to be
    /// stored.
    void end_no_earlier_than_known() {
        w_.end = std::max(w_.end, w_.known);
        wished_ = std::max(wished_, w_.end);
        note_declined();
    }

private:
    void note_declined() {
        w_.outcome.known_checkpoints = w_.arrivals.count_known(w_.attachment);
        w_.outcome.declined_checkpoints =
            static_cast<std::uint32_t>(w_.brought.checkpoints.size() - w_.arrivals.taken().size() -
                                       w_.outcome.known_checkpoints);
        w_.outcome.declined_tokens = token_count{wished_ - w_.end};
    }

    /// The end of a sequence that stops at the last checkpoint that is taken.
    [[nodiscard]] std::uint32_t end_of_taken() const {
        auto const taken = w_.arrivals.taken();
        return taken.empty() ? w_.known : std::max(w_.known, taken.back().position);
    }
    [[nodiscard]] std::uint64_t pages_needed() const {
        return w_.fresh_blocks(w_.end) + w_.arrivals.pages();
    }
    /// Where the pages end that the lease has reserved, as far as they go on from what is known:
    /// tokens up to there take no room.
    [[nodiscard]] std::uint32_t end_of_reserved() const {
        if (!w_.lease.in_place || !w_.lease.owns_block(w_.known / w_.block)) return w_.known;
        return std::min(w_.end, w_.lease.end_block() * w_.block);
    }

    /// Cuts what will be stored to what `available` pages hold: up to the last checkpoint that
    /// fits, or to any token where resuming needs no checkpoint; in any case what lies in pages
    /// that the lease has reserved.
    void shrink_to(std::uint64_t available) {
        if (pages_needed() <= available) return;
        if (w_.entries.needs_checkpoint())
            shrink_to_checkpoint(available);
        else
            shrink_to_token(available);
    }
    void shrink_to_checkpoint(std::uint64_t available) {
        std::uint32_t const kept = end_of_reserved();
        auto const end = [&] { return std::max(end_of_taken(), kept); };
        if (w_.end == end() && !w_.arrivals.taken().empty()) w_.arrivals.decline_last();
        for (w_.end = end(); !w_.arrivals.taken().empty() && pages_needed() > available;) {
            w_.arrivals.decline_last();
            w_.end = end();
        }
    }
    void shrink_to_token(std::uint64_t available) {
        std::uint32_t fits = w_.known;
        for (std::uint32_t too_far = w_.end; too_far - fits > 1;) {
            std::uint32_t const middle = fits + (too_far - fits) / 2;
            (w_.fresh_blocks(middle) <= available ? fits : too_far) = middle;
        }
        w_.end = fits;
    }

    /// The KV to be stored must come from the view or from pages that the lease reserved.
    void check_sources() const {
        if constexpr (Work::store_type::holds_bytes)
            if (w_.entries.has_kv() && w_.brought.kv.layers.empty() && w_.end > w_.known &&
                (!w_.lease.in_place || w_.fresh_blocks(w_.end) != 0))
                throw invalid_argument{"commit: tokens [" + std::to_string(w_.known) + ", " +
                                       std::to_string(w_.end) +
                                       ") are neither in the kv view nor all in pages that the "
                                       "lease reserved"};
    }

    Work& w_;
    std::uint32_t wished_ = 0; ///< what the end would be if all had room
};

} // namespace marconi::cache
