#pragma once

#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

namespace marconi::index {

/// Tokens of consecutive positions, then one page id a block, in one allocation with room to grow.
template <token Token>
struct segment {
    std::unique_ptr<std::byte[]> memory;
    std::uint32_t origin;   ///< position of the first slot
    std::uint32_t capacity; ///< slots for tokens; pages have one for each block these touch
    std::uint32_t first;    ///< live positions are [first, last)
    std::uint32_t last;
    std::uint32_t owners = 1;

    static_assert(alignof(Token) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
};

/// Where things lie in segments of `block` tokens a block.
template <token Token>
class segment_layout {
public:
    segment_layout(std::uint32_t block_tokens, bool has_pages)
        : block_{block_tokens}, paged_{has_pages} {}

    [[nodiscard]] std::uint32_t block() const { return block_; }
    [[nodiscard]] std::uint32_t blocks_up_to(std::uint32_t position) const {
        return static_cast<std::uint32_t>(divide_up(position, block_));
    }

    [[nodiscard]] Token* token_at(segment<Token> const& s, std::uint32_t position) const {
        return reinterpret_cast<Token*>(s.memory.get()) + (position - s.origin);
    }
    [[nodiscard]] page_id* page_at(segment<Token> const& s, std::uint32_t block) const {
        return reinterpret_cast<page_id*>(s.memory.get() + page_offset(s.capacity)) +
               (block - s.origin / block_);
    }
    [[nodiscard]] std::size_t bytes(segment<Token> const& s) const {
        return page_offset(s.capacity) + blocks_of(s) * sizeof(page_id);
    }

    /// An empty segment with room for [begin, end).
    [[nodiscard]] segment<Token> blank(std::uint32_t begin, std::uint32_t end) const {
        segment<Token> s{
            .memory = {}, .origin = begin, .capacity = end - begin, .first = begin, .last = begin};
        s.memory = std::make_unique_for_overwrite<std::byte[]>(bytes(s));
        std::uninitialized_fill_n(page_at(s, begin / block_), blocks_of(s), page_id{});
        return s;
    }

    /// Copies tokens [begin, end) and the pages of blocks [begin / block, end_block).
    void copy(segment<Token> const& from, segment<Token>& to, std::uint32_t begin,
              std::uint32_t end, std::uint32_t end_block) const noexcept {
        std::memcpy(token_at(to, begin), token_at(from, begin), (end - begin) * sizeof(Token));
        std::uint32_t const first = begin / block_;
        if (paged_ && first < end_block)
            std::copy_n(page_at(from, first), end_block - first, page_at(to, first));
    }

private:
    [[nodiscard]] std::size_t blocks_of(segment<Token> const& s) const {
        return paged_ ? blocks_up_to(s.origin + s.capacity) - s.origin / block_ : 0;
    }
    [[nodiscard]] static std::size_t page_offset(std::size_t capacity) {
        return round_up(capacity * sizeof(Token), alignof(page_id));
    }

    std::uint32_t block_;
    bool paged_;
};

} // namespace marconi::index
