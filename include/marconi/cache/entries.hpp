#pragma once

#include <marconi/cache/candidates.hpp>
#include <marconi/cache/observer.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/types.hpp>

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>
#include <vector>

namespace marconi::cache {

/// How entries come, stay and go. What holds between any two calls:
///
///   - a node owns a reference to the page of every block that its edge touches;
///   - an unpinned node with one child and no checkpoint does not exist: it merged into the child;
///   - a leaf owns a page or a checkpoint, or is pinned;
///   - the policy ranks exactly the candidates, by facts that are true.
///
/// What is noexcept cannot fail; where a merge cannot get the memory to join two edges, the node
/// stays as a candidate that frees nothing.
template <memory::store Store, policy::eviction_policy Eviction, class Observer, token Token>
class entries : public candidates<Store, Eviction, Token> {
    using base = candidates<Store, Eviction, Token>;
    using base::checkpoints_;
    using base::eviction_;
    using base::store_;
    using base::tree_;

public:
    using typename base::node_type;

    entries(Store store, Eviction eviction, Observer observer)
        : base{std::move(store), std::move(eviction)}, observer_{std::move(observer)} {}

    [[nodiscard]] Observer& observer() { return observer_; }
    [[nodiscard]] counters& counts() { return counts_; }
    [[nodiscard]] counters const& counts() const { return counts_; }
    [[nodiscard]] std::uint64_t checkpoint_count() const { return checkpoints_.size(); }
    [[nodiscard]] std::uint64_t checkpoint_pages() const { return checkpoint_pages_; }

    // ---- come ----

    /// Makes `nodes` splits or additions and `checkpoints` attachments infallible.
    void reserve(std::size_t nodes, std::size_t checkpoints) {
        tree_.reserve(nodes);
        checkpoints_.reserve(checkpoints);
    }

    /// Cuts a node at a position inside it and returns the new upper half. Room is reserved.
    node_id split(node_id id, std::uint32_t position) noexcept {
        node_id const upper_id = tree_.split(id, position);
        node_type const& lower = tree_[id];
        node_type& upper = tree_[upper_id];
        upper.payload.history = lower.payload.history;
        upper.payload.resume_above = lower.payload.resume_above;
        if (std::span<page_id const> const own = this->pages(lower);
            !own.empty() && position % store_.layout().block_tokens() != 0)
            store_.pages().share(own.front());
        notify({.kind = event_kind::split,
                .node = id,
                .parent = upper_id,
                .position = token_count{position}});
        this->refresh(id);
        return upper_id;
    }

    /// Adds a node; its pages stand in the segment, a reference to each already counted for it.
    node_id add(node_id parent, index::segment_id segment, std::uint32_t depth, bool first_owner,
                scope const& in) noexcept {
        node_id const id = tree_.add(parent, segment, depth, first_owner);
        node_type const& above = tree_[parent];
        auto& payload = tree_[id].payload;
        payload.history = eviction_.created(this->now_);
        payload.resume_above = above.payload.checkpoint ? above.depth : above.payload.resume_above;
        notify({.kind = event_kind::kv_published,
                .node = id,
                .parent = parent,
                .position = token_count{depth},
                .in = in,
                .tokens = tree_.tokens(id)});
        this->refresh(parent);
        return id;
    }

    /// Gives a node its checkpoint; each page has one owner. Room is reserved.
    void attach_checkpoint(node_id id, std::vector<page_id> owned, scope const& in) noexcept {
        checkpoint_pages_ += owned.size();
        checkpoint_id const record = checkpoints_.allocate();
        checkpoints_[record] = {tree_[id].depth, std::move(owned)};
        tree_[id].payload.checkpoint = record;
        notify({.kind = event_kind::checkpoint_published,
                .node = id,
                .parent = tree_[id].parent,
                .position = token_count{tree_[id].depth},
                .in = in});
        change_resume_above(id, tree_[id].depth);
        this->refresh(id);
    }

    // ---- stay ----

    void pin_kv(node_id id) noexcept {
        ++tree_[id].payload.kv_pins;
        this->refresh(id);
    }
    void pin_checkpoint(node_id id) noexcept {
        ++tree_[id].payload.checkpoint_pins;
        this->refresh(id);
    }
    void unpin_kv(node_id id) noexcept {
        --tree_[id].payload.kv_pins;
        settle(id);
    }
    void unpin_checkpoint(node_id id) noexcept {
        --tree_[id].payload.checkpoint_pins;
        settle(id);
    }

    // ---- go ----

    /// Evicts what the policy names; false if it names nothing. What throws has changed nothing.
    bool evict_one(eviction_reason why) {
        std::optional<node_id> const victim = this->choose_victim();
        if (!victim) return false;
        node_type const& n = tree_[*victim];
        bool const whole = this->goes_whole(n);
        if (!whole && !n.payload.checkpoint) tree_.reserve_merge(*victim);
        eviction_.evicted(*victim);
        this->forget_rank(*victim);
        evict(*victim, why);
        return true;
    }

