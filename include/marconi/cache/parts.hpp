#pragma once

#include <marconi/cache/attendant.hpp>
#include <marconi/cache/entries.hpp>
#include <marconi/cache/evict.hpp>
#include <marconi/cache/holdings.hpp>
#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/lease_streams.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/cache/purge.hpp>
#include <marconi/cache/requests.hpp>
#include <marconi/cache/snapshot.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/hash.hpp>
#include <marconi/core/thread_check.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/concepts.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <utility>
#include <vector>

namespace marconi::cache {

/// What a prefix_cache is made of, and how to look at it.
template <memory::store Store, policy::admission_policy Admission, policy::eviction_policy Eviction,
          class Observer, token Token, class Attendant = no_attendant>
class parts {
public:
    using store_type = Store;
    using stream = typename Store::stream;
    using token_type = Token;
    using entries_type = entries<Store, Eviction, Observer, Token>;
    static_assert(attendant<Attendant, Token, entries_type, Admission>);

    /// The stream of a call that names none. On a store with streams, CUDA's or its own kind, every
    /// call must name one.
    [[nodiscard]] static constexpr stream
    unnamed() requires std::same_as<stream, memory::no_stream> {
        return {};
    }

    /// What has happened, and what is here. O(1).
    [[nodiscard]] counters const& stats() const {
        auto const use = threads_.reading("stats");
        return entries_.counts();
    }
    [[nodiscard]] occupancy holds() const {
        auto const use = threads_.reading("holds");
        return count_holdings(entries_, leases_.size(), peak_pages_);
    }
    /// What is here of one scope: of a tenant, say. O(its nodes and pages), and a bit for each page
    /// of the cache.
    [[nodiscard]] scope_occupancy holds(scope const& in) const {
        auto const use = threads_.reading("holds");
        return count_scope(entries_, in);
    }
    /// The scopes of which anything is here, in ascending order. O(scopes * log scopes).
    [[nodiscard]] std::vector<scope> scopes() const {
        auto const use = threads_.reading("scopes");
        return list_scopes(entries_);
    }
    /// Bytes that a reserve or a commit could have now: free ones, and those that no lease holds.
    /// Exact if it is less than `wanted`, else a lower bound. Counts even what a policy keeps for
    /// good, by an infinite score. Evicts nothing. O(1); where free pages and those that the
    /// candidates would free are fewer than wanted, O(leases * depth + pages held), and a bit a
    /// page.
    ///
    /// With a match: as if its request were open already, and had let its checkpoint go. That is
    /// what is left for it, to decide whether to admit it. Throws contract_violation for a match by
    /// another cache.
    [[nodiscard]] byte_count obtainable(byte_count wanted, match_result const& request = {}) const {
        auto const use = threads_.reading("obtainable");
        if (request.resumable != token_count{} && request.cache != identity_)
            throw contract_violation{"obtainable: the match was not made by this cache"};
        byte_count const page = store().layout().page_bytes();
        std::uint64_t const pages = divide_up(wanted.value(), page.value());
        return page * obtainable_pages(entries_, leases_, pages, pinned_by(entries_, request));
    }

    /// Evicts in the policy's order until this many bytes are freed, or nothing more may go.
    /// Returns how many are. O(log N) a victim. Plans for what goes are stale then.
    byte_count evict(byte_count bytes) {
        auto const use = threads_.writing("evict");
        return evict_bytes(entries_, bytes);
    }

    /// Evicts of one scope, of which a tenant has more than a share, say, what was used longest
    /// ago, until this many bytes are freed, or nothing more may go; also what a policy keeps for
    /// good. An entry into which others have merged is as old as its end. Returns the bytes freed.
    /// O(its nodes), and for each that goes O(log N) and the nodes down to the next states.
    byte_count evict(scope const& in, byte_count bytes) {
        auto const use = threads_.writing("evict");
        return evict_oldest(entries_, in, bytes);
    }

    /// The time: one tick for each acquire and each commit so far.
    [[nodiscard]] tick now() const {
        auto const use = threads_.reading("now");
        return entries_.now();
    }
    /// Forgets what no request that is counted has resumed from or committed after `since`, a time
    /// that now() told, except what leases hold and what leads to entries used later; also what a
    /// policy keeps for good. (Entries that have merged are as old as their end.) An engine that
    /// notes now() once a minute can so keep nothing unused for longer than an hour. Returns the
    /// bytes freed. O(nodes). What a cache learns from keeps tokens until clear().
    byte_count forget_unused(tick since) {
        auto const use = threads_.writing("forget_unused");
        return cache::forget_unused(entries_, since);
    }

