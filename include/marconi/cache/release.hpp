#pragma once

// The last stage of a request: lets go of what its lease held, and updates what that changes.

#include <marconi/cache/lease_record.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace marconi::cache {

template <class Entries>
void close_checkpoint(Entries& entries, lease_record& lease) noexcept {
    if (lease.checkpoint_node) entries.unpin_checkpoint(std::exchange(lease.checkpoint_node, {}));
}

/// Whether giving back the first of the lease's pages, and those that it replaced, will leave a
/// page to one owner that is not on the lease's path. It seldom does: that spares looking for the
/// owner off the path, among any number of siblings. Puts the pages replaced in order. O(nodes and
/// pages of the path from the lease's first block on, times log of the pages replaced).
template <class Entries>
[[nodiscard]] bool leaves_owner_off_path(Entries const& entries, lease_record& lease,
                                         std::span<page_id const> first) {
    auto& replaced = lease.replaced;
    std::ranges::sort(replaced);
    auto const& tree = entries.tree();
    auto const& pool = entries.store().pages();
    std::uint32_t const block = entries.store().layout().block_tokens();
    auto const with_one_more = [&](page_id page) { return pool.owners(page) == 2; };
    auto left = std::ranges::count_if(first, with_one_more) +
                std::ranges::count_if(replaced, with_one_more);
    assert(std::ranges::adjacent_find(replaced) == replaced.end());
    auto const was_replaced = [&](page_id page) {
        return std::binary_search(replaced.begin(), replaced.end(), page);
    };
    auto const given_back = [&](std::uint32_t at, page_id page) {
        return at >= lease.first_block && at - lease.first_block < first.size() &&
               first[at - lease.first_block] == page;
    };
    std::uint64_t const begin = std::uint64_t{lease.first_block} * block;
    for (node_id id = lease.node; left != 0 && tree[id].depth > begin; id = tree[id].parent) {
        auto const& n = tree[id];
        std::uint32_t at = n.start() / block;
        for (page_id const page : entries.pages(n)) {
            if (with_one_more(page)) left -= given_back(at, page) || was_replaced(page);
            ++at;
        }
    }
    return left != 0;
}

template <class Entries, class Streams>
void close_kv(Entries& entries, Streams& streams, lease_record& lease, lease_id id) noexcept {
    stop_if_committing(lease);
    streams.let_go(entries, lease, id);
    bool const off_path = lease.kv_pinned && leaves_owner_off_path(entries, lease, lease.pages);
    entries.store().pages().release(lease.pages);
    entries.store().pages().release(lease.replaced);
    if (lease.kv_pinned && !(lease.pages.empty() && lease.replaced.empty()))
        entries.released_pages(lease.node, lease.first_block, off_path);
    std::vector<page_id>{}.swap(lease.pages); // a lease may live on: the memory goes
    std::vector<page_id>{}.swap(lease.replaced);
    lease.forget_place_if_empty();
    if (std::exchange(lease.kv_pinned, false)) entries.unpin_kv(std::exchange(lease.node, {}));
}

/// Gives back the lease's own pages of whole blocks up to its position, for each of which its path
/// has a page: the same one, or that of whoever published it first. Also gives back pages that only
/// older block tables name. Returns what came free.
template <class Entries, class Streams>
byte_count drop_whole_blocks(Entries& entries, Streams& streams, lease_record& lease,
                             lease_id id) noexcept {
    if (lease.kv_pinned && entries.tree()[lease.node].payload.forgotten)
        return {}; // its own may be right, and the path's are not
    auto& pool = entries.store().pages();
    std::uint32_t const first = lease.first_block;
    std::uint32_t const whole = lease.position / entries.store().layout().block_tokens();
    auto const dropped = std::span{lease.pages}.first(
        std::min<std::size_t>(whole - std::min(first, whole), lease.pages.size()));
    if (!lease.kv_pinned || (dropped.empty() && lease.replaced.empty())) return {};
    streams.let_go(entries, lease, id);
    bool const off_path = leaves_owner_off_path(entries, lease, dropped);
    std::uint64_t const used = pool.used();
    pool.release(dropped);
    pool.release(lease.replaced);
    lease.replaced.clear();
    if (!dropped.empty()) {
        lease.first_block = whole;
        lease.pages.erase(lease.pages.begin(), lease.pages.begin() + std::ssize(dropped));
        lease.forget_place_if_empty();
    }
    entries.released_pages(lease.node, first, off_path);
    return entries.store().layout().page_bytes() * (used - pool.used());
}

/// Lets go of all that a lease holds.
template <class Entries, class Streams>
void close_lease(Entries& entries, Streams& streams, lease_record& lease, lease_id id) noexcept {
    entries.counts().abandoned += lease.offered == 0 && lease.match().counted;
    close_checkpoint(entries, lease);
    close_kv(entries, streams, lease, id);
    streams.close(id);
}

} // namespace marconi::cache
