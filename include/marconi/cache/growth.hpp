#pragma once

#include <marconi/cache/decay.hpp>
#include <marconi/cache/observer.hpp>
#include <marconi/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace marconi::cache {

/// How entries come and stay.
template <memory::store Store, policy::eviction_policy Eviction, class Observer, token Token>
class growing_entries : public decaying_entries<Store, Eviction, Observer, Token> {
    using base = decaying_entries<Store, Eviction, Observer, Token>;

protected:
    using base::change_resume_above;
    using base::checkpoint_pages_;
    using base::checkpoints_;
    using base::eviction_;
    using base::notify;
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
        upper.payload.last_use = lower.payload.last_use;
        upper.payload.resume_above = lower.payload.resume_above;
        upper.payload.forgotten = lower.payload.forgotten;
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
        payload.last_use = this->now_;
        payload.weight = weight;
        payload.forgotten = above.payload.forgotten;
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
};

} // namespace marconi::cache
