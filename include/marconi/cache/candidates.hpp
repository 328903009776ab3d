#pragma once

#include <marconi/cache/checkpoint_table.hpp>
#include <marconi/cache/entry.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/radix_tree.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/concepts.hpp>

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <utility>

namespace marconi::cache {

/// The tree and the store it refers to, and the policy's index of what may be evicted. rerank()
/// keeps that true: call it for every node whose pins, children, checkpoint or pages changed.
template <memory::store Store, policy::eviction_policy Eviction, token Token>
class candidates {
public:
    using entry_type = entry<typename Eviction::history>;
    using tree_type = index::radix_tree<Token, entry_type>;
    using node_type = typename tree_type::node_type;
    static constexpr bool refreshes_path = policy::refreshes_path<Eviction>;

    candidates(Store store, Eviction eviction)
        : store_{std::move(store)},
          eviction_{std::move(eviction)},
          tree_{store_.layout().block_tokens(), store_.layout().has_kv()},
          checkpoints_{std::min(store_.layout().checkpoint_pages(token_count{most_tokens}),
                                store_.pages().capacity())} {}

    [[nodiscard]] Store& store() { return store_; }
    [[nodiscard]] Store const& store() const { return store_; }
    [[nodiscard]] tree_type& tree() { return tree_; }
    [[nodiscard]] tree_type const& tree() const { return tree_; }
    [[nodiscard]] Eviction& eviction() { return eviction_; }
    [[nodiscard]] Eviction const& eviction() const { return eviction_; }
    [[nodiscard]] tick now() const { return now_; }
    void advance_clock() { now_ += tick{1}; }
    void set_clock(tick now) { now_ = now; }

    /// Whether resuming needs a checkpoint; whether blocks have pages.
    [[nodiscard]] bool needs_checkpoint() const {
        return store_.layout().model().has_checkpoints();
    }
    [[nodiscard]] bool has_kv() const { return store_.layout().has_kv(); }
    [[nodiscard]] bool has_checkpoint(node_id id) const {
        return bool{tree_[id].payload.checkpoint};
    }
    [[nodiscard]] checkpoint_record const& checkpoint(node_id id) const {
        return checkpoints_[tree_[id].payload.checkpoint];
    }

    /// Pages of the blocks that a node's edge touches; none for a model without KV.
    [[nodiscard]] std::span<page_id const> pages(node_type const& n) const {
        if (!has_kv() || n.length == 0) return {};
        return tree_.paths().pages(n.segment, n.start() / block(), (n.depth - 1) / block() + 1);
    }

    /// The page that a node has for a block that its edge touches.
    [[nodiscard]] page_id page_of_block(node_type const& n, std::uint32_t number) const {
        return pages(n)[number - n.start() / block()];
    }

    /// Whether anything may be evicted.
    [[nodiscard]] bool has_candidates() const {
        return eviction_.size() != 0 || unranked_candidates_;
    }
    /// Whether some candidates are not ranked yet, for lack of memory.
    [[nodiscard]] bool awaits_ranking() const { return unranked_candidates_; }
    /// Pages that evicting the candidates would free, each counted as if it went alone.
    [[nodiscard]] std::uint64_t candidate_pages() const { return candidate_pages_; }
    /// The same if the KV of a node, which may be none, were pinned.
    [[nodiscard]] std::uint64_t candidate_pages_beside(node_id pinned) const {
        if (!pinned || tree_[pinned].payload.ranked_pages == entry_type::unranked)
            return candidate_pages_;
        node_type const& n = tree_[pinned];
        return candidate_pages_ - n.payload.ranked_pages +
               (n.payload.checkpoint ? checkpoint(pinned).page_count : 0);
    }

    /// A leaf whose KV nobody uses goes whole; any other candidate loses only its checkpoint.
    [[nodiscard]] static bool goes_whole(node_type const& n) {
        return n.is_leaf() && n.payload.kv_pins == 0;
    }
    [[nodiscard]] bool is_candidate(node_type const& n) const {
        if (n.is_root() || n.payload.checkpoint_pins != 0 || n.child_count > 1) return false;
        return !n.payload.forgotten && (n.payload.kv_pins == 0 || n.payload.checkpoint);
    }

    /// Pages that lose their last owner if candidate n is evicted. O(1).
    [[nodiscard]] std::uint32_t pages_freed(node_type const& n) const {
        auto count =
            n.payload.checkpoint
                ? static_cast<std::uint32_t>(store_.layout().checkpoint_pages(token_count{n.depth}))
                : 0u;
        std::span<page_id const> const own = pages(n);
        if (own.empty() || n.payload.kv_pins != 0) return count;
        if (n.is_leaf()) // only the first block can be shared, with a node above or a lease there
            return count + static_cast<std::uint32_t>(own.size()) - (shares_first_page(n) ? 1 : 0);
        // It merges: where its last block goes on in the child, the child's page stays. If that is
        // the same, it has two owners. (To look there spares the count, which is far away.)
        bool const mid_block = n.depth % block() != 0;
        if (mid_block && pages(tree_[n.first_child]).front() != own.back() &&
            store_.pages().owners(own.back()) == 1)
            ++count;
        return count;
    }

