#pragma once

// Reading and writing the arena's pages without copies: block tables and reservations.

#include <marconi/cache/evict.hpp>
#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/loans.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/concepts.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace marconi::cache {

/// `to` has room for all. libstdc++ 12's ranges::copy takes const elements one by one, and four
/// times as long.
inline void copy_pages(std::span<page_id const> from, std::span<page_id> to) {
    std::copy_n(from.data(), from.size(), to.data());
}

/// The pages, from block `first` on, of the first `tokens` tokens on the path of `bottom`: of each
/// block, that of the deepest node touching it. O(nodes and blocks from there on).
template <class Entries>
[[nodiscard]] std::vector<page_id> path_pages(Entries const& entries, node_id bottom,
                                              std::uint32_t tokens, std::size_t first) {
    std::uint32_t const block = entries.store().layout().block_tokens();
    std::size_t const end = std::max<std::size_t>(divide_up(tokens, block), first);
    std::vector<page_id> table(end - first);
    auto const& tree = entries.tree();
    std::size_t left = end; // blocks before it are still to be filled in
    for (node_id id = bottom; left > first && tree[id].depth > 0; id = tree[id].parent) {
        auto const own = entries.pages(tree[id]);
        std::size_t const own_first = tree[id].start() / block;
        std::size_t const begin = std::max(first, own_first);
        std::size_t const own_end = std::min(left, own_first + own.size());
        if (begin >= own_end) continue; // it ends in a block that a node below touches, too
        copy_pages(own.subspan(begin - own_first, own_end - begin),
                   std::span{table}.subspan(begin - first));
        left = begin;
    }
    return table;
}

/// The pages of all blocks from `first` on that a lease can read or write.
template <class Entries>
[[nodiscard]] std::vector<page_id> block_table(Entries const& entries, lease_record const& lease,
                                               std::size_t first) {
    std::vector<page_id> table;
    if (!entries.has_kv()) return table;
    if (lease.kv_pinned) table = path_pages(entries, lease.node, lease.position, first);
    std::size_t const own = std::max<std::size_t>(first, lease.first_block);
    if (own >= lease.end_block()) return table;
    table.resize(std::max(table.size(), lease.end_block() - first));
    copy_pages(std::span{lease.pages}.subspan(own - lease.first_block),
               std::span{table}.subspan(own - first));
    return table;
}

[[nodiscard]] inline std::uint32_t check_reserve(lease_record const& lease, token_count tokens) {
    MARCONI_EXPECT(
        tokens.value() >= lease.position && tokens.value() <= most_tokens, "tokens", tokens.value(),
        "at least the lease's position, " + std::to_string(lease.position) + ", less than 2^31");
    if (!lease.kv_pinned && lease.position != 0)
        throw contract_violation{"reserve: the lease has let go of its KV"};
    return static_cast<std::uint32_t>(tokens.value());
}

/// Makes room for `wanted` pages if `spare` bytes more can be had after that, and else evicts
/// nothing (unless a policy keeps something for good). Returns how many may be taken then.
template <class Entries>
[[nodiscard]] std::uint64_t room_for_reserve(Entries& entries, lease_table const& leases,
                                             std::uint64_t wanted, byte_count spare) {
    auto const& pool = entries.store().pages();
    std::uint64_t const page = entries.store().layout().page_bytes().value();
    std::uint64_t const left = std::min(divide_up(spare.value(), page), pool.capacity());
    std::uint64_t const all = wanted + left;
    std::uint64_t const possible =
        all <= pool.available() ? all : obtainable_pages(entries, leases, all);
    if (possible >= all && make_room(entries, wanted, eviction_reason::reserve)) return wanted;
    return std::min({wanted, pool.available(), possible - std::min(possible, left)});
}

/// Gives a lease writable pages for the first `until` tokens, or, where there is no room for all of
/// them, for fewer; returns how many of these tokens have pages:
///
///     block           own pages  | from: published since | fresh: new pages
///     lease.pages     has them   | shares the path's     | gets them
///
/// `spare` bytes are left for others, in pages that are free or may be evicted. The lease shares
/// what other requests, or a copying commit, published past its own pages, so that these have no
/// gap. If it stands inside the first fresh block, it copies that one first, and keeps the old page
/// until it is released or deduplicated.
template <class Entries, class Stream>
std::uint32_t reserve_pages(Entries& entries, lease_table const& leases, lease_record& lease,
                            std::uint32_t until, byte_count spare, Stream const& stream) {
    if (!entries.has_kv()) return until;
    auto& pool = entries.store().pages();
    std::uint32_t const block = entries.store().layout().block_tokens();
    std::uint32_t const standing = lease.position / block;
    std::uint32_t const from = lease.pages.empty() ? standing : lease.end_block();
    std::uint32_t const fresh = std::max(standing, from);
    std::uint64_t const end = std::max<std::uint64_t>(divide_up(until, block), fresh);
    std::uint64_t const count = room_for_reserve(entries, leases, end - fresh, spare);
    bool const inside_fresh = count > 0 && std::uint64_t{fresh} * block < lease.position;

    std::vector<page_id> path; // of blocks `from` and on
    if (inside_fresh || from < fresh) path = path_pages(entries, lease.node, lease.position, from);
    reserve_more(lease.pages, (fresh - from) + count);
    reserve_more(lease.replaced, 1);
    std::vector<page_id> pages;
    page_loan loan{pool, pages, count};
    if constexpr (memory::ordered_store<std::remove_cvref_t<decltype(entries.store())>>)
        if (count > 0) entries.store().admit_writer(pages, stream);
    if (inside_fresh) entries.store().copy_block(path.back(), pages.front(), stream);

    // Nothing from here on can fail.
    if (lease.pages.empty()) lease.first_block = fresh;
    for (page_id const shared : std::span{path}.first(fresh - from)) {
        pool.share(shared);
        lease.pages.push_back(shared);
    }
    if (inside_fresh) {
        pool.share(path.back());
        lease.replaced.push_back(path.back());
    }
    lease.pages.insert(lease.pages.end(), pages.begin(), pages.end()); // there is room
    loan.keep();
    if (!lease.pages.empty())
        lease.in_place = true; // it may write the tail of its last commit, too
    std::uint64_t const reached = std::min<std::uint64_t>(until, (fresh + count) * block);
    std::uint32_t const covered = std::max(lease.position, static_cast<std::uint32_t>(reached));
    entries.counts().short_reserves += covered < until;
    return covered;
}

/// How many blocks hold the first `tokens` tokens and what the lease published.
template <class Entries>
[[nodiscard]] std::uint32_t blocks_kept(Entries const& entries, lease_record const& lease,
                                        token_count tokens) {
    std::uint64_t const end =
        std::clamp<std::uint64_t>(tokens.value(), lease.position, most_tokens);
    return static_cast<std::uint32_t>(divide_up(end, entries.store().layout().block_tokens()));
}

/// Gives back the lease's pages of blocks `kept` and on: unpublished, they are nobody else's.
template <class Entries>
void unreserve_pages(Entries& entries, lease_record& lease, std::uint32_t kept) noexcept {
    std::size_t const left = std::max(kept, lease.first_block) - lease.first_block;
    if (left >= lease.pages.size()) return;
    entries.store().pages().release_unshared(std::span{lease.pages}.subspan(left));
    lease.pages.resize(left);
    lease.forget_place_if_empty();
}

} // namespace marconi::cache
