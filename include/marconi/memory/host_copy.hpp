#pragma once

// Copies between pages and an engine's memory, on the host: free functions of page list, layout
// and views. The device's kernels compute the same.

#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/places.hpp>
#include <marconi/memory/state_places.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/view_checks.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace marconi::memory {

enum class direction { to_pages, to_engine };

/// Copies bytes that are contiguous in both places.
inline void copy_run(direction way, place const& at, std::size_t bytes) {
    if (way == direction::to_pages)
        std::memcpy(at.in_page, at.in_engine, bytes);
    else
        std::memcpy(at.in_engine, at.in_page, bytes);
}

inline void copy_kv(direction way, std::byte* arena, page_layout const& layout,
                    kv_transfer const& t) {
    kv_range const range = make_range(t, layout);
    each_part(t.engine, layout, [&](kv_part const& part) {
        for (std::uint32_t i = 0; i < t.pages.size(); ++i) {
            std::byte* const page = layout.page(arena, t.pages[i]).data();
            std::uint32_t const end = range.end_row(i) * part.row.divisor();
            for (std::uint32_t at = range.first_row(i) * part.row.divisor(); at < end;) {
                place const here = locate(part, range, page, i, at);
                auto const run =
                    static_cast<std::uint32_t>(std::min<std::uint64_t>(here.run, end - at));
                copy_run(way, here, run);
                at += run;
            }
        }
    });
}

inline void copy_checkpoint(direction way, std::byte* arena, page_layout const& layout,
                            checkpoint_transfer const& t) {
    page_divider const cut = page_divider::of(layout);
    each_piece(t, layout, [&](state_part const& part) {
        for (std::uint64_t at = 0; at < part.bytes;) {
            place_in_pages const found = locate(part, cut, at);
            place const here = found.with(layout.page(arena, t.pages[found.page]).data());
            std::uint64_t const run = std::min(here.run, part.bytes - at);
            copy_run(way, here, run);
            at += run;
        }
    });
}

/// All of a transfer, views checked first.
inline void copy(direction way, std::byte* arena, page_layout const& layout, transfer const& t) {
    check(t, layout);
    if (t.kv.begin != t.kv.end) copy_kv(way, arena, layout, t.kv);
    for (checkpoint_transfer const& c : t.checkpoints)
        copy_checkpoint(way, arena, layout, c);
}

} // namespace marconi::memory
