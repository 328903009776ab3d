#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::cache {

/// The streams that leases were used on. A store that is no ordered_store needs none of it.
template <memory::store Store>
class lease_streams {
public:
    void reserve(std::size_t) {}
    template <class... Call>
    void note_reader(Call const&...) {}
    template <class... Call>
    void note_reserve(Call const&...) {}
    template <class... Call>
    void note_restore(Call const&...) {}
    template <class... Call>
    void note_commit(Call const&...) {}
    template <class... Call>
    void let_go(Call const&...) noexcept {}
    void close(lease_id) noexcept {}
};

/// Calls visit(pages) for the pages of blocks `from` and on that a lease can read or write in
/// place. O(nodes and pages of these).
template <class Entries, class Visit>
void each_page_in_place(Entries const& entries, lease_record const& lease, std::uint32_t from,
                        Visit&& visit) {
    auto const& tree = entries.tree();
    std::uint32_t const block = entries.store().layout().block_tokens();
    std::uint64_t const begin = std::uint64_t{from} * block;
    auto const visit_blocks = [&](std::span<page_id const> pages, std::uint64_t first) {
        std::size_t const skip = std::max<std::uint64_t>(from, first) - first;
        if (skip < pages.size()) visit(pages.subspan(skip));
    };
    if (lease.kv_pinned && entries.has_kv())
        for (node_id id = lease.node; tree[id].depth > begin; id = tree[id].parent)
            visit_blocks(entries.pages(tree[id]), tree[id].start() / block);
    visit_blocks(lease.pages, lease.first_block);
    if (from == 0) visit_blocks(lease.replaced, 0);
}

template <memory::ordered_store Store>
class lease_streams<Store> {
    using stream = typename Store::stream;

public:
    /// Room for leases of ids below `count`.
    void reserve(std::size_t count) {
        if (streams_.size() < count) streams_.resize(count);
    }
    /// Notes that the engine reads the lease's pages on that stream from now on. Skips the pages
    /// that it may read there already: O(nodes and pages of the rest). A stream that the store
    /// refuses is not noted.
    template <class Entries>
    void note_reader(Entries const& entries, lease_record const& lease, lease_id id,
                     stream const& on) {
        noted const* const known = find(id, on);
        found_.clear(); // each call of the store costs as much as some hundred pages
        each_page_in_place(entries, lease, known ? known->admitted : 0,
                           [&](std::span<page_id const> pages) {
                               found_.insert(found_.end(), pages.begin(), pages.end());
                           });
        if (!known || !found_.empty()) entries.store().admit_reader(found_, on);
        std::uint64_t const block = entries.store().layout().block_tokens();
        std::uint64_t const path = lease.kv_pinned ? divide_up(lease.position, block) : 0;
        note(id, on).admitted = std::max(static_cast<std::uint32_t>(path), lease.end_block());
    }
    /// The lease is about to get pages to write on `on`, perhaps a copy of the one it stands in.
    template <class Entries>
    void note_reserve(Entries const& entries, lease_record const& lease, lease_id id,
                      stream const& on) {
        note_reader(entries, lease, id, on);
        std::uint32_t const standing = lease.position / entries.store().layout().block_tokens();
        for (noted& n : streams_[id.value()])
            if (!(n.on == on)) n.admitted = std::min(n.admitted, standing);
    }
    /// An engine that restores no KV reads it in place.
    template <class Entries>
    void note_restore(Entries const& entries, lease_record const& lease, lease_id id,
                      memory::kv_view kv, stream const& on) {
        if (kv.layers.empty()) note_reader(entries, lease, id, on);
    }
    /// A commit publishes pages that were written on `on`, and goes on in what others published. It
    /// may replace the partly filled page that the lease stands in, which then goes, at once or
    /// when two nodes merge: whoever gets that page next waits for its readers.
    template <class Entries>
    void note_commit(Entries& entries, lease_record const& lease, lease_id id, stream const& on) {
        if (lease.in_place && !find(id, on)) {
            entries.store().admit_reader({}, on);
            (void)note(id, on);
        }
        std::uint32_t const block = entries.store().layout().block_tokens();
        readmit(id, lease.position / block);
        if (!lease.kv_pinned || !entries.has_kv() || lease.position % block == 0) return;
        page_id const page =
            entries.page_of_block(entries.tree()[lease.node], lease.position / block);
        for (noted const& n : streams_[id.value()])
            entries.store().used({&page, 1}, entries.store().mark(n.on));
    }
    /// The lease's pages of blocks `from` and on are about to go: whoever gets them next waits for
    /// what the lease's streams have been given by now.
    template <class Entries>
    void let_go(Entries& entries, lease_record const& lease, lease_id id,
                std::uint32_t from = 0) noexcept {
        readmit(id, from);
        bool const has_path = lease.kv_pinned && from == 0;
        if (!has_path && lease.end_block() <= from && lease.replaced.empty()) return;
        for (noted const& n : streams_[id.value()]) {
            auto const mark = entries.store().mark(n.on);
            each_page_in_place(entries, lease, from, [&](std::span<page_id const> pages) {
                entries.store().used(pages, mark);
            });
        }
    }
    void close(lease_id id) noexcept { streams_[id.value()].clear(); }

private:
    /// A stream on which the engine works in place. (The store's copies note themselves.)
    struct noted {
        stream on;
        std::uint32_t admitted = 0; ///< blocks whose pages it may read
    };

    [[nodiscard]] noted* find(lease_id id, stream const& on) {
        std::vector<noted>& of = streams_[id.value()];
        auto const found =
            std::find_if(of.begin(), of.end(), [&](noted const& n) { return n.on == on; });
        return found == of.end() ? nullptr : &*found;
    }
    noted& note(lease_id id, stream const& on) {
        noted* const known = find(id, on);
        return known ? *known : streams_[id.value()].emplace_back(noted{on});
    }
    /// Pages of blocks `from` and on change, or are written anew: streams need admission again.
    void readmit(lease_id id, std::uint32_t from) noexcept {
        for (noted& n : streams_[id.value()])
            n.admitted = std::min(n.admitted, from);
    }

    std::vector<std::vector<noted>> streams_; ///< by lease
    std::vector<page_id> found_;              ///< of one call; kept for its memory
};

} // namespace marconi::cache
