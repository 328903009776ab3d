#pragma once

#include <marconi/cache/candidates.hpp>
#include <marconi/cache/observer.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/config.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <utility>

namespace marconi::cache {

/// How entries go, and what that leaves to be done around them. See entries for what holds between
/// any two calls.
template <memory::store Store, policy::eviction_policy Eviction, class Observer, token Token>
class decaying_entries : public candidates<Store, Eviction, Token> {
    using base = candidates<Store, Eviction, Token>;

public:
    using typename base::entry_type;
    using typename base::node_type;

    decaying_entries(Store store, Eviction eviction, Observer observer)
        : base{std::move(store), std::move(eviction)}, observer_{std::move(observer)} {}

    [[nodiscard]] Observer& observer() { return observer_; }
    [[nodiscard]] Observer const& observer() const { return observer_; }
    /// Events that the observer has been told of.
    [[nodiscard]] std::uint64_t events() const { return sequence_; }
    [[nodiscard]] counters& counts() { return counts_; }
    [[nodiscard]] counters const& counts() const { return counts_; }
    /// Whether a merge was put off for lack of memory.
    [[nodiscard]] bool merges_put_off() const { return merges_put_off_; }
    [[nodiscard]] std::uint64_t checkpoint_count() const { return checkpoints_.size(); }
    [[nodiscard]] std::uint64_t checkpoint_pages() const { return checkpoint_pages_; }
    [[nodiscard]] std::size_t checkpoint_table_bytes() const { return checkpoints_.bytes(); }

protected:
    using base::checkpoints_;
    using base::eviction_;
    using base::store_;
    using base::tree_;

    void drop_checkpoint(node_id id) noexcept {
        auto& payload = tree_[id].payload;
        std::span<page_id const> const pages = checkpoints_[payload.checkpoint].pages();
        notify(event<Token>{.kind = event_kind::checkpoint_removed,
                            .node = id,
                            .parent = tree_[id].parent,
                            .position = token_count{tree_[id].depth},
                            .why = evicting_});
        store_.pages().release_unshared(pages);
        checkpoint_pages_ -= pages.size();
        checkpoints_.remove(std::exchange(payload.checkpoint, {}));
        payload.in_answer = 0;
        if (!payload.forgotten) change_resume_above(id, payload.resume_above);
    }

    /// Removes a leaf without a checkpoint, and settles the node above it.
    void remove_leaf(node_id id) noexcept { settle(take_leaf(id)); }

    /// Removes a leaf without a checkpoint, and returns the node above it, which is to be settled.
    node_id take_leaf(node_id id) noexcept {
        node_id const parent = tree_[id].parent;
        this->unrank(id);
        auto const& n = tree_[id];
        std::uint32_t const first_block = n.start() / store_.layout().block_tokens();
        std::span<page_id const> const own = this->pages(n);
        notify(event<Token>{.kind = event_kind::removed,
                            .node = id,
                            .parent = parent,
                            .position = token_count{n.depth},
                            .why = evicting_});
        page_id left; // to another owner: a node above, or a lease there
        if (!own.empty()) {
            if (!store_.pages().release(own.front())) left = own.front();
            store_.pages().release_unshared(own.subspan(1));
        }
        if (tree_.is_detached(id)) --tree_[parent].payload.kv_pins;
        tree_.remove_leaf(id);
        if (left && store_.pages().owners(left) == 1) (void)rerank_above(parent, first_block, left);
        return parent;
    }

    /// Restores what holds between calls around a node that lost a pin, a child or its checkpoint.
    void settle(node_id id) noexcept {
        for (;;) {
            node_type const& n = tree_[id];
            bool const pinned = n.payload.kv_pins != 0 || n.payload.checkpoint_pins != 0;
            if (n.is_root()) {
                if (n.is_leaf() && !pinned) tree_.remove_root(id);
                return;
            }
            if (n.payload.forgotten && n.payload.checkpoint && n.payload.checkpoint_pins == 0)
                drop_checkpoint(id);
            if (pinned || n.payload.checkpoint) break;
            if (n.is_leaf() && (!this->has_kv() || n.payload.forgotten)) {
                id = take_leaf(id);
                continue;
            }
            if (n.child_count == 1 && merge(id)) return;
            break;
        }
        this->rerank(id);
    }

