#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace marconi::memory {

/// Counts the owners of the pages of one arena and hands out free ones.
///
///     pages   0 1 2 3 4 5 6 . . . . capacity
///     owners  1 2 1 0 1 0 1|          beyond `touched` nothing was ever handed out
///     free          3   5             last freed, first handed out
///
/// A KV block and a piece of a checkpoint are each one page, so a free page serves either and the
/// arena cannot fragment. Which ids come out depends on the sequence of calls alone. Metadata grows
/// with the pages touched (8 bytes each), not with the capacity.
class page_pool {
public:
    /// Throws invalid_argument unless 1 <= capacity < 2^32 - 1.
    explicit page_pool(std::uint64_t capacity) : capacity_{capacity} {
        MARCONI_EXPECT(capacity >= 1 && capacity < std::numeric_limits<std::uint32_t>::max(),
                       "capacity in pages", capacity, "1 to 4294967294");
    }

    [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
    [[nodiscard]] std::uint64_t used() const { return owners_.size() - free_count_; }
    [[nodiscard]] std::uint64_t available() const { return capacity_ - used(); }
    /// Pages ever handed out: every valid page_id is below.
    [[nodiscard]] std::uint64_t touched() const { return owners_.size(); }

    /// How many owners the page has; 0 is free.
    [[nodiscard]] std::uint32_t owners(page_id page) const {
        return page.value() < owners_.size() ? owners_[page.value()] : 0;
    }

    /// Fills `out` with free pages, each with one owner. O(out.size()). The strong guarantee holds:
    /// throws contract_violation when fewer are available, std::bad_alloc when metadata cannot
    /// grow.
    void allocate(std::span<page_id> out) {
        if (out.size() > available())
            throw contract_violation{"page_pool::allocate of " + std::to_string(out.size()) +
                                     " pages; " + std::to_string(available()) + " are free"};
        std::size_t const recycled = std::min(out.size(), free_count_);
        grow(out.size() - recycled);
        page_id const* last_freed = free_.data() + free_count_;
        for (std::size_t i = 0; i < recycled; ++i) {
            out[i] = *--last_freed;
            owners_[out[i].value()] = 1;
        }
        free_count_ -= recycled;
        for (std::size_t i = recycled; i < out.size(); ++i) {
            out[i] = page_id{static_cast<std::uint32_t>(owners_.size())};
            owners_.push_back(1);
        }
    }

    /// Adds an owner to a page in use.
    void share(page_id page) noexcept { ++owners_[page.value()]; }

    /// Takes an owner away. True if it was the last: the page is free from here on.
    bool release(page_id page) noexcept {
        if (--owners_[page.value()] != 0) return false;
        free_[free_count_++] = page;
        return true;
    }
    /// Takes an owner of each page away. O(pages.size()), without a branch a page.
    void release(std::span<page_id const> pages) noexcept {
        page_id* const free = free_.data();
        std::size_t count = free_count_;
        for (page_id const page : pages) {
            free[count] = page;
            count += --owners_[page.value()] == 0;
        }
        free_count_ = count;
    }

private:
    /// Room for `more` new pages, and in the free list for all there are and one more, so that
    /// release cannot throw and need not look.
    void grow(std::size_t more) {
        std::size_t const needed = owners_.size() + more;
        if (needed <= owners_.capacity() && needed < free_.size()) return;
        std::size_t const room = std::max(needed, 2 * owners_.size());
        free_.resize(room + 1);
        owners_.reserve(room);
    }

    std::uint64_t capacity_;
    std::vector<std::uint32_t> owners_;
    std::vector<page_id> free_; ///< the first free_count_ of these
    std::size_t free_count_ = 0;
};

} // namespace marconi::memory
