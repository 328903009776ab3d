#pragma once

#include <marconi/core/types.hpp>
#include <marconi/index/arena.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>

namespace marconi::index {

using segment_id = identifier<struct segment_id_kind>;

/// The tokens and pages of a tree's edges, kept in segments: stretches of one path, addressed by
/// absolute position, so that a node needs only its segment, its depth and its length.
///
///     segment   origin      first                     last         origin + capacity
///               |  (room)   | edge a | edge b | edge c |   (room)  |
///     pages     [ block ][ block ][ block ][ block ] ...
///
/// Edges of one segment are neighbours on one path, from the top down, without a gap. So a split
/// copies nothing, a merge of two neighbours in one segment copies nothing, and a merge across two
/// segments moves the shorter edge to the longer one: every token is moved O(log length) times.
template <token Token>
class paths {
public:
    /// `has_pages`: whether blocks have pages (a model without full attention has none).
    paths(std::uint32_t block_tokens, bool has_pages) : block_{block_tokens}, paged_{has_pages} {}

    /// A segment holding `tokens` for positions [begin, begin + size), one owner, blank pages.
    [[nodiscard]] segment_id create(std::uint32_t begin, std::span<Token const> tokens) {
        auto const end = static_cast<std::uint32_t>(begin + tokens.size());
        segments_.reserve(1);
        segment fresh = blank(begin, end);
        fresh.first = begin;
        fresh.last = end;
        std::memcpy(token_at(fresh, begin), tokens.data(), tokens.size_bytes());
        segment_id const id = segments_.allocate();
        segments_[id] = std::move(fresh);
        return id;
    }

    [[nodiscard]] std::span<Token const> tokens(segment_id id, std::uint32_t begin,
                                                std::uint32_t end) const {
        return {token_at(segments_[id], begin), end - begin};
    }
    /// Pages of blocks [first, last), by their number in the sequence.
    [[nodiscard]] std::span<page_id> pages(segment_id id, std::uint32_t first, std::uint32_t last) {
        return {page_at(segments_[id], first), last - first};
    }
    [[nodiscard]] std::span<page_id const> pages(segment_id id, std::uint32_t first,
                                                 std::uint32_t last) const {
        return {page_at(segments_[id], first), last - first};
    }

    void share(segment_id id) noexcept { ++segments_[id].owners; }

    /// The lowest edge of the segment, which began at `start`, is gone.
    void release(segment_id id, std::uint32_t start) noexcept {
        segment& s = segments_[id];
        s.last = start;
        drop_owner(id);
    }

    /// Makes the following join infallible. `upper` is edge [upper_start, boundary) at the end of
    /// its segment, `lower` is [boundary, lower_end) at the start of its own.
    void reserve_join(segment_id upper, std::uint32_t upper_start, std::uint32_t boundary,
                      segment_id lower, std::uint32_t lower_end) {
        if (upper == lower) return;
        if (lower_moves(upper, upper_start, boundary, lower_end))
            make_room(segments_[upper], segments_[upper].first, lower_end);
        else
            make_room(segments_[lower], upper_start, segments_[lower].last);
    }

    /// Brings both edges into one segment and returns it; one owner fewer. Where the boundary is
    /// inside a block, the page kept is the lower edge's.
    segment_id join(segment_id upper, std::uint32_t upper_start, std::uint32_t boundary,
                    segment_id lower, std::uint32_t lower_end) noexcept {
        if (upper == lower) {
            --segments_[upper].owners;
            return upper;
        }
        segment& up = segments_[upper];
        segment& low = segments_[lower];
        if (lower_moves(upper, upper_start, boundary, lower_end)) {
            copy(low, up, boundary, lower_end, blocks_up_to(lower_end));
            up.last = lower_end;
            low.first = lower_end;
            drop_owner(lower);
            return upper;
        }
        copy(up, low, upper_start, boundary, boundary / block_);
        low.first = upper_start;
        up.last = upper_start;
        drop_owner(upper);
        return lower;
    }