    /// Evicts all that no pin holds in one scope.
    void evict_all(node_id root, eviction_reason why) {
        std::vector<node_ref> found;
        tree_.each_below(root, [&](node_id id) {
            found.push_back(tree_.ref(id));
            return true;
        });
        for (auto ref = found.rbegin(); ref != found.rend(); ++ref) { // children before parents
            if (!tree_.live(*ref) || !this->is_candidate(tree_[ref->id])) continue;
            this->unrank(ref->id);
            evict(ref->id, why);
        }
    }

private:
    void evict(node_id id, eviction_reason why) noexcept {
        bool const whole = this->goes_whole(tree_[id]);
        std::uint64_t const before = store_.pages().used();
        auto const reason = static_cast<std::size_t>(why);
        ++(whole ? counts_.nodes_evicted : counts_.checkpoints_evicted)[reason];
        if (tree_[id].payload.checkpoint) drop_checkpoint(id);
        if (whole)
            remove_leaf(id);
        else
            settle(id);
        counts_.bytes_evicted += store_.layout().page_bytes() * (before - store_.pages().used());
    }

    void drop_checkpoint(node_id id) noexcept {
        auto& payload = tree_[id].payload;
        for (page_id const page : checkpoints_[payload.checkpoint].pages)
            store_.pages().release(page);
        checkpoint_pages_ -= checkpoints_[payload.checkpoint].pages.size();
        checkpoints_[payload.checkpoint].pages = {};
        checkpoints_.release(payload.checkpoint);
        payload.checkpoint = {};
        notify({.kind = event_kind::checkpoint_removed,
                .node = id,
                .parent = tree_[id].parent,
                .position = token_count{tree_[id].depth}});
        change_resume_above(id, payload.resume_above);
    }

    /// Removes a leaf without a checkpoint, and what its going leaves behind.
    void remove_leaf(node_id id) noexcept {
        node_id const parent = tree_[id].parent;
        this->unrank(id);
        for (page_id const page : this->pages(tree_[id]))
            store_.pages().release(page);
        notify({.kind = event_kind::removed, .node = id, .parent = parent});
        tree_.remove_leaf(id);
        settle(parent);
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
            node_id const parent = n.parent;
            if (pinned || n.payload.checkpoint) break;
            if (n.is_leaf() && !this->has_kv()) {
                this->unrank(id);
                notify({.kind = event_kind::removed, .node = id, .parent = parent});
                tree_.remove_leaf(id);
                id = parent;
                continue;
            }
            if (n.child_count == 1 && merge(id)) return;
            break;
        }
        this->refresh(id);
        this->refresh(tree_[id].parent);
    }

    bool merge(node_id id) noexcept {
        try {
            tree_.reserve_merge(id);
        } catch (std::bad_alloc const&) {
            return false;
        }
        node_type const& n = tree_[id];
        node_id const parent = n.parent;
        auto& child = tree_[n.first_child].payload;
        child.history = eviction_.merged(child.history, n.payload.history);
        // Inside a block both own a page for it: one and the same, or the upper one's duplicate.
        if (std::span<page_id const> const own = this->pages(n);
            !own.empty() && n.depth % store_.layout().block_tokens() != 0)
            store_.pages().release(own.back());
        this->unrank(id);
        node_id const child_id = tree_.merge_into_child(id);
        ++counts_.merges;
        notify({.kind = event_kind::merged, .node = child_id, .parent = id});
        this->refresh(child_id);
        this->refresh(parent);
        return true;
    }

    /// The nearest live checkpoint above the nodes below `top` is now at `depth`. O(nodes down to
    /// and including the next checkpoints); the candidates among them are re-ranked.
    void change_resume_above(node_id top, std::uint32_t depth) noexcept {
        std::uint64_t ripple = 0;
        tree_.each_below(top, [&](node_id id) {
            auto& payload = tree_[id].payload;
            payload.resume_above = depth;
            if (payload.ranked_pages != entry<typename Eviction::history>::unranked) {
                this->refresh(id);
                ++ripple;
            }
            return !payload.checkpoint;
        });
        counts_.largest_ripple = std::max(counts_.largest_ripple, ripple);
    }

    void notify(event<Token> e) noexcept {
        if constexpr (!std::same_as<Observer, no_observer>) {
            e.sequence = sequence_++;
            observer_.observe(e);
        }
    }

    MARCONI_NO_UNIQUE_ADDRESS Observer observer_;
    counters counts_;
    std::uint64_t checkpoint_pages_ = 0;
    std::uint64_t sequence_ = 0;
};

} // namespace marconi::cache
