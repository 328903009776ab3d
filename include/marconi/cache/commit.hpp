#pragma once

#include <marconi/cache/commit_checks.hpp>
#include <marconi/cache/commit_place.hpp>
#include <marconi/cache/in_place.hpp>
#include <marconi/cache/lease.hpp>
#include <marconi/cache/loans.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/unlocked.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/index/paths.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/transfer.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace marconi::cache {

/// One commit, from arguments to outcome:
///
///     check -> follow what is stored already -> choose how much fits, evict for it
///           -> write the pages (-> follow what other calls stored meanwhile) -> publish
///
/// Until publish_kv() anything may throw; then only the clock has changed and victims have gone.
template <class Entries, token Token>
class commit_operation : placed_commit<Entries, Token> {
    using base = placed_commit<Entries, Token>;
    using typename base::arrival;
    using typename base::new_edge;
    using typename base::store_type;
    using stream_type = typename store_type::stream;

public:
    using base::base;

    template <class Unlocked>
    commit_outcome run(stream_type const& stream, Unlocked const& unlocked) {
        check_commit(entries_, lease_, tokens_, brought_);
        entries_.advance_clock();
        path_pin<Entries> pin{entries_, lease_, this->follow(this->start(), tokens_)};
        check_views(store_, first_read(), token_count{tokens_.size()}, brought_);
        this->part_from_others(pin);
        this->choose_end();

        std::uint64_t const state_pages = this->state_pages(taken_);
        page_loan loan{store_.pages(), lease_.filling, state_pages + this->fresh_blocks(end_)};
        std::span<page_id const> const fresh{lease_.filling};
        std::span<page_id const> const states = fresh.first(state_pages);
        std::span<page_id const> blocks = this->block_pages(fresh.subspan(state_pages));
        if constexpr (!lets_others_in<Unlocked>) {
            save(blocks, states, stream);
        } else if (copies_any(blocks)) {
            unlocked([&] { save(blocks, states, stream); });
            std::uint32_t const first_block = known_ / block_;
            this->follow_others(pin, states);
            blocks = this->without_known(first_block, blocks);
        }
        publish(blocks, states);
        loan.keep(); // the nodes own them now
        store_.pages().release(surplus_);
        advance_lease(blocks);
        note_what_came();
        return outcome_;
    }

private:
    using base::arrivals_;
    using base::attachment_;
    using base::block_;
    using base::brought_;
    using base::end_;
    using base::entries_;
    using base::known_;
    using base::lease_;
    using base::outcome_;
    using base::store_;
    using base::surplus_;
    using base::taken_;
    using base::tokens_;
    using base::tree_;

    // ---- write ----

    /// The first token to copy KV of, for the new tokens. If they begin inside a block, a fresh
    /// page of it needs the rows before them, too; the lease's own page has those already.
    [[nodiscard]] token_count copied_from() const {
        std::uint32_t const block_start = known_ / block_ * block_;
        bool const own = lease_.owns_block(known_ / block_);
        return token_count{own ? std::max(block_start, lease_.position) : block_start};
    }

    [[nodiscard]] bool copies_any(std::span<page_id const> blocks) const {
        bool const copies_kv =
            !brought_.kv.layers.empty() &&
            (!blocks.empty() || known_until(lease_, known_, block_) != lease_.position);
        return store_type::holds_bytes && (taken_ > 0 || copies_kv);
    }

    /// The first token whose KV is copied at all.
    [[nodiscard]] token_count first_read() const {
        if (known_until(lease_, known_, block_) != lease_.position)
            return token_count{lease_.position};
        return known_ < tokens_.size() ? copied_from() : token_count{known_};
    }

    void save(std::span<page_id const> blocks, std::span<page_id const> states,
              stream_type const& stream) {
        if constexpr (store_type::holds_bytes) {
            std::vector<memory::checkpoint_transfer> checkpoints;
            for (arrival const& a : std::span{arrivals_}.first(taken_))
                checkpoints.push_back({token_count{a.position}, a.own(states), a.state});
            memory::transfer work{.kv = {}, .checkpoints = checkpoints};
            if (!brought_.kv.layers.empty() && !blocks.empty())
                work.kv = memory::kv_transfer{.begin = copied_from(),
                                              .end = token_count{end_},
                                              .pages = blocks,
                                              .engine = brought_.kv};
            save_known(entries_, lease_, known_, brought_.kv, stream);
            if constexpr (memory::ordered_store<store_type>)
                if (brought_.kv.layers.empty() && !blocks.empty()) store_.written(blocks, stream);
            store_.save(work, stream);
        }
    }

