#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/prefetch.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace marconi::memory {

/// Counts the owners of the pages of one arena and hands out free ones.
///
///     pages      0 1 2 3 4 5 6 . . . . capacity
///     shares     0 1 0 0 0 0 2|         owners beyond the first; beyond `touched` nothing was
///     free             3   5            ever handed out. What was freed last is handed out first
///
/// A KV block and a piece of a checkpoint are each one page, so a free page serves either and the
/// arena cannot fragment. Which ids come out depends on the sequence of calls alone. Neither taking
/// a page nor release_unshared() touches a counter: in a large arena each would be a cache miss.
/// The memory that is written to grows with the pages touched, not with the capacity.
class page_pool {
public:
    /// Bytes for each page ever handed out: a count of its owners, a place in the free list.
    static constexpr std::size_t metadata_per_page = sizeof(std::uint32_t) + sizeof(page_id);

    /// Throws invalid_argument unless 1 <= capacity < 2^32 - 1.
    explicit page_pool(std::uint64_t capacity) : capacity_{capacity} {
        MARCONI_EXPECT(capacity >= 1 && capacity <= most_pages, "capacity in pages", capacity,
                       "1 to " + std::to_string(most_pages));
    }

    [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
    [[nodiscard]] std::uint64_t used() const { return touched_ - free_count_; }
    [[nodiscard]] std::uint64_t available() const { return capacity_ - used(); }
    /// Pages ever handed out: every valid page_id is below.
    [[nodiscard]] std::uint64_t touched() const { return touched_; }
    /// Bytes of memory written to: metadata_per_page for each page touched. Behind them is room,
    /// which the system need not hand out yet, for all pages, for 2^22, or for twice those touched.
    [[nodiscard]] std::size_t bytes() const {
        return shares_.size() * sizeof(std::uint32_t) + free_.size() * sizeof(page_id);
    }

    /// Number of owners of a page in use. Meaningless for a free page: see free().
    [[nodiscard]] std::uint32_t owners(page_id page) const { return shares_[page.value()] + 1; }
    /// Asks for the memory of a page's count of owners.
    void prefetch(page_id page) const noexcept { marconi::prefetch(&shares_[page.value()]); }
    /// Free pages that were in use before, in the order they were freed; the last go out next.
    [[nodiscard]] std::span<page_id const> free() const { return {free_.data(), free_count_}; }

    /// Fills `out` with free pages, each with one owner: first the most recently freed ones, in the
    /// order they were freed, then new ones. O(out.size()). The strong guarantee holds: throws
    /// contract_violation when fewer are available, std::bad_alloc when metadata cannot grow.
    void allocate(std::span<page_id> out) {
        if (out.size() > available())
            throw contract_violation{"page_pool::allocate of " + std::to_string(out.size()) +
                                     " pages; " + std::to_string(available()) + " are free"};
        std::size_t const recycled = std::min(out.size(), free_count_);
        grow(out.size() - recycled);
        free_count_ -= recycled;
        std::copy_n(free_.data() + free_count_, recycled, out.data());
        for (page_id& page : out.subspan(recycled))
            page = page_id{touched_++};
    }

    /// Adds an owner to a page in use.
    void share(page_id page) noexcept { ++shares_[page.value()]; }

    /// Removes an owner. True if it was the last: the page is free from here on.
    bool release(page_id page) noexcept {
        if (shares_[page.value()] != 0) {
            --shares_[page.value()];
            return false;
        }
        free_[free_count_++] = page;
        if (wiped_) wipe(free_count_ - 1);
        return true;
    }
    /// Removes one owner of each page. O(pages.size()), without a branch for each.
    void release(std::span<page_id const> pages) noexcept {
        page_id* const free = free_.data();
        std::size_t count = free_count_;
        for (page_id const page : pages) {
            std::uint32_t const shares = shares_[page.value()];
            shares_[page.value()] = shares - (shares != 0);
            free[count] = page;
            count += shares == 0;
        }
        std::size_t const before = std::exchange(free_count_, count);
        if (wiped_) wipe(before);
    }
    /// Frees pages that have one owner each, as a checkpoint's do: only their ids are copied.
    void release_unshared(std::span<page_id const> pages) noexcept {
        assert(std::ranges::all_of(pages, [&](page_id p) { return owners(p) == 1; }));
        std::copy(pages.begin(), pages.end(), free_.data() + free_count_);
        free_count_ += pages.size();
        if (wiped_) wipe(free_count_ - pages.size());
    }

    /// From now on zeroes a page's bytes when its last owner lets go, before anything else can
    /// happen to it. `arena` is where page 0 begins, and must outlive this.
    void wipe_freed_pages(std::byte* arena, std::size_t page_bytes) {
        wiped_ = arena;
        page_bytes_ = page_bytes;
    }
    [[nodiscard]] bool wipes() const { return wiped_ != nullptr; }

private:
    /// Zeroes the free pages after the first `before`: those just freed.
    void wipe(std::size_t before) noexcept {
        for (page_id const page : free().subspan(before))
            std::memset(wiped_ + page.value() * page_bytes_, 0, page_bytes_);
    }

    /// Makes room for `more` new pages, and in the free list for all pages and one more, so that
    /// release cannot throw and need not check. Of the room for pages to come no byte is touched:
    /// the system would hand out all of it at once.
    void grow(std::size_t more) {
        std::size_t const needed = touched_ + more;
        if (needed < free_.size()) return;
        if (needed >= free_.capacity()) {
            std::size_t const room = std::max(2 * needed, pages_at_first);
            shares_.reserve(std::min<std::size_t>(room, capacity_));
            free_.reserve(std::min<std::size_t>(room, capacity_) + 1);
        }
        shares_.resize(needed);
        free_.resize(needed + 1);
    }

    /// Tables have room for so many, or all, from the start: a copy of larger ones takes long.
    static constexpr std::size_t pages_at_first = std::size_t{1} << 22;

    std::uint64_t capacity_;
    std::uint32_t touched_ = 0;
    std::vector<std::uint32_t> shares_; ///< owners beyond the first, 0 for a free page
    std::vector<page_id> free_;         ///< the first free_count_ of these
    std::size_t free_count_ = 0;
    std::byte* wiped_ = nullptr; ///< the arena, if freed pages are to be zeroed
    std::size_t page_bytes_ = 0;
};

} // namespace marconi::memory