    /// Bytes of memory held, room included.
    [[nodiscard]] std::size_t bytes() const { return segments_.bytes() + payload_bytes_; }

private:
    /// Tokens, then one page id a block, in one allocation.
    struct segment {
        std::unique_ptr<std::byte[]> memory;
        std::uint32_t origin = 0;   // position of the first slot, a multiple of the block size
        std::uint32_t capacity = 0; // slots, likewise
        std::uint32_t first = 0;    // live positions are [first, last)
        std::uint32_t last = 0;
        std::uint32_t owners = 1;
    };
    static_assert(alignof(Token) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

    [[nodiscard]] Token* token_at(segment const& s, std::uint32_t position) const {
        return reinterpret_cast<Token*>(s.memory.get()) + (position - s.origin);
    }
    [[nodiscard]] page_id* page_at(segment const& s, std::uint32_t block) const {
        return reinterpret_cast<page_id*>(s.memory.get() + page_offset(s.capacity)) +
               (block - s.origin / block_);
    }
    [[nodiscard]] static std::size_t page_offset(std::size_t capacity) {
        return (capacity * sizeof(Token) + alignof(page_id) - 1) / alignof(page_id) *
               alignof(page_id);
    }
    [[nodiscard]] std::size_t bytes_for(std::uint32_t capacity) const {
        return page_offset(capacity) + (paged_ ? capacity / block_ * sizeof(page_id) : 0);
    }
    [[nodiscard]] std::uint32_t blocks_up_to(std::uint32_t position) const {
        return position / block_ + (position % block_ != 0);
    }

    /// An empty segment with room for at least [begin, end).
    [[nodiscard]] segment blank(std::uint32_t begin, std::uint32_t end) {
        segment s;
        s.origin = begin / block_ * block_;
        s.capacity = blocks_up_to(end) * block_ - s.origin;
        s.memory = std::make_unique_for_overwrite<std::byte[]>(bytes_for(s.capacity));
        if (paged_)
            std::uninitialized_fill_n(page_at(s, s.origin / block_), s.capacity / block_,
                                      page_id{});
        payload_bytes_ += bytes_for(s.capacity);
        return s;
    }

    /// Copies tokens [begin, end) and the pages of blocks [begin / block, end_block).
    void copy(segment const& from, segment& to, std::uint32_t begin, std::uint32_t end,
              std::uint32_t end_block) const noexcept {
        std::memcpy(token_at(to, begin), token_at(from, begin), (end - begin) * sizeof(Token));
        std::uint32_t const block = begin / block_;
        if (paged_ && block < end_block)
            std::copy_n(page_at(from, block), end_block - block, page_at(to, block));
    }

    /// Whether a join moves the lower edge up, and not the upper one down: the shorter one moves,
    /// unless an edge above still needs the upper segment's page for the boundary's block.
    [[nodiscard]] bool lower_moves(segment_id upper, std::uint32_t upper_start,
                                   std::uint32_t boundary, std::uint32_t lower_end) const {
        bool const page_needed_above = boundary % block_ != 0 &&
                                       upper_start > boundary / block_ * block_ &&
                                       segments_[upper].first < upper_start;
        return !page_needed_above && lower_end - boundary <= boundary - upper_start;
    }

    /// Room for [from, until) around what is live, with as much again by half to spare.
    void make_room(segment& s, std::uint32_t from, std::uint32_t until) {
        std::uint32_t const end = s.origin + s.capacity;
        if (s.origin <= from && until <= end) return;
        std::uint32_t const spare = (until - from) / 2;
        if (from < s.origin) from -= std::min(from, spare);
        if (until > end) until += std::min(spare, max_position - until);
        reallocate(s, from, until);
    }

    void reallocate(segment& s, std::uint32_t from, std::uint32_t until) {
        segment grown = blank(from, until);
        grown.first = s.first;
        grown.last = s.last;
        grown.owners = s.owners;
        copy(s, grown, s.first, s.last, blocks_up_to(s.last));
        payload_bytes_ -= bytes_for(s.capacity);
        s = std::move(grown);
    }

    /// Frees a segment that nothing owns; trims one that is mostly room.
    void drop_owner(segment_id id) noexcept {
        segment& s = segments_[id];
        if (--s.owners == 0) {
            payload_bytes_ -= bytes_for(s.capacity);
            s.memory.reset();
            segments_.release(id);
        } else if (s.capacity > std::uint64_t{4} * (s.last - s.first + block_)) {
            try {
                reallocate(s, s.first, s.last);
            } catch (std::bad_alloc const&) { // the room stays; nothing else depends on it
            }
        }
    }

    static constexpr std::uint32_t max_position = 0xFFFF'0000u;

    std::uint32_t block_;
    bool paged_;
    arena<segment, segment_id> segments_;
    std::size_t payload_bytes_ = 0;
};

} // namespace marconi::index