    /// Evicts all of a scope except what leases hold, and checkpoints where leases' paths part.
    /// O(its nodes), in memory, too: if there is none, nothing has happened.
    void clear(scope const& in) {
        auto const use = threads_.writing("clear");
        evict_scope(entries_, in);
        attendant_.cleared(in);
    }
    /// The same for all scopes.
    void clear() {
        auto const use = threads_.writing("clear");
        evict_all_scopes(entries_);
        attendant_.cleared();
    }

    /// Forgets what is here past the first `from` tokens of a sequence, whatever it goes on with
    /// after token `from`: KV that turned out to be wrong, say. (What a copy that failed should
    /// have written began at the start of a block.) From now on no match finds it, plans that would
    /// use it are stale, and others may commit the tokens anew. Leases that hold some of it go on
    /// with what they have, which goes with the last one; states that they bring there are
    /// declined, and deduplicate() gives nothing back. (One that has let go of its KV brings all of
    /// its rows again.) Observers are told that it was removed. Returns what came free at once.
    /// O(tokens + nodes forgotten). Throws invalid_argument unless `from` is less than the tokens.
    byte_count forget(scope const& in, std::span<Token const> tokens, token_count from) {
        auto const use = threads_.writing("forget");
        return forget_past(entries_, in, tokens, from);
    }

    /// As clear(), and nobody finds what leases hold of the scope, either. (Those that hold nothing
    /// yet may still publish.) Returns what came free at once. O(its nodes), in memory, too.
    byte_count forget(scope const& in) {
        auto const use = threads_.writing("forget");
        byte_count const freed = forget_scope(entries_, in);
        attendant_.cleared(in);
        return freed;
    }

    /// Tells a listener, which may be any observer, of all that is here, as if it were published
    /// now: for a router that comes late, or has lost an event and forgets what it knew. Returns
    /// the number of the event that comes next; all events told here have that number, too. O(nodes
    /// + tokens that the listener copies).
    template <class Listener>
    std::uint64_t snapshot(Listener&& listener) const {
        auto const use = threads_.reading("snapshot");
        tell_all<entries_type, Token>(entries_, entries_.events(), listener);
        return entries_.events();
    }

    /// The policies in use. Changing their parameters takes effect at the next victim and the next
    /// plan; an eviction policy's index of candidates must be left alone.
    [[nodiscard]] Eviction& eviction() { return entries_.eviction(); }
    [[nodiscard]] Eviction const& eviction() const { return entries_.eviction(); }
    [[nodiscard]] Admission& admission() { return admission_; }
    [[nodiscard]] Admission const& admission() const { return admission_; }
    [[nodiscard]] cache_options const& options() const { return options_; }
    [[nodiscard]] Observer& observer() { return entries_.observer(); }
    [[nodiscard]] Observer const& observer() const { return entries_.observer(); }
    [[nodiscard]] Store const& store() const { return entries_.store(); }

    /// For the audit, and for programs that look inside; no promise of stability.
    [[nodiscard]] entries_type const& internals() const { return entries_; }
    [[nodiscard]] lease_table const& leases() const { return leases_; }

protected:
    /// `attend(store)` makes the attendant.
    template <class Attend = no_attendant::maker>
    parts(Store store, cache_options options, Admission admission, Eviction eviction,
          Observer observer, Attend const& attend = {})
        : options_{options},
          admission_{std::move(admission)},
          entries_{std::move(store), std::move(eviction), std::move(observer)},
          attendant_(attend(std::as_const(entries_).store())) {
        MARCONI_EXPECT(options.checkpoint_grid >= token_count{1}, "checkpoint_grid",
                       options.checkpoint_grid.value(), "at least 1");
        MARCONI_EXPECT(entries_.eviction().size() == 0, "eviction.size()",
                       entries_.eviction().size(), "0: a policy of its own, not another cache's");
        MARCONI_EXPECT(entries_.store().pages().used() == 0, "store.pages().used()",
                       entries_.store().pages().used(), "0: a store of its own");
    }
    parts(parts const&) = delete;
    parts& operator=(parts const&) = delete;
    ~parts() = default;

    /// For a cache that sees another one's requests, at that one's time. The clock may go back by
    /// the ticks that the next calls take.
    void set_clock(tick now) { entries_.set_clock(now); }

    void note_peak() { peak_pages_ = std::max(peak_pages_, entries_.store().pages().used()); }

    cache_options options_;
    MARCONI_NO_UNIQUE_ADDRESS Admission admission_;
    entries_type entries_;
    Attendant attendant_;
    lease_table leases_;
    MARCONI_NO_UNIQUE_ADDRESS mutable lease_streams<Store> streams_; ///< restore() notes its own
    thread_check threads_;
    /// Tells a cache from one that was destroyed at the same address: a plan may outlive its cache.
    std::uint64_t identity_ = random_seed();

private:
    std::uint64_t peak_pages_ = 0;
};

} // namespace marconi::cache
