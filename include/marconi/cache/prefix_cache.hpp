#pragma once

#include <marconi/cache/commit.hpp>
#include <marconi/cache/entries.hpp>
#include <marconi/cache/in_place.hpp>
#include <marconi/cache/lease.hpp>
#include <marconi/cache/lease_streams.hpp>
#include <marconi/cache/observer.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/cache/purge.hpp>
#include <marconi/cache/requests.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/gdsf.hpp>

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
/// One thread at a time may call anything; match() and the other const functions may run beside
/// each other, but not beside a call that is not const. The cache does not move, and destroying it
/// under live leases ends the program with a message.
template <memory::store Store, policy::admission_policy Admission = policy::branch_and_tail,
          policy::eviction_policy Eviction = policy::gdsf, class Observer = no_observer,
          token Token = std::int32_t>
    requires observer<Observer, Token>
class prefix_cache {
public:
    using lease = basic_lease<prefix_cache>;
    using stream = typename Store::stream;
    using token_type = Token;
    using entries_type = entries<Store, Eviction, Observer, Token>;

    /// Throws invalid_argument for options out of range.
    explicit prefix_cache(Store store, cache_options options = {},
                          Admission admission = Admission{}, Eviction eviction = Eviction{},
                          Observer observer = Observer{})
        : options_{options},
          admission_{std::move(admission)},
          entries_{std::move(store), std::move(eviction), std::move(observer)} {
        MARCONI_EXPECT(options.checkpoint_grid >= token_count{1}, "checkpoint_grid",
                       options.checkpoint_grid.value(), "at least 1");
    }
    prefix_cache(prefix_cache const&) = delete;
    prefix_cache& operator=(prefix_cache const&) = delete;
    ~prefix_cache() { stop_if_leased(leases_); }

    /// How much of a prompt is here. Changes nothing: no split, no recency, no allocation.
    /// O(tokens + depth). Throws invalid_argument if the limit is more than the prompt has.
    [[nodiscard]] match_result match(scope const& in, std::span<Token const> prompt,
                                     match_options options = {}) const {
        return find_match(entries_, in, prompt, options, this);
    }

    /// Decides where the engine is to capture the recurrent state, before it prefills.
    [[nodiscard]] request_plan plan(match_result const& match) const {
        return {match, decide_captures(entries_, admission_, options_, match)};
    }

    /// Pins what the plan reuses and refreshes it. Where it went since the match, the lease comes
    /// back empty: match again. (What was published since is not seen: match right before.) O(log
    /// N). Throws contract_violation for another cache's plan.
    [[nodiscard]] lease acquire(request_plan const& plan) {
        if (plan.match.cache != this)
            throw contract_violation{"acquire: the plan was made by another cache"};
        entries_.advance_clock();
        if (!still_there(entries_, plan.match)) {
            ++entries_.counts().stale;
            return {};
        }
        leases_.reserve(1);
        streams_.reserve(leases_.slots() + std::size_t{1});
        lease_record opened = open_lease(entries_, plan);
        lease_id const id = leases_.allocate();
        leases_[id] = std::move(opened);
        count_request(entries_, plan.match);
        return lease{*this, id};
    }

    /// Copies the KV of tokens [0, resume_at) and the checkpoint there into the engine's memory, in
    /// one launch on the stream. An engine that reads KV in place gives an empty kv view: only the
    /// checkpoint is copied, as it must be, since the model overwrites it. Throws invalid_argument
    /// if a view does not fit, contract_violation if the lease has let go of what is asked for.
    void restore(lease const& held, memory::kv_view kv, memory::state_view state,
                 stream const& on = {}) const {
        lease_record const& r = record(held);
        streams_.note_restore(entries_, r, held.id_, kv, on);
        restore_lease(entries_, r, kv, state, on);
    }

    /// The page of every block that the lease can read, and those it reserved: entry i holds tokens
    /// [i * block_tokens, ...). Pages named stay valid until the KV is let go, and entries as they
    /// are, but for a partly filled last block that the lease did not reserve: a reserve() or
    /// commit that goes on inside it puts another page in its place. O(depth + blocks).
    [[nodiscard]] std::vector<page_id> block_table(lease const& held) const {
        return cache::block_table(entries_, record(held));
    }

