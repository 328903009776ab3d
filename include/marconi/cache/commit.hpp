#pragma once

#include <marconi/cache/commit_arrivals.hpp>
#include <marconi/cache/commit_checks.hpp>
#include <marconi/cache/commit_copy.hpp>
#include <marconi/cache/commit_place.hpp>
#include <marconi/cache/commit_size.hpp>
#include <marconi/cache/commit_work.hpp>
#include <marconi/cache/lease_record.hpp>
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
        : work_{entries, leases, lease, tokens, brought} {}
    commit_operation(commit_operation const&) = delete;
    commit_operation& operator=(commit_operation const&) = delete;

    template <class Unlocked>
    commit_outcome run(stream_type const& stream, Unlocked const& unlocked) {
        check_commit(work_.entries, work_.lease, work_.tokens, work_.brought);
        work_.entries.advance_clock();
        path_pin<Entries> pin{work_.entries, work_.lease,
                              work_.follow(work_.start(), work_.tokens)};
        check_views(work_.store, copy_.first_read(), token_count{work_.tokens.size()},
                    work_.brought);
        page_id const head = copy_.page_of_head();
        work_.part_from_others(pin);
        size_.choose_end();

        std::uint64_t const state_pages = work_.arrivals.pages();
        page_loan loan{work_.store.pages(), work_.lease.filling,
                       state_pages + work_.fresh_blocks(work_.end)};
        std::span<page_id const> const fresh{work_.lease.filling};
        std::span<page_id const> const states = fresh.first(state_pages);
        std::span<page_id const> blocks = place_.block_pages(fresh.subspan(state_pages));
        if constexpr (!lets_others_in<Unlocked>) {
            copy_.save(blocks, states, head, stream);
        } else if (copy_.any(blocks)) {
            unlocked([&] { copy_.save(blocks, states, head, stream); });
            std::uint32_t const first_block = work_.known / work_.block;
            follow_others(pin, states);
            blocks = place_.without_known(first_block, blocks);
        }
        publish(blocks, states);
        loan.keep(); // the nodes own them now
        work_.store.pages().release(work_.surplus);
        advance_lease(blocks);
        note_what_came();
        return work_.outcome;
    }

private:
    /// Other calls came in between and may have published more of the sequence: follows it to where
    /// it is not stored. Pages of `states` for what is stored by now become surplus. A lease that
    /// reserved pages, which its block table names, stops where it has filled them.
    void follow_others(path_pin<Entries>& pin, std::span<page_id const> states) {
        pin.move_to(
            work_.follow({work_.attachment, work_.known},
                         work_.lease.in_place ? work_.tokens.first(work_.end) : work_.tokens));
        work_.part_from_others(pin);
        work_.arrivals.drop_stored(work_.attachment, work_.known, states, work_.surplus);
        if (work_.is_forgotten()) work_.arrivals.decline_all(states, work_.surplus);
        size_.end_no_earlier_than_known();
    }

    void publish(std::span<page_id const> blocks, std::span<page_id const> states) {
        work_.lease.pages.reserve(1);
        reserve_more(work_.lease.replaced, 1);
        reserve_more(work_.lease.captured_in_prompt, work_.brought.checkpoints.size());
        auto const edge = place_.place_tokens(blocks);
        // Nothing from here on can fail.
        place_.publish_kv(edge, blocks);
        // From the last to the first: one climb along the path passes all their nodes, and each
        // checkpoint tells only the nodes down to the next one of its presence.
        node_id below = work_.attachment;
        auto const taken = work_.arrivals.taken();
        for (auto a = taken.rbegin(); a != taken.rend(); ++a)
            below = publish_checkpoint(below, *a, states);
        touch_known();
    }

    node_id publish_checkpoint(node_id below, arrival const& a,
                               std::span<page_id const> states) noexcept {
        node_id id = work_.tree.holding(below, a.position);
        if (work_.tree[id].depth != a.position) id = work_.entries.split(id, a.position);
        bool const in_answer = a.position > work_.lease.match().answer_from.value();
        work_.entries.attach_checkpoint(id, a.own(states), in_answer, work_.lease.match().in);
        ++work_.outcome.stored_checkpoints;
        return id;
    }

    /// KV that was there already and got a checkpoint has found a second use. Counted once for each
    /// node, after the last split: a split would copy the use to both halves. (The learner does not
    /// count it, so that the policy is one use ahead there: see tune/reuse_recorder.hpp.)
    void touch_known() noexcept {
        node_id below = work_.attachment;
        auto const taken = work_.arrivals.taken();
        for (auto a = taken.rbegin(); a != taken.rend(); ++a) {
            if (a->position > work_.known) continue;
            below = work_.tree.holding(below, a->position);
            work_.entries.touch(below, work_.lease.weight());
            if (Entries::refreshes_path) return; // that was the whole path
        }
    }

    /// Moves the lease on to the end of what is stored.
    void advance_lease(std::span<page_id const> blocks) noexcept {
        keep_tail_block(blocks);
        node_id const old = std::exchange(work_.lease.node, work_.attachment);
        bool const was_pinned = std::exchange(work_.lease.kv_pinned, true);
        work_.entries.pin_kv(work_.lease.node);
        auto const taken = work_.arrivals.taken();
        bool const touched = !taken.empty() && taken.back().position == work_.end;
        bool const counted = work_.lease.match().counted;
        if (work_.end == work_.known && work_.end > work_.lease.position && !touched && counted)
            work_.entries.touch(work_.lease.node, work_.lease.weight());
        if (was_pinned) work_.entries.unpin_kv(old);
        if (work_.end > work_.lease.position && work_.lease.checkpoint_node)
            work_.entries.unpin_checkpoint(std::exchange(work_.lease.checkpoint_node, {}));
        work_.lease.position = work_.end;
        work_.outcome.position = token_count{work_.end};
        work_.outcome.forgotten = work_.is_forgotten();
    }

    /// A copying lease goes on in the unfilled slots of its last block, so that of its pages it
    /// keeps only that block's. A lease that works in place keeps all its pages.
    void keep_tail_block(std::span<page_id const> blocks) noexcept {
        if (work_.lease.in_place || work_.end == work_.lease.position) return;
        page_id tail;
        if (!blocks.empty() && work_.end % work_.block != 0) {
            tail = blocks.back();
            work_.store.pages().share(tail);
        }
        work_.store.pages().release(work_.lease.pages);
        work_.lease.pages.clear();
        if (tail) {
            work_.lease.pages.push_back(tail);
            work_.lease.first_block = work_.end / work_.block;
        }
    }

    void note_what_came() noexcept {
        work_.lease.offered =
            std::max(work_.lease.offered, static_cast<std::uint32_t>(work_.tokens.size()));
        std::vector<token_count>& all = work_.lease.captured_in_prompt;
        for (captured_state const& c : work_.brought.checkpoints) {
            work_.lease.captured = static_cast<std::uint32_t>(c.position.value());
            auto const at = std::ranges::lower_bound(all, c.position);
            if (c.position <= work_.lease.match().tokens && (at == all.end() || *at != c.position))
                all.insert(at, c.position); // there is room
        }
    }

    work_type work_;
    commit_size<work_type> size_{work_};
    commit_place<work_type> place_{work_};
    commit_copy<work_type> copy_{work_};
};

} // namespace marconi::cache