    [[nodiscard]] policy::candidate_facts facts(node_type const& n) const {
        return facts(n, pages_freed(n));
    }
    [[nodiscard]] policy::candidate_facts facts(node_type const& n, std::uint32_t freed) const {
        std::uint32_t const above = needs_checkpoint() ? n.payload.resume_above : n.start();
        bool const saves = !needs_checkpoint() || n.payload.checkpoint;
        byte_count const page = store_.layout().page_bytes();
        return {.bytes_freed = page * freed,
                .flops_saved = saves ? store_.layout().model().flops.between(token_count{above},
                                                                             token_count{n.depth})
                                     : flop_count{},
                .page_bytes = page,
                .depth = token_count{n.depth},
                .parent_depth = token_count{n.start()},
                .resume_above = token_count{above},
                .is_leaf = n.is_leaf(),
                .has_checkpoint = bool{n.payload.checkpoint},
                .in_answer = n.payload.in_answer != 0,
                .weight = n.payload.weight};
    }

    /// Tells the policy what has become of a node. If there is no memory to rank a new candidate,
    /// that is ranked before the next eviction.
    void rerank(node_id id) noexcept {
        node_type& n = tree_[id];
        if (!is_candidate(n)) return unrank(id);
        std::uint32_t const freed = pages_freed(n);
        policy::candidate_facts const known = facts(n, freed);
        bool const fresh = n.payload.ranked_pages == entry_type::unranked;
        if (fresh) {
            try {
                eviction_.insert(id, n.payload.history, known);
            } catch (std::bad_alloc const&) {
                unranked_candidates_ = true;
                return;
            }
        } else {
            eviction_.update(id, n.payload.history, known);
            candidate_pages_ -= n.payload.ranked_pages;
        }
        n.payload.ranked_pages = freed;
        candidate_pages_ += freed;
    }

    /// Takes a node that is about to go, or is no candidate any more, out of the policy's index.
    void unrank(node_id id) noexcept {
        if (forget_rank(id)) eviction_.erase(id);
    }

    /// Notes that a request of that weight used this node. Updates the node's weight and history
    /// and, if the policy wants that (refreshes_path), the histories of its path.
    void touch(node_id id, float weight) noexcept {
        tree_[id].payload.weight = std::max(tree_[id].payload.weight, weight);
        for (node_id at = id; !tree_[at].is_root(); at = tree_[at].parent) {
            auto& payload = tree_[at].payload;
            payload.history = eviction_.used(payload.history, now_);
            payload.last_use = now_;
            rerank(at);
            if (!refreshes_path) break;
        }
    }

    /// The policy's choice, which stays in its index. May throw std::bad_alloc before any change.
    [[nodiscard]] std::optional<node_id> choose_victim() {
        if (unranked_candidates_) rank_all();
        return eviction_.victim(now_ + tick{1});
    }

protected:
    /// Takes the rank away without telling the policy. False if there was none.
    bool forget_rank(node_id id) noexcept {
        auto& payload = tree_[id].payload;
        if (payload.ranked_pages == entry_type::unranked) return false;
        candidate_pages_ -= payload.ranked_pages;
        payload.ranked_pages = entry_type::unranked;
        return true;
    }

    Store store_;
    Eviction eviction_;
    tree_type tree_;
    checkpoint_table checkpoints_;
    tick now_;

private:
    [[nodiscard]] std::uint32_t block() const { return store_.layout().block_tokens(); }

    /// Whether the page of the first block of n, which has pages, has another owner. In a large
    /// cache the counts of owners are far away in memory: where the path tells, they are spared.
    [[nodiscard]] bool shares_first_page(node_type const& n) const {
        bool const mid_block = n.start() % block() != 0;
        return (mid_block && !tree_.paths().starts_at(n.segment, n.start())) ||
               store_.pages().owners(pages(n).front()) > 1;
    }

    void rank_all() {
        unranked_candidates_ = false;
        for (std::uint32_t i = 0; i < tree_.slots(); ++i)
            if (tree_.live(node_id{i})) rerank(node_id{i});
        if (unranked_candidates_) throw std::bad_alloc{};
    }

    std::uint64_t candidate_pages_ = 0;
    bool unranked_candidates_ = false;
};

} // namespace marconi::cache
