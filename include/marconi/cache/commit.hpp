#pragma once

#include <marconi/cache/commit_arrivals.hpp>
#include <marconi/cache/commit_checks.hpp>
#include <marconi/cache/commit_copy.hpp>
#include <marconi/cache/commit_place.hpp>
#include <marconi/cache/commit_size.hpp>
#include <marconi/cache/commit_work.hpp>
#include <marconi/cache/lease.hpp>
#include <marconi/cache/loans.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/unlocked.hpp>
#include <marconi/core/types.hpp>

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
class commit_operation {
    using work_type = commit_work<Entries, Token>;
    using store_type = typename work_type::store_type;
    using stream_type = typename store_type::stream;

public:
    commit_operation(Entries& entries, lease_table const& leases, lease_record& lease,
                     std::span<Token const> tokens, computed const& brought)
        : w_{entries, leases, lease, tokens, brought} {}
    commit_operation(commit_operation const&) = delete;
    commit_operation& operator=(commit_operation const&) = delete;

    template <class Unlocked>
    commit_outcome run(stream_type const& stream, Unlocked const& unlocked) {
        check_commit(w_.entries, w_.lease, w_.tokens, w_.brought);
        w_.entries.advance_clock();
        path_pin<Entries> pin{w_.entries, w_.lease, w_.follow(w_.start(), w_.tokens)};
        check_views(w_.store, copy_.first_read(), token_count{w_.tokens.size()}, w_.brought);
        w_.part_from_others(pin);
        size_.choose_end();

        std::uint64_t const state_pages = w_.arrivals.pages();
        page_loan loan{w_.store.pages(), w_.lease.filling, state_pages + w_.fresh_blocks(w_.end)};
        std::span<page_id const> const fresh{w_.lease.filling};
        std::span<page_id const> const states = fresh.first(state_pages);
        std::span<page_id const> blocks = place_.block_pages(fresh.subspan(state_pages));
        if constexpr (!lets_others_in<Unlocked>) {
            copy_.save(blocks, states, stream);
        } else if (copy_.any(blocks)) {
            unlocked([&] { copy_.save(blocks, states, stream); });
            std::uint32_t const first_block = w_.known / w_.block;
            follow_others(pin, states);
            blocks = place_.without_known(first_block, blocks);
        }
        publish(blocks, states);
        loan.keep(); // the nodes own them now
        w_.store.pages().release(w_.surplus);
        advance_lease(blocks);
        note_what_came();
        return w_.outcome;
    }

private:
    /// Other calls came in between and may have published more of the sequence: follows it to where
    /// it is not stored. Pages of `states` for what is stored by now become surplus. A lease that
    /// reserved pages, which its block table names, stops where it has filled them.
    void follow_others(path_pin<Entries>& pin, std::span<page_id const> states) {
        pin.move_to(w_.follow({w_.attachment, w_.known},
                              w_.lease.in_place ? w_.tokens.first(w_.end) : w_.tokens));
        w_.part_from_others(pin);
        w_.arrivals.drop_stored(w_.attachment, w_.known, states, w_.surplus);
        size_.end_no_earlier_than_known();
    }

    void publish(std::span<page_id const> blocks, std::span<page_id const> states) {
        w_.lease.pages.reserve(1);
        reserve_more(w_.lease.replaced, 1);
        reserve_more(w_.lease.captured_in_prompt, w_.brought.checkpoints.size());
        auto const edge = place_.place_tokens(blocks);
        // Nothing from here on can fail.
        place_.publish_kv(edge, blocks);
        // From the last to the first: one climb along the path passes all their nodes, and each
        // checkpoint tells only the nodes down to the next one of its presence.
        node_id below = w_.attachment;
        auto const taken = w_.arrivals.taken();
        for (auto a = taken.rbegin(); a != taken.rend(); ++a)
            below = publish_checkpoint(below, *a, states);
        touch_known();
    }

    node_id publish_checkpoint(node_id below, arrival const& a,
                               std::span<page_id const> states) noexcept {
        node_id id = w_.tree.holding(below, a.position);
        if (w_.tree[id].depth != a.position) id = w_.entries.split(id, a.position);
        bool const in_answer = a.position > w_.lease.answer_from.value();
        w_.entries.attach_checkpoint(id, a.own(states), in_answer, w_.lease.in);
        ++w_.outcome.stored_checkpoints;
        return id;
    }

    /// KV that was there already and got a checkpoint has found a second use. Counted once for each
    /// node, after the last split: a split would copy the use to both halves.
    void touch_known() noexcept {
        node_id below = w_.attachment;
        auto const taken = w_.arrivals.taken();
        for (auto a = taken.rbegin(); a != taken.rend(); ++a) {
            if (a->position > w_.known) continue;
            w_.entries.touch(below = w_.tree.holding(below, a->position), w_.lease.weight);
            if (Entries::refreshes_path) return; // that was the whole path
        }
    }

    /// Moves the lease on to the end of what is stored.
    void advance_lease(std::span<page_id const> blocks) noexcept {
        keep_tail_block(blocks);
        node_id const old = std::exchange(w_.lease.node, w_.attachment);
        bool const was_pinned = std::exchange(w_.lease.kv_pinned, true);
        w_.entries.pin_kv(w_.lease.node);
        auto const taken = w_.arrivals.taken();
        bool const touched = !taken.empty() && taken.back().position == w_.end;
        if (w_.end == w_.known && w_.end > w_.lease.position && !touched)
            w_.entries.touch(w_.lease.node, w_.lease.weight);
        if (was_pinned) w_.entries.unpin_kv(old);
        if (w_.end > w_.lease.position && w_.lease.checkpoint_node)
            w_.entries.unpin_checkpoint(std::exchange(w_.lease.checkpoint_node, {}));
        w_.lease.position = w_.end;
        w_.outcome.position = token_count{w_.end};
    }

    /// A copying lease goes on in the unfilled slots of its last block, so that of its pages it
    /// keeps only that block's. A lease that works in place keeps all its pages.
    void keep_tail_block(std::span<page_id const> blocks) noexcept {
        if (w_.lease.in_place || w_.end == w_.lease.position) return;
        page_id tail;
        if (!blocks.empty() && w_.end % w_.block != 0) {
            tail = blocks.back();
            w_.store.pages().share(tail);
        }
        w_.store.pages().release(w_.lease.pages);
        w_.lease.pages.clear();
        if (tail) {
            w_.lease.pages.push_back(tail);
            w_.lease.first_block = w_.end / w_.block;
        }
    }

    void note_what_came() noexcept {
        w_.lease.offered = std::max(w_.lease.offered, static_cast<std::uint32_t>(w_.tokens.size()));
        std::vector<token_count>& all = w_.lease.captured_in_prompt;
        for (captured_state const& c : w_.brought.checkpoints) {
            w_.lease.captured = static_cast<std::uint32_t>(c.position.value());
            auto const at = std::ranges::lower_bound(all, c.position);
            if (c.position <= w_.lease.prompt && (at == all.end() || *at != c.position))
                all.insert(at, c.position); // there is room
        }
    }

    work_type w_;
    commit_size<work_type> size_{w_};
    commit_place<work_type> place_{w_};
    commit_copy<work_type> copy_{w_};
};

} // namespace marconi::cache
