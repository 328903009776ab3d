#pragma once

#include <marconi/cache/decay.hpp>
#include <marconi/cache/observer.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/prefetch.hpp>
#include <marconi/core/types.hpp>

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
///     that are true.
///
/// noexcept functions cannot fail: where a merge cannot get the memory to join two edges, the node
/// stays, as a candidate that frees one page at most.
template <memory::store Store, policy::eviction_policy Eviction, class Observer, token Token>
class entries : public decaying_entries<Store, Eviction, Observer, Token> {
    using base = decaying_entries<Store, Eviction, Observer, Token>;
    using base::change_resume_above;
    using base::checkpoint_pages_;
    using base::checkpoints_;
    using base::counts_;
    using base::drop_checkpoint;
    using base::eviction_;
    using base::notify;
    using base::remove_leaf;
    using base::settle;
    using base::store_;
    using base::tree_;

public:
    using typename base::node_type;

    using base::base;

    // ---- come ----

    /// Makes `nodes` splits or additions and `checkpoints` attachments infallible.
    void reserve(std::size_t nodes, std::size_t checkpoints) {
        tree_.reserve(nodes);
        checkpoints_.reserve(checkpoints);
    }

    /// Cuts a node at a position inside it and returns the new upper half. Reserve room first.
    node_id split(node_id id, std::uint32_t position) noexcept {
        node_id const upper_id = tree_.split(id, position);
        node_type const& lower = tree_[id];
        node_type& upper = tree_[upper_id];
        upper.payload.history = lower.payload.history;
        upper.payload.weight = lower.payload.weight;
        upper.payload.resume_above = lower.payload.resume_above;
        if (std::span<page_id const> const own = this->pages(lower);
            !own.empty() && position % store_.layout().block_tokens() != 0)
            store_.pages().share(own.front());
        notify(event<Token>{.kind = event_kind::split,
                            .node = id,
                            .parent = upper_id,
                            .position = token_count{position}});
        this->rerank(id);
        return upper_id;
    }

    /// Adds a node whose pages stand in the segment already, a reference to each counted for it.
    /// The parent is pinned or about to get a checkpoint, and is ranked after that.
    node_id add(node_id parent, index::segment_id segment, std::uint32_t depth, bool first_owner,
                float weight, scope const& in) noexcept {
        node_id const id = tree_.add(parent, segment, depth, first_owner);
        node_type const& above = tree_[parent];
        auto& payload = tree_[id].payload;
        payload.history = eviction_.created(this->now_);
        payload.weight = weight;
        payload.resume_above = above.payload.checkpoint ? above.depth : above.payload.resume_above;
        notify(event<Token>{.kind = event_kind::kv_published,
                            .node = id,
                            .parent = parent,
                            .position = token_count{depth},
                            .in = in,
                            .tokens = tree_.tokens(id)});
        return id;
    }

    /// Gives a node its checkpoint; each page must have one owner. Reserve room first.
    void attach_checkpoint(node_id id, std::span<page_id const> owned, bool in_answer,
                           scope const& in) noexcept {
        checkpoint_pages_ += owned.size();
        tree_[id].payload.checkpoint = checkpoints_.add(tree_[id].depth, owned);
        tree_[id].payload.in_answer = in_answer;
        notify(event<Token>{.kind = event_kind::checkpoint_published,
                            .node = id,
                            .parent = tree_[id].parent,
                            .position = token_count{tree_[id].depth},
                            .in = in,
                            .in_answer = in_answer});
        change_resume_above(id, tree_[id].depth);
        this->rerank(id);
    }

    // ---- stay ----

    void pin_kv(node_id id) noexcept {
        ++tree_[id].payload.kv_pins;
        this->rerank(id);
    }
    void pin_checkpoint(node_id id) noexcept {
        ++tree_[id].payload.checkpoint_pins;
        this->rerank(id);
    }
    /// A lease gave back pages of blocks `first_block` and on, on the path of `id`. If `off_path`,
    /// the last owner of one may be a node that left that path inside the block. O(nodes of the
    /// path that touch the blocks), and if `off_path` all that touch a block it was left in.
    void released_pages(node_id id, std::uint32_t first_block, bool off_path) noexcept {
        std::uint32_t const block = store_.layout().block_tokens();
        (void)this->rerank_above(id, first_block);
        if (!off_path) return;
        std::uint64_t const begin = std::uint64_t{first_block} * block;
        for (; tree_[id].depth > begin; id = tree_[id].parent)
            if (tree_[id].depth % block != 0) this->rerank_below(id, tree_[id].depth / block);
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

    /// Evicts what the policy names; false if it names nothing. If it throws, nothing has changed
    /// but merges and rankings that were put off.
    bool evict_one(eviction_reason why) {
        std::uint64_t const before = store_.pages().used();
        this->make_up_merges();
        count_freed_since(before);
        std::optional<node_id> const victim = this->choose_victim();
        if (!victim) return false;
        node_type const& n = tree_[*victim];
        bool const whole = this->goes_whole(n);
        if (!whole && !n.payload.checkpoint) tree_.reserve_merge(*victim);
        prefetch_around(n);
        eviction_.evicted(*victim);
        if (auto const next = policy::likely_victim(eviction_)) marconi::prefetch(&tree_[*next]);
        this->forget_rank(*victim);
        evict(*victim, why);
        return true;
    }

    /// Evicts all of one scope, except what pins hold and checkpoints where pinned paths part.
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
    /// Asks for the memory that evicting a node looks at. In a large cache these places are far
    /// apart, and waiting for one after the other is most of what an eviction takes.
    void prefetch_around(node_type const& victim) const noexcept {
        marconi::prefetch(&tree_[victim.parent]);
        if (victim.payload.checkpoint) marconi::prefetch(&checkpoints_[victim.payload.checkpoint]);
        tree_.paths().prefetch(victim.segment);
    }

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
        count_freed_since(before);
    }
    void count_freed_since(std::uint64_t used) noexcept {
        counts_.bytes_evicted += store_.layout().page_bytes() * (used - store_.pages().used());
    }
};

} // namespace marconi::cache
