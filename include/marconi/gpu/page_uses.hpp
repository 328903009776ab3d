#pragma once

// Which operations have used each page, and so which ones its next use must wait for.
//
//     page p     written: 6 on line 0     last read: 9, by lines 1 and 3
//
// A reader waits for the last write, a writer for that and for all reads since.

#include <marconi/core/types.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::gpu {

/// Names an operation: when it was enqueued, and on which timeline. An empty one is long done.
struct ticket {
    std::uint64_t when = 0;
    std::uint32_t line = 0;
};

enum class access { read, write };

class page_uses {
public:
    /// Makes room for notes on pages below `count`: notes do not throw. Throws std::bad_alloc.
    void reserve(std::uint64_t count) {
        if (count > pages_.capacity())
            pages_.reserve(std::max<std::size_t>(count + count, uses_at_first));
        if (count > pages_.size()) pages_.resize(count);
    }

    /// The pages were read by that operation.
    void note_read(ticket by, std::span<page_id const> pages) noexcept {
        for (page_id const page : pages) {
            use& u = pages_[page.value()];
            u.last_read = std::max(u.last_read, by.when); // notes may come late
            u.readers |= reader_bit(by.line);
        }
    }
    /// The pages were written by that operation, which first waited until it was allowed to.
    void note_written(ticket by, std::span<page_id const> pages) noexcept {
        for (page_id const page : pages)
            pages_[page.value()] = use{.written = by.when, .writer = by.line};
    }

    /// Calls need(line, when) for all that such a use of the pages must come after: what was
    /// enqueued on timeline `line`, one of `lines`, up to `when`.
    template <class Need>
    void each_before(access kind, std::span<page_id const> pages, std::uint32_t lines,
                     Need&& need) const {
        ticket last{}; // neighbours were mostly written together
        for (page_id const page : pages) {
            use const& u = pages_[page.value()];
            if (u.written != last.when || u.writer != last.line) {
                last = {u.written, u.writer};
                if (last.when != 0) need(last.line, last.when);
            }
            if (kind == access::write && u.readers != 0) each_reader(u, lines, need);
        }
    }

private:
    struct use {
        std::uint64_t written = 0;
        std::uint64_t last_read = 0; ///< since it was written
        std::uint64_t readers = 0;   ///< since then: a bit a timeline; the last for all others
        std::uint32_t writer = 0;
    };
    static constexpr std::uint32_t last_bit = 63;
    /// There is room for so many from the start, of which nothing is written to: a copy of more
    /// takes long.
    static constexpr std::size_t uses_at_first = std::size_t{1} << 20;

    static std::uint64_t reader_bit(std::uint32_t line) {
        return std::uint64_t{1} << std::min(line, last_bit);
    }
    template <class Need>
    static void each_reader(use const& u, std::uint32_t lines, Need&& need) {
        for (std::uint64_t left = u.readers; left != 0; left &= left - 1) {
            auto const bit = static_cast<std::uint32_t>(std::countr_zero(left));
            need(bit, u.last_read);
            if (bit == last_bit)
                for (std::uint32_t line = bit + 1; line < lines; ++line)
                    need(line, u.last_read);
        }
    }

    std::vector<use> pages_;
};

} // namespace marconi::gpu
