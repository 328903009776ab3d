#pragma once

#include <marconi/cache/growth.hpp>
#include <marconi/cache/observer.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/prefetch.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace marconi::cache {

/// How entries come, stay and go. What holds between any two calls:
///
///   - a node owns a reference to the page of every block that its edge touches;
///   - an unpinned node with one child and no checkpoint does not exist: it merged into the child;
///   - a leaf owns a page or a checkpoint, or is pinned;
///   - the policy ranks exactly the candidates (while awaits_ranking(), not all of them), by facts
///     that are true;
///   - what was forgotten is pinned, or leads to what is; its states are pinned, it is no
///     candidate, and its top, which is detached, pins the KV of the node above.
///
/// noexcept functions cannot fail: where a merge cannot get the memory to join two edges, the node
/// stays, as a candidate that frees one page at most.
template <memory::store Store, policy::eviction_policy Eviction, class Observer, token Token>
class entries : public growing_entries<Store, Eviction, Observer, Token> {
    using base = growing_entries<Store, Eviction, Observer, Token>;
    using base::checkpoints_;
    using base::counts_;
    using base::drop_checkpoint;
    using base::evicting_;
    using base::eviction_;
    using base::notify;
    using base::remove_leaf;
    using base::settle;
    using base::store_;
    using base::tree_;

public:
    using typename base::node_type;

    using base::base;

    /// Evicts what the policy names; false if it names nothing. If it throws, nothing has changed
    /// but merges and rankings that were put off.
    bool evict_one(eviction_reason why) {
        std::uint64_t const before = store_.pages().used();
        this->make_up_merges();
        count_freed_since(before);
        std::optional<node_id> const victim = this->choose_victim();
        if (!victim) return false;
        assert(is_ranked(*victim)); // a policy must name a node that it was told to rank
        node_type const& n = tree_[*victim];
        bool const whole = this->goes_whole(n);
        if (!whole && !n.payload.checkpoint) tree_.reserve_merge(*victim);
        // Otherwise the eviction before has asked for it, if it was told a likely victim: not in
        // the first one, and not while a part of policy::either rules that names none.
        if constexpr (!policy::names_likely_victim<Eviction>) prefetch_around(n);
        std::span<page_id const> const own = whole ? this->pages(n) : std::span<page_id const>{};
        if (!own.empty()) marconi::prefetch(own.data());
        eviction_.evicted(*victim);
        std::optional<node_id> const next = policy::likely_victim(eviction_);
        if (next) marconi::prefetch(&tree_[*next]);
        this->forget_rank(*victim);
        if (!own.empty()) store_.pages().prefetch(own.front());
        evict(*victim, why);
        if (next && is_ranked(*next)) prefetch_around(tree_[*next]);
        return true;
    }

    /// A node and all below it, children before parents.
    [[nodiscard]] std::vector<node_ref> subtree(node_id top) const {
        std::vector<node_ref> found{tree_.ref(top)};
        tree_.each_below(top, [&](node_id id) {
            found.push_back(tree_.ref(id));
            return true;
        });
        std::ranges::reverse(found);
        return found;
    }

    /// Evicts those of these, children before parents, for which wanted(node) is true, except what
    /// pins hold and checkpoints where paths part that stay.
    template <class Wanted>
    void evict_all(std::span<node_ref const> found, eviction_reason why,
                   Wanted const& wanted) noexcept {
        for (node_ref const ref : found) {
            if (!tree_.live(ref) || !this->is_candidate(tree_[ref.id])) continue;
            if (!wanted(tree_[ref.id])) continue;
            this->unrank(ref.id);
            evict(ref.id, why);
        }
    }
    void evict_all(std::span<node_ref const> found, eviction_reason why) noexcept {
        evict_all(found, why, [](node_type const&) { return true; });
    }

    /// Unpins their KV. What merges then and comes free counts as evicted.
    void unpin_all(std::span<node_id const> pinned) noexcept {
        std::uint64_t const before = store_.pages().used();
        for (node_id const id : pinned)
            this->unpin_kv(id);
        count_freed_since(before);
    }

