#pragma once

#include <marconi/cache/commit.hpp>
#include <marconi/cache/in_place.hpp>
#include <marconi/cache/lease.hpp>
#include <marconi/cache/observer.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/parts.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/cache/release.hpp>
#include <marconi/cache/requests.hpp>
#include <marconi/cache/restoration.hpp>
#include <marconi/cache/unlocked.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/gdsf.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace marconi::cache {

/// A prefix cache for models whose layers are attention, recurrent, or both.
///
///     match ──► plan ──► acquire ──► restore ──►  prefill + decode  ──► commit ──► release
///     const     value    lease       copies        (the engine's)        publish    unpin
///
/// One thread at a time may call anything (but what a lease was given). match() and the other const
/// functions may run beside each other, but nothing beside a call that is not const (or, with
/// streams, restore() and used_on()): debug builds end the program if calls do. concurrent_cache
/// takes calls from any thread; for copies outside a lock of your own see unlocked.hpp. It must
/// outlive its leases, or the program ends. stats(), evict() and more: parts.hpp.
template <memory::store Store, policy::admission_policy Admission = policy::branch_and_tail,
          policy::eviction_policy Eviction = policy::gdsf, class Observer = no_observer,
          token Token = std::int32_t, class Attendant = no_attendant>
    requires observer<Observer, Token>
class prefix_cache : public parts<Store, Admission, Eviction, Observer, Token, Attendant> {
    using base = parts<Store, Admission, Eviction, Observer, Token, Attendant>;
    using base::admission_, base::entries_, base::identity_, base::leases_, base::options_,
        base::streams_;

public:
    using lease = basic_lease<prefix_cache>;
    using typename base::entries_type, typename base::stream;

    /// Throws invalid_argument for options out of range, and for a store or a policy in use.
    explicit prefix_cache(Store store, cache_options options = {},
                          Admission admission = Admission{}, Eviction eviction = Eviction{},
                          Observer observer = Observer{})
        : base{std::move(store), options, std::move(admission), std::move(eviction),
               std::move(observer)} {}
    prefix_cache(prefix_cache const&) = delete; // nor does it move: leases point to it
    ~prefix_cache() { stop_if_leased(leases_); }

    /// How much of a prompt is here. Changes nothing: no split, no recency, no allocation. O(tokens
    /// + depth). Throws invalid_argument for a size or an option out of range.
    [[nodiscard]] match_result match(scope const& in, std::span<Token const> prompt,
                                     match_options options = {}) const {
        auto const use = threads_.reading("match");
        return find_match(entries_, in, prompt, options, identity_);
    }

    /// Decides where the engine is to capture the recurrent state, before it prefills.
    /// O(positions), and what the admission policy takes; throws what that throws.
    [[nodiscard]] request_plan plan(match_result const& match) const {
        auto const use = threads_.reading("plan");
        return {match, decide_captures(entries_, admission_, options_, match)};
    }

    /// Pins and, if counted, refreshes what the plan reuses. If a call in between evicted or merged
    /// it, the lease is empty: match again. O(log N), times the depth if the policy refreshes_path.
    /// Throws contract_violation for a plan of another cache, invalid_argument for a weight.
    [[nodiscard]] lease acquire(request_plan const& plan) {
        auto const use = threads_.writing("acquire");
        check_plan(plan, identity_);
        if (!still_there(entries_, plan.match)) {
            note_stale(entries_, plan.match);
            return {};
        }
        leases_.reserve(1);
        streams_.reserve(leases_.slots() + std::size_t{1});
        lease_record opened = open_lease(entries_, plan);
        lease_id const id = leases_.allocate();
        leases_[id] = std::move(opened);
        count_request(entries_, plan.match);
        return lease{*this, id, leases_[id]};
    }
    /// match, plan and acquire as one: never stale.
    [[nodiscard]] lease open(scope const& in, std::span<Token const> prompt,
                             match_options options = {}) {
        return acquire(plan(match(in, prompt, options)));
    }

    /// Copies the KV of tokens [from, resume_at) and the checkpoint there to the engine, in one
    /// launch; `from` is for an engine that has rows already. With an empty kv view the checkpoint
    /// alone; with kv_view::only some layers (or all), and no checkpoint if `state` is empty.
    /// Throws invalid_argument if arguments do not fit, contract_violation for what was let go.
    void restore(lease const& held, memory::kv_view kv, memory::state_view state,
                 stream const& on = base::unnamed(), token_count from = {}) const {
        auto const use = threads_.calling("restore", memory::ordered_store<Store>);
        streams_.note_restore(entries_, record(held), held.id_, kv, on);
        restoration{entries_, record(held), from, kv, state}.copy(this->store(), on);
    }
    /// restore() in two steps, so that other calls may come beside the copy: see unlocked.hpp.
    [[nodiscard]] restoration
    prepare_restore(lease const& held, memory::kv_view kv, memory::state_view state,
                    token_count from = {}) const requires copies_unlocked<Store> {
        auto const use = threads_.reading("prepare_restore");
        return {entries_, record(held), from, kv, state};
    }

