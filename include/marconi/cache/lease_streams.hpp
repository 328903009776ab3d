#pragma once

#include <marconi/cache/lease.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::cache {

/// The streams that leases were used on. Stores without an order of their own need none of it.
template <memory::store Store>
class lease_streams {
public:
    void reserve(std::size_t) {}
    template <class Entries>
    void note_reader(Entries const&, lease_record const&, lease_id, typename Store::stream const&) {
    }
    template <class Entries>
    void note_restore(Entries const&, lease_record const&, lease_id, memory::kv_view,
                      typename Store::stream const&) {}
    void note(lease_id, typename Store::stream const&) {}
    template <class Entries>
    void note_commit(Entries&, lease_record const&, lease_id, typename Store::stream const&) {}
    template <class Entries, class Pages>
    void let_go(Entries&, Pages const&, lease_id) noexcept {}
    void close(lease_id) noexcept {}
};

/// Calls visit(pages) for all that a lease can read or write in place: O(depth + pages).
template <class Entries, class Visit>
void each_page_in_place(Entries const& entries, lease_record const& lease, Visit&& visit) {
    auto const& tree = entries.tree();
    if (lease.kv_pinned && entries.has_kv())
        for (node_id id = lease.node; !tree[id].is_root(); id = tree[id].parent)
            visit(entries.pages(tree[id]));
    visit(std::span<page_id const>{lease.pages});
    visit(std::span<page_id const>{lease.replaced});
}

template <memory::ordered_store Store>
class lease_streams<Store> {
    using stream = typename Store::stream;

public:
    /// Room for leases of ids below `count`.
    void reserve(std::size_t count) {
        if (streams_.size() < count) streams_.resize(count);
    }
    /// The engine reads the lease's pages on that stream from now on.
    template <class Entries>
    void note_reader(Entries const& entries, lease_record const& lease, lease_id id,
                     stream const& on) {
        note(id, on, true);
        each_page_in_place(entries, lease, [&](std::span<page_id const> pages) {
            if (!pages.empty()) entries.store().admit_reader(pages, on);
        });
    }
    /// Whoever restores no KV reads it in place.
    template <class Entries>
    void note_restore(Entries const& entries, lease_record const& lease, lease_id id,
                      memory::kv_view kv, stream const& on) {
        kv.layers.empty() ? note_reader(entries, lease, id, on) : note(id, on);
    }
    /// The stream was named in a call for the lease.
    void note(lease_id id, stream const& on, bool reads = false) {
        std::vector<noted>& of = streams_[id.value()];
        auto const found =
            std::find_if(of.begin(), of.end(), [&](noted const& n) { return n.on == on; });
        if (found == of.end())
            of.push_back({on, reads});
        else
            found->reads |= reads;
    }
    /// A commit may put another page in the place of the partly filled last one that the lease
    /// stands in, and that then goes when two nodes merge: who gets it waits for its readers.
    template <class Entries>
    void note_commit(Entries& entries, lease_record const& lease, lease_id id, stream const& on) {
        note(id, on);
        auto const& tree = entries.tree();
        std::uint32_t const block = entries.store().layout().block_tokens();
        if (!lease.kv_pinned || !entries.has_kv() || lease.position % block == 0) return;
        node_id const at = tree.holding(lease.node, lease.position);
        page_id const page = entries.page_of_block(tree[at], lease.position / block);
        for (noted const& n : streams_[id.value()])
            if (n.reads) entries.store().used({&page, 1}, entries.store().mark(n.on));
    }
    /// The lease's pages are about to go: whoever gets them waits for what its streams do now.
    template <class Entries>
    void let_go(Entries& entries, lease_record const& lease, lease_id id) noexcept {
        for (noted const& n : streams_[id.value()]) {
            if (!lease.kv_pinned && lease.pages.empty() && lease.replaced.empty()) return;
            auto const mark = entries.store().mark(n.on);
            each_page_in_place(entries, lease, [&](std::span<page_id const> pages) {
                entries.store().used(pages, mark);
            });
        }
    }
    /// Likewise for some of them.
    template <class Entries>
    void let_go(Entries& entries, std::span<page_id const> pages, lease_id id) noexcept {
        if (pages.empty()) return;
        for (noted const& n : streams_[id.value()])
            entries.store().used(pages, entries.store().mark(n.on));
    }
    void close(lease_id id) noexcept { streams_[id.value()].clear(); }

private:
    struct noted {
        stream on;
        bool reads; ///< pages in place
    };
    std::vector<std::vector<noted>> streams_; ///< by lease
};

} // namespace marconi::cache
