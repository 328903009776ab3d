#pragma once

#include <marconi/core/prefetch.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/arena.hpp>
#include <marconi/index/segment.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
/// Edges of one segment are neighbours on one path, from the top down, without a gap, and where two
/// meet inside a block they share its page. So a split copies nothing, a merge of two neighbours in
/// one segment copies nothing, and a merge across two segments moves the shorter edge to the longer
/// one (or the upper one, of less than a block, where its page is needed above): every token is
/// moved O(log length) times.
template <token Token>
class paths {
public:
    /// `has_pages`: whether blocks have pages (a model without full attention has none).
    paths(std::uint32_t block_tokens, bool has_pages) : layout_{block_tokens, has_pages} {}

    /// A segment holding `tokens` for positions [begin, begin + size), one owner, blank pages.
    [[nodiscard]] segment_id create(std::uint32_t begin, std::span<Token const> tokens) {
        auto const end = static_cast<std::uint32_t>(begin + tokens.size());
        segment<Token> fresh = layout_.blank(begin, end);
        fresh.last = end;
        std::memcpy(layout_.token_at(fresh, begin), tokens.data(), tokens.size_bytes());
        segment_id const id = segments_.allocate();
        payload_bytes_ += layout_.bytes(fresh);
        segments_[id] = std::move(fresh);
        return id;
    }

    [[nodiscard]] std::span<Token const> tokens(segment_id id, std::uint32_t begin,
                                                std::uint32_t end) const {
        return {layout_.token_at(segments_[id], begin), end - begin};
    }
    /// Pages of blocks [first, last), by their number in the sequence.
    [[nodiscard]] std::span<page_id> pages(segment_id id, std::uint32_t first, std::uint32_t last) {
        return {layout_.page_at(segments_[id], first), last - first};
    }
    [[nodiscard]] std::span<page_id const> pages(segment_id id, std::uint32_t first,
                                                 std::uint32_t last) const {
        return {layout_.page_at(segments_[id], first), last - first};
    }

    /// Asks for the memory of a segment that will be needed soon.
    void prefetch(segment_id id) const noexcept { marconi::prefetch(&segments_[id]); }

    /// Whether an edge that ends at `depth` is the lowest of its segment, so that the segment can
    /// be extended there.
    [[nodiscard]] bool ends_at(segment_id id, std::uint32_t depth) const {
        return segments_[id].last == depth;
    }
    /// Whether an edge that starts at `start` is the highest of its segment. If it is not, the one
    /// above shares the page of a block that both touch.
    [[nodiscard]] bool starts_at(segment_id id, std::uint32_t start) const {
        return segments_[id].first == start;
    }
    /// Makes extending a segment to `end` infallible.
    void reserve_extension(segment_id id, std::uint32_t end) {
        make_room(segments_[id], segments_[id].first, end);
    }
    /// Appends tokens after the lowest edge. The caller then fills in the pages of their blocks,
    /// and shares the segment with the new edge.
    void extend(segment_id id, std::span<Token const> tokens) noexcept {
        segment<Token>& s = segments_[id];
        std::memcpy(layout_.token_at(s, s.last), tokens.data(), tokens.size_bytes());
        s.last += static_cast<std::uint32_t>(tokens.size());
    }

    void share(segment_id id) noexcept { ++segments_[id].owners; }

    /// Drops the lowest edge of the segment, which began at `start`.
    void release(segment_id id, std::uint32_t start) noexcept {
        segment<Token>& s = segments_[id];
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

    /// Brings both edges into one segment and returns it; there is one owner fewer. If the boundary
    /// is inside a block, the lower edge's page is kept.
    segment_id join(segment_id upper, std::uint32_t upper_start, std::uint32_t boundary,
                    segment_id lower, std::uint32_t lower_end) noexcept {
        if (upper == lower) {
            --segments_[upper].owners;
            return upper;
        }
        segment<Token>& up = segments_[upper];
        segment<Token>& low = segments_[lower];
        if (lower_moves(upper, upper_start, boundary, lower_end)) {
            layout_.copy(low, up, boundary, lower_end, layout_.blocks_up_to(lower_end));
            up.last = lower_end;
            low.first = lower_end;
            drop_owner(lower);
            return upper;
        }
        layout_.copy(up, low, upper_start, boundary, boundary / layout_.block());
        low.first = upper_start;
        up.last = upper_start;
        drop_owner(upper);
        return lower;
    }

    /// Bytes of memory held, room included.
    [[nodiscard]] std::size_t bytes() const { return segments_.bytes() + payload_bytes_; }
    /// Of these, the bytes of tokens and page ids, which are freed with them.
    [[nodiscard]] std::size_t payload_bytes() const { return payload_bytes_; }

private:
    /// Whether a join moves the lower edge up rather than the upper one down: the shorter one
    /// moves, unless an edge above still needs the upper segment's page for the boundary's block.
    [[nodiscard]] bool lower_moves(segment_id upper, std::uint32_t upper_start,
                                   std::uint32_t boundary, std::uint32_t lower_end) const {
        bool const page_needed_above = boundary % layout_.block() != 0 &&
                                       upper_start > boundary / layout_.block() * layout_.block() &&
                                       segments_[upper].first < upper_start;
        return !page_needed_above && lower_end - boundary <= boundary - upper_start;
    }

    /// Makes room for [from, until) around what is live, and a quarter more on a side that grows.
    void make_room(segment<Token>& s, std::uint32_t from, std::uint32_t until) {
        std::uint32_t const end = s.origin + s.capacity;
        if (s.origin <= from && until <= end) return;
        std::uint32_t const spare = (until - from) / 4;
        if (from < s.origin) from -= std::min(from, spare);
        if (until > end) until += spare; // cannot overflow: at most 2^31 tokens
        reallocate(s, from, until);
    }

    void reallocate(segment<Token>& s, std::uint32_t from, std::uint32_t until) {
        segment<Token> grown = layout_.blank(from, until);
        grown.first = s.first;
        grown.last = s.last;
        grown.owners = s.owners;
        layout_.copy(s, grown, s.first, s.last, layout_.blocks_up_to(s.last));
        payload_bytes_ += layout_.bytes(grown) - layout_.bytes(s);
        s = std::move(grown);
    }

    /// Frees a segment that nothing owns; trims one that is mostly room.
    void drop_owner(segment_id id) noexcept {
        segment<Token>& s = segments_[id];
        if (--s.owners == 0) {
            payload_bytes_ -= layout_.bytes(s);
            s.memory.reset();
            segments_.release(id);
        } else if (s.capacity > std::uint64_t{4} * (s.last - s.first) + least_room) {
            try {
                reallocate(s, s.first, s.last);
            } catch (std::bad_alloc const&) { // the room stays; nothing else depends on it
            }
        }
    }

    static constexpr std::uint32_t least_room = 64; ///< tokens that are not worth a trim

    segment_layout<Token> layout_;
    arena<segment<Token>, segment_id> segments_;
    std::size_t payload_bytes_ = 0;
};

} // namespace marconi::index