    /// Adds writable pages for the first `tokens` tokens of the sequence, evicting if need be; how
    /// many of these have pages is returned, fewer where there is no room. Take the block table
    /// again, write KV from the lease's position on, and commit with an empty kv view: that says
    /// that the KV of every token committed is in its page.
    token_count reserve(lease const& held, token_count tokens, stream const& on = {}) {
        lease_record& r = record_of(held);
        MARCONI_EXPECT(tokens.value() >= r.position && tokens.value() < (1ull << 31), "tokens",
                       tokens.value(), "the lease's position or more, less than 2^31");
        if (!r.kv_pinned && r.position != 0)
            throw contract_violation{"reserve: the lease has let go of its KV"};
        streams_.note_reader(entries_, r, held.id_, on);
        token_count const covered{
            reserve_pages(entries_, leases_, r, static_cast<std::uint32_t>(tokens.value()), on)};
        note_peak();
        return covered;
    }

    /// Publishes what is new of the whole sequence so far: its KV, and the checkpoints captured
    /// from the lease's position on. From then on the lease pins the KV of what it committed, not
    /// the checkpoints. May be called several times in a request's life. Lack of room is no error:
    /// the outcome says what was stored and what not. Throws invalid_argument or contract_violation
    /// if the arguments contradict the lease; then, as when memory or a copy fails, the cache is as
    /// it was, but for victims already evicted. O(new tokens + depth), and O(log N) a victim.
    commit_outcome commit(lease const& held, std::span<Token const> tokens,
                          computed const& brought = {}, stream const& on = {}) {
        entries_.advance_clock();
        lease_record& r = record_of(held);
        streams_.note(held.id_, on);
        commit_operation<entries_type, Token> operation{entries_, leases_, r, tokens, brought};
        commit_outcome const outcome = operation.run(on);
        count_commit(entries_, outcome);
        note_peak();
        return outcome;
    }

    /// Evicts in the policy's order until `bytes` are freed or nothing more may go. The bytes
    /// freed.
    byte_count evict(byte_count bytes) { return evict_bytes(entries_, bytes); }

    /// Evicts all of a scope that no lease holds: a tenant that left, a revision that was replaced.
    void clear(scope const& in) { evict_scope(entries_, in); }
    /// Evicts all that no lease holds.
    void clear() { evict_all_scopes(entries_); }

    /// What has happened, and what is here. O(1).
    [[nodiscard]] counters const& stats() const { return entries_.counts(); }
    [[nodiscard]] occupancy holds() const {
        return count_holdings(entries_, leases_.size(), peak_pages_);
    }

    /// The policies in use. Changing an eviction policy's parameters takes effect at the next
    /// victim; its index of candidates must be left alone.
    [[nodiscard]] Eviction& eviction() { return entries_.eviction(); }
    [[nodiscard]] Eviction const& eviction() const { return entries_.eviction(); }
    [[nodiscard]] Admission const& admission() const { return admission_; }
    [[nodiscard]] cache_options const& options() const { return options_; }
    [[nodiscard]] Observer& observer() { return entries_.observer(); }
    [[nodiscard]] Observer const& observer() const { return entries_.observer(); }
    [[nodiscard]] Store const& store() const { return entries_.store(); }

    /// For the audit, and for programs that look inside; no promise of stability.
    [[nodiscard]] entries_type const& internals() const { return entries_; }
    [[nodiscard]] lease_table const& leases() const { return leases_; }

protected:
    friend lease;

    [[nodiscard]] lease_record const& record(lease const& l) const {
        if (l.cache_ != this)
            throw contract_violation{l ? "the lease is of another cache"
                                       : "the lease is empty: stale, released or moved from"};
        return leases_[l.id_];
    }

private:
    [[nodiscard]] lease_record& record_of(lease const& l) {
        return const_cast<lease_record&>(record(l));
    }

    void let_go_checkpoint(lease_id id) noexcept { close_checkpoint(entries_, leases_[id]); }
    void let_go_kv(lease_id id) noexcept {
        streams_.let_go(entries_, leases_[id], id);
        close_kv(entries_, leases_[id]);
    }
    void release(lease_id id) noexcept {
        close_checkpoint(entries_, leases_[id]);
        let_go_kv(id);
        streams_.close(id);
        leases_[id] = {};
        leases_.release(id);
    }

    void used_on(lease_id id, stream const& on) {
        streams_.note_reader(entries_, leases_[id], id, on);
    }

    void note_peak() { peak_pages_ = std::max(peak_pages_, entries_.store().pages().used()); }

    cache_options options_;
    MARCONI_NO_UNIQUE_ADDRESS Admission admission_;
    entries_type entries_;
    lease_table leases_;
    MARCONI_NO_UNIQUE_ADDRESS mutable lease_streams<Store> streams_; ///< restore() notes its own
    std::uint64_t peak_pages_ = 0;
};

} // namespace marconi::cache