    /// Evicts a node's part past `position` and all below it, and cuts off what pins hold of that:
    ///
    ///     above ──┬── others                        above (pinned) ──┬── others
    ///             └── top ── pinned      ──►                         └── what comes again
    ///                                               above ◄── top ── pinned
    ///
    /// It knows what is above it and is read as before, but nothing finds it, no event tells of it,
    /// and it goes with its pins. `found` is its subtree. Reserve room for a split first.
    void forget(node_id top, std::uint32_t position, std::span<node_ref const> found) noexcept {
        Token const first = tree_.tokens(top)[position - tree_[top].start()];
        bool const inside = tree_[top].start() < position;
        node_id const above = inside ? this->split(top, position) : tree_[top].parent;
        this->pin_kv(above);
        evict_all(found, eviction_reason::clear);
        std::uint64_t const before = store_.pages().used();
        top = tree_.child(above, first); // it may have merged with what was below
        if (top)
            cut_off(top, found);
        else
            this->unpin_kv(above);
        count_freed_since(before);
    }

private:
    /// Whether the policy has been told to rank a node, and not to forget it since.
    [[nodiscard]] bool is_ranked(node_id id) const {
        return id && id.value() < tree_.slots() && tree_.live(id) &&
               tree_[id].payload.ranked_pages != base::entry_type::unranked;
    }
    /// The node above is pinned for it.
    void cut_off(node_id top, std::span<node_ref const> found) noexcept {
        for (node_ref const ref : found)
            if (tree_.live(ref)) mark_forgotten(ref.id);
        tree_.detach(top);
        this->rerank(tree_[top].parent);
        for (node_ref const ref : found)
            if (tree_.live(ref)) settle(ref.id);
    }
    void mark_forgotten(node_id id) noexcept {
        auto& n = tree_[id];
        event<Token> gone{.node = id,
                          .parent = n.parent,
                          .position = token_count{n.depth},
                          .why = eviction_reason::clear};
        if (n.payload.checkpoint) {
            gone.kind = event_kind::checkpoint_removed;
            notify(gone);
            constexpr auto reason = static_cast<std::size_t>(eviction_reason::clear);
            if (n.payload.checkpoint_pins == 0) ++counts_.checkpoints_evicted[reason];
        }
        gone.kind = event_kind::removed;
        notify(gone);
        this->unrank(id);
        n.payload.forgotten = 1;
    }

    /// Asks for the memory that evicting a node looks at. In a large cache these places are far
    /// apart, and waiting for one after the other is most of what an eviction takes. So evict_one()
    /// asks for each as soon as it knows where it is: the next victim's node while this one goes;
    /// what that names at the end; what this tells in turn (pages, the count of the first one's
    /// owners) when its turn has come.
    void prefetch_around(node_type const& victim) const noexcept {
        marconi::prefetch(&tree_[victim.parent]);
        if (victim.payload.checkpoint) marconi::prefetch(&checkpoints_[victim.payload.checkpoint]);
        tree_.paths().prefetch(victim.segment);
        policy::prefetch_rank(eviction_, victim.parent);
    }

    void evict(node_id id, eviction_reason why) noexcept {
        bool const whole = this->goes_whole(tree_[id]);
        std::uint64_t const before = store_.pages().used();
        auto const reason = static_cast<std::size_t>(why);
        evicting_ = why;
        ++(whole ? counts_.nodes_evicted : counts_.checkpoints_evicted)[reason];
        if (tree_[id].payload.checkpoint) drop_checkpoint(id);
        if (whole)
            remove_leaf(id);
        else
            settle(id);
        evicting_.reset();
        count_freed_since(before);
    }
    void count_freed_since(std::uint64_t used) noexcept {
        counts_.bytes_evicted += store_.layout().page_bytes() * (used - store_.pages().used());
    }
};

} // namespace marconi::cache
