#pragma once

#include <marconi/cache/lease.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

namespace marconi::cache {

/// Pages that no eviction can free: those on the paths of pinned nodes, pinned checkpoints, and
/// what leases own. O(leases * depth + pages that leases own); `also` is pinned but has no lease.
template <class Entries>
[[nodiscard]] std::uint64_t locked_pages(Entries const& entries, lease_table const& leases,
                                         node_id also) {
    auto const& tree = entries.tree();
    std::uint32_t const block = entries.store().layout().block_tokens();
    std::unordered_set<std::uint32_t> seen, seen_checkpoints, parents;
    std::uint64_t count = 0;
    auto const lock_checkpoint = [&](node_id id) {
        if (entries.has_checkpoint(id) && seen_checkpoints.insert(id.value()).second)
            count += entries.checkpoint(id).pages.size();
    };
    // Whether a node above, not always its parent, shares its first page.
    auto const shared_above = [&](node_id id) {
        page_id const first = entries.pages(tree[id]).front();
        std::uint32_t const begin = tree[id].start() / block * block;
        for (id = tree[id].parent; !tree[id].is_root() && tree[id].depth > begin;
             id = tree[id].parent)
            if (entries.pages(tree[id]).back() == first) return true;
        return false;
    };
    auto const lock_path = [&](node_id id) {
        for (; !tree[id].is_root() && seen.insert(id.value()).second; id = tree[id].parent) {
            auto const own = entries.pages(tree[id]);
            count += own.size();
            if (!own.empty() && shared_above(id)) --count;
            // Where two locked paths part no checkpoint can go: the node is no candidate.
            if (!parents.insert(tree[id].parent.value()).second) lock_checkpoint(tree[id].parent);
        }
    };
    if (also) lock_path(also);
    for (std::uint32_t i = 0; i < leases.slots(); ++i) {
        if (!leases.live(lease_id{i})) continue;
        lease_record const& lease = leases[lease_id{i}];
        if (lease.kv_pinned) lock_path(lease.node);
        if (node_id const id = lease.checkpoint_node) {
            lock_path(id);
            lock_checkpoint(id);
        }
        for (auto const* owned : {&lease.pages, &lease.replaced})
            for (page_id const page : *owned)
                if (entries.store().pages().owners(page) == 1) ++count;
    }
    return count;
}

/// Whether `wanted` pages can be had at all, by evicting everything that may go.
template <class Entries>
[[nodiscard]] std::uint64_t obtainable_pages(Entries const& entries, lease_table const& leases,
                                             std::uint64_t wanted, node_id also = {}) {
    auto const& pool = entries.store().pages();
    std::uint64_t const cheap_bound = pool.available() + entries.candidate_pages();
    if (wanted <= cheap_bound) return cheap_bound;
    return std::max(cheap_bound, pool.capacity() - locked_pages(entries, leases, also));
}

/// Evicts until `wanted` pages are free. False if the policy names no further victim first.
template <class Entries>
bool make_room(Entries& entries, std::uint64_t wanted, eviction_reason why) {
    while (entries.store().pages().available() < wanted)
        if (!entries.evict_one(why)) return false;
    return true;
}

/// Keeps a node, and so what lies above it, while a commit works on it.
template <class Entries>
class path_pin {
public:
    path_pin(Entries& entries, node_id id) : entries_{&entries}, id_{id} { entries.pin_kv(id); }
    path_pin(path_pin const&) = delete;
    path_pin& operator=(path_pin const&) = delete;
    ~path_pin() { entries_->unpin_kv(id_); }
    void move_to(node_id id) noexcept {
        entries_->pin_kv(id);
        entries_->unpin_kv(std::exchange(id_, id));
    }

private:
    Entries* entries_;
    node_id id_;
};

/// Pages taken from the pool and given back on destruction, unless kept.
template <class Pool>
class page_loan {
public:
    page_loan(Pool& pool, std::size_t count) : pool_{&pool}, pages_(count) {
        pool.allocate(pages_);
    }
    page_loan(page_loan&& other) noexcept
        : pool_{other.pool_}, pages_{std::exchange(other.pages_, {})} {}
    page_loan& operator=(page_loan&&) = delete;
    ~page_loan() { pool_->release(pages_); }
    [[nodiscard]] std::span<page_id const> pages() const { return pages_; }
    [[nodiscard]] std::vector<page_id> keep() noexcept { return std::exchange(pages_, {}); }

private:
    Pool* pool_;
    std::vector<page_id> pages_;
};

} // namespace marconi::cache