    // ---- publish ----

    void publish(std::span<page_id const> blocks, std::span<page_id const> states) {
        lease_.pages.reserve(1);
        reserve_more(lease_.replaced, 1);
        reserve_more(lease_.captured_in_prompt, brought_.checkpoints.size());
        new_edge const edge = this->place_tokens(blocks);
        // Nothing from here on can fail.
        this->publish_kv(edge, blocks);
        // From the last to the first: one climb along the path passes all their nodes, and each
        // checkpoint tells only the nodes down to the next one of its presence.
        node_id below = attachment_;
        for (std::size_t i = taken_; i-- > 0;)
            below = publish_checkpoint(below, arrivals_[i], states);
        touch_known();
    }

    node_id publish_checkpoint(node_id below, arrival const& a,
                               std::span<page_id const> states) noexcept {
        node_id id = tree_.holding(below, a.position);
        if (tree_[id].depth != a.position) id = entries_.split(id, a.position);
        bool const in_answer = a.position > lease_.answer_from.value();
        entries_.attach_checkpoint(id, a.own(states), in_answer, lease_.in);
        ++outcome_.stored_checkpoints;
        return id;
    }

    /// KV that was there already and got a checkpoint has found a second use. Counted once for each
    /// node, after the last split: a split would copy the use to both halves.
    void touch_known() noexcept {
        node_id below = attachment_;
        for (std::size_t i = taken_; i-- > 0;) {
            if (arrivals_[i].position > known_) continue;
            entries_.touch(below = tree_.holding(below, arrivals_[i].position), lease_.weight);
            if (Entries::refreshes_path) return; // that was the whole path
        }
    }

    /// Moves the lease on to the end of what is stored.
    void advance_lease(std::span<page_id const> blocks) noexcept {
        keep_tail_block(blocks);
        node_id const old = std::exchange(lease_.node, attachment_);
        bool const was_pinned = std::exchange(lease_.kv_pinned, true);
        entries_.pin_kv(lease_.node);
        bool const touched = taken_ > 0 && arrivals_[taken_ - 1].position == end_;
        if (end_ == known_ && end_ > lease_.position && !touched)
            entries_.touch(lease_.node, lease_.weight);
        if (was_pinned) entries_.unpin_kv(old);
        if (end_ > lease_.position && lease_.checkpoint_node)
            entries_.unpin_checkpoint(std::exchange(lease_.checkpoint_node, {}));
        lease_.position = end_;
        outcome_.position = token_count{end_};
    }

    /// A copying lease goes on in the unfilled slots of its last block, so that of its pages it
    /// keeps only that block's. A lease that works in place keeps all its pages.
    void keep_tail_block(std::span<page_id const> blocks) noexcept {
        if (lease_.in_place || end_ == lease_.position) return;
        page_id tail;
        if (!blocks.empty() && end_ % block_ != 0) {
            tail = blocks.back();
            store_.pages().share(tail);
        }
        store_.pages().release(lease_.pages);
        lease_.pages.clear();
        if (tail) {
            lease_.pages.push_back(tail);
            lease_.first_block = end_ / block_;
        }
    }

    void note_what_came() noexcept {
        lease_.offered = std::max(lease_.offered, static_cast<std::uint32_t>(tokens_.size()));
        std::vector<token_count>& all = lease_.captured_in_prompt;
        for (captured_state const& c : brought_.checkpoints) {
            lease_.captured = static_cast<std::uint32_t>(c.position.value());
            auto const at = std::ranges::lower_bound(all, c.position);
            if (c.position <= lease_.prompt && (at == all.end() || *at != c.position))
                all.insert(at, c.position); // there is room
        }
    }
};

} // namespace marconi::cache