    /// Merges what was put off, as far as there is memory now. O(nodes), if anything was.
    void make_up_merges() noexcept {
        if (!std::exchange(merges_put_off_, false)) return;
        for (std::uint32_t i = 0; i < tree_.slots(); ++i) {
            node_id const id{i};
            if (tree_.live(id) && !tree_[id].is_root() && tree_[id].child_count == 1) settle(id);
        }
    }

    bool merge(node_id id) noexcept {
        try {
            tree_.reserve_merge(id);
        } catch (std::bad_alloc const&) {
            merges_put_off_ = true;
            return false;
        }
        node_type const& n = tree_[id];
        node_id const parent = n.parent;
        auto& child = tree_[n.first_child].payload;
        child.history = eviction_.merged(child.history, n.payload.history);
        child.weight = std::max(child.weight, n.payload.weight);
        // If they meet inside a block, both own a page for it: the same, or the upper a duplicate.
        std::uint32_t const block = store_.layout().block_tokens();
        std::uint32_t const boundary = n.depth;
        page_id left; // by n to other owners, if it has any
        if (std::span<page_id const> const own = this->pages(n);
            !own.empty() && boundary % block != 0)
            left = own.back();
        this->unrank(id);
        node_id const child_id = tree_.merge_into_child(id);
        ++counts_.merges;
        notify(event<Token>{.kind = event_kind::merged, .node = child_id, .parent = id});
        if (left && !store_.pages().release(left) && store_.pages().owners(left) == 1) {
            // There may be any number of nodes below: look there last.
            std::uint32_t const at = boundary / block;
            if (!rerank_above(parent, at, left) && this->page_of_block(tree_[child_id], at) != left)
                rerank_below(child_id, at);
        }
        this->rerank(child_id);
        return true;
    }

    /// Pages of `block` and on have one owner left, whose eviction would now free them. The owners
    /// of a page need not be neighbours: a lease goes on in its own page past what another request
    /// put in between. O(nodes that touch the blocks). Whether one of the nodes from `id`, which
    /// ends in the block, up to the block's start owns `page`, if that is given.
    bool rerank_above(node_id id, std::uint32_t block, page_id page = {}) noexcept {
        std::uint64_t const begin = std::uint64_t{block} * store_.layout().block_tokens();
        bool found = false;
        while (tree_[id].depth > begin) { // a root is at 0
            this->rerank(id);
            found = found || (page && this->page_of_block(tree_[id], block) == page);
            if (tree_[id].start() <= begin) break; // spares a look at the node above
            id = tree_[id].parent;
        }
        return found;
    }
    void rerank_below(node_id top, std::uint32_t block) noexcept {
        std::uint64_t const end = (std::uint64_t{block} + 1) * store_.layout().block_tokens();
        if (tree_[top].depth >= end) return;
        tree_.each_below(top, [&](node_id id) {
            this->rerank(id);
            return tree_[id].depth < end;
        });
    }

    /// The nearest live checkpoint above the nodes below `top` is now at `depth`. O(nodes down to
    /// and including the next checkpoints); the candidates among them are re-ranked.
    void change_resume_above(node_id top, std::uint32_t depth) noexcept {
        std::uint64_t ripple = 0;
        tree_.each_below(top, [&](node_id id) {
            auto& payload = tree_[id].payload;
            payload.resume_above = depth;
            if (payload.ranked_pages != entry_type::unranked) {
                this->rerank(id);
                ++ripple;
            }
            return !payload.checkpoint;
        });
        counts_.largest_ripple = std::max(counts_.largest_ripple, ripple);
    }

    /// To be called while what goes is here still, and when what comes is here.
    void notify(event<Token> e) noexcept {
        if constexpr (!std::same_as<Observer, no_observer>) {
            if (tree_[e.node].payload.forgotten) return; // it was told as removed
            bool const of_checkpoint = e.kind == event_kind::checkpoint_published ||
                                       e.kind == event_kind::checkpoint_removed;
            e.sequence = sequence_++;
            e.pages = of_checkpoint ? this->checkpoint(e.node).pages() : this->pages(tree_[e.node]);
            observer_.observe(e);
        }
    }

    std::uint64_t checkpoint_pages_ = 0;
    std::optional<eviction_reason> evicting_; ///< while one goes: why
    counters counts_;

private:
    MARCONI_NO_UNIQUE_ADDRESS Observer observer_;
    std::uint64_t sequence_ = 0;
    bool merges_put_off_ = false;
};

} // namespace marconi::cache