    /// The page of every block that the lease can read or has reserved, from block `first` on.
    /// Pages of blocks that end by the lease's position stay as they are until KV is let go or
    /// deduplicated, others until the next reserve, unreserve or commit. O(blocks).
    [[nodiscard]] std::vector<page_id> block_table(lease const& held, std::size_t first = 0) const {
        auto const use = threads_.reading("block_table");
        return cache::block_table(entries_, record(held), first);
    }

    /// Adds writable pages for the first `tokens` tokens of the sequence, evicting if need be.
    /// Returns how many of these have pages: fewer, and nothing evicted unless a policy keeps
    /// something for good, where new pages are needed and there is no room for all, or obtainable()
    /// would not be `spare` then (for states to preempt with, say). Take the block table again,
    /// write KV from the lease's position on, and commit with an empty kv view: all tokens
    /// committed are taken to be in the pages.
    /// O(new pages), and room as for commit(). Throws invalid_argument outside [position, 2^31),
    /// contract_violation after let_go_kv().
    token_count reserve(lease const& held, token_count tokens, stream const& on = base::unnamed(),
                        byte_count spare = {}) {
        auto const use = threads_.writing("reserve");
        lease_record& r = record_of(held);
        std::uint32_t const until = check_reserve(r, tokens);
        streams_.note_reserve(entries_, r, held.id_, on);
        token_count const covered{reserve_pages(entries_, leases_, r, until, spare, on)};
        this->note_peak();
        return covered;
    }

    /// Gives back the reserved pages past the first `tokens` tokens and the lease's position: those
    /// of a reserve that fell short, or of drafts that were rejected. O(pages given back).
    void unreserve(lease const& held, token_count tokens) {
        auto const use = threads_.writing("unreserve");
        lease_record& r = record_of(held);
        std::uint32_t const kept = blocks_kept(entries_, r, tokens);
        streams_.let_go(entries_, r, held.id_, kept);
        unreserve_pages(entries_, r, kept);
    }

    /// Gives back the lease's own pages of whole blocks that others published first. Returns how
    /// much came free. When no kernel reads the old block table, take it again from its start: it
    /// names the others' pages (with streams, call used_on). O(nodes and pages from its own on).
    byte_count deduplicate(lease const& held) {
        auto const use = threads_.writing("deduplicate");
        return drop_whole_blocks(entries_, streams_, record_of(held), held.id_);
    }

    /// Publishes what is new of the whole sequence so far: its KV, and the checkpoints captured
    /// from the lease's position on, as often as one likes. The lease then pins the KV of what it
    /// committed, not the checkpoints. Lack of room is no error: the outcome tells. Throws
    /// invalid_argument or contract_violation if the arguments contradict the lease (the last 64
    /// tokens before it are compared). Then, and if a copy throws, only the clock has changed,
    /// victims have gone, and an edge may have been split and merged again. O(new tokens + depth),
    /// O(log N) a victim, O(depth + pages held) a lease if room is short.
    template <unlocking<Store> Unlocked = copy_at_once>
    commit_outcome commit(lease const& held, std::span<Token const> tokens,
                          computed const& brought = {}, stream const& on = base::unnamed(),
                          Unlocked const& unlocked = {}) {
        auto use = threads_.writing("commit");
        lease_record& r = record_of(held);
        streams_.note_commit(entries_, r, held.id_, on);
        commit_operation<entries_type, Token> work{entries_, leases_, r, tokens, brought};
        auto const shown = attendant_.before_commit(r, tokens, brought, entries_);
        auto const outcome = work.run(on, outside(use, unlocked, [this] { this->note_peak(); }));
        count_commit(entries_, outcome);
        this->note_peak();
        attendant_.after_commit(shown, r, tokens, entries_, admission_);
        return outcome;
    }

protected:
    friend lease;
    using base::attendant_, base::threads_;
    using base::base;
    [[nodiscard]] lease_record const& record(lease const& l) const {
        if (l && l.cache_ != this) throw contract_violation{"the lease is of another cache"};
        return l.record();
    }

private:
    lease_record& record_of(lease const& l) { return idle(const_cast<lease_record&>(record(l))); }

    void let_go_checkpoint(lease_id id) noexcept {
        auto const use = threads_.writing("let_go_checkpoint");
        close_checkpoint(entries_, leases_[id]);
    }
    void let_go_kv(lease_id id) noexcept {
        auto const use = threads_.writing("let_go_kv");
        note_tokens(entries_, leases_[id]);
        close_kv(entries_, streams_, leases_[id], id);
    }
    void release(lease_id id) noexcept {
        auto const use = threads_.writing("the release of a lease");
        close_lease(entries_, streams_, leases_[id], id);
        leases_[id] = {};
        leases_.release(id);
    }
    void used_on(lease_id id, stream const& on) {
        auto const use = threads_.writing("used_on");
        streams_.note_reader(entries_, leases_[id], id, on);
    }
};

} // namespace marconi::cache
