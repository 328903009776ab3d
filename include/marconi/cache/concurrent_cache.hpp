#pragma once

#include <marconi/cache/concurrent_lease.hpp>
#include <marconi/cache/fair_shared_mutex.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/cache/unlocked.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/views.hpp>

#include <mutex>
#include <shared_mutex>
#include <span>
#include <utility>
#include <vector>

namespace marconi::cache {

/// A prefix_cache, or one that tunes or learns, for any number of threads: its calls under a fair
/// shared mutex. Readers (match, plan, block_table, counters) run beside each other; what changes
/// the cache runs alone. Where memory::copies_beside_calls, as on the host, restore and commit copy
/// with no lock held. A lease is for one thread at a time: to drop it while another commits with it
/// ends the program, while another restores from it nobody notices. A large evict() lets others in
/// between its victims, while clear(), forget(), forget_unused() and evict() of a scope take as
/// long as they have nodes to look at.
///
/// Calls mean what they mean there. Between match and acquire another thread may evict what was
/// matched: then the lease is stale. open() does all three as one call: its lease never is. In
/// place, reserve() copies the whole block that a request resumes inside, as a commit with kv_from
/// may, though another may be writing later rows of it: none of those are used, but on a host_store
/// race detectors see it.
template <class Cache>
class concurrent_cache {
public:
    using cache_type = Cache;
    using stream = typename Cache::stream;
    using token_type = typename Cache::token_type;
    using lease = concurrent_lease<Cache>;

    /// Takes a store, cache_options, and what else the cache's constructor takes after them.
    template <class... More>
    explicit concurrent_cache(typename Cache::store_type store, cache_options options = {},
                              More&&... more)
        : cache_{std::move(store), options, std::forward<More>(more)...} {}

    [[nodiscard]] match_result match(scope const& in, std::span<token_type const> prompt,
                                     match_options options = {}) const {
        return beside_readers([&](Cache const& c) { return c.match(in, prompt, options); });
    }
    [[nodiscard]] request_plan plan(match_result const& match) const {
        return beside_readers([&](Cache const& c) { return c.plan(match); });
    }
    [[nodiscard]] lease acquire(request_plan const& plan) {
        std::unique_lock const held{mutex_};
        return {*this, cache_.acquire(plan)};
    }
    /// match, plan and acquire with no other call in between: never stale.
    [[nodiscard]] lease open(scope const& in, std::span<token_type const> prompt,
                             match_options options = {}) {
        std::unique_lock const held{mutex_};
        return {*this, cache_.open(in, prompt, options)};
    }

    void restore(lease const& l, memory::kv_view kv, memory::state_view state,
                 stream const& on = Cache::unnamed(), token_count from = {}) const {
        if constexpr (copies_unlocked<typename Cache::store_type>) {
            beside_readers([&](Cache const& c) {
                return c.prepare_restore(l.inner_, kv, state, from);
            }).copy(store(), on);
        } else {
            std::unique_lock const held{mutex_}; // an ordered store notes who waits for whom
            cache_.restore(l.inner_, kv, state, on, from);
        }
    }
    [[nodiscard]] std::vector<page_id> block_table(lease const& l, std::size_t first = 0) const {
        return beside_readers([&](Cache const& c) { return c.block_table(l.inner_, first); });
    }
    token_count reserve(lease const& l, token_count tokens, stream const& on = Cache::unnamed(),
                        byte_count spare = {}) {
        return alone([&](Cache& c) { return c.reserve(l.inner_, tokens, on, spare); });
    }
    void unreserve(lease const& l, token_count tokens) {
        alone([&](Cache& c) { c.unreserve(l.inner_, tokens); });
    }
    byte_count deduplicate(lease const& l) {
        return alone([&](Cache& c) { return c.deduplicate(l.inner_); });
    }
    commit_outcome commit(lease const& l, std::span<token_type const> tokens,
                          computed const& brought = {}, stream const& on = Cache::unnamed()) {
        std::unique_lock held{mutex_};
        if constexpr (copies_unlocked<typename Cache::store_type>)
            return cache_.commit(l.inner_, tokens, brought, on, without_lock{held});
        else
            return cache_.commit(l.inner_, tokens, brought, on);
    }

    byte_count evict(byte_count bytes) {
        byte_count freed;
        for (byte_count more{1}; freed < bytes && more != byte_count{}; freed += more)
            more = alone([](Cache& c) { return c.evict(byte_count{1}); });
        return freed;
    }
    byte_count evict(scope const& in, byte_count bytes) {
        return alone([&](Cache& c) { return c.evict(in, bytes); });
    }
    byte_count forget_unused(tick since) {
        return alone([&](Cache& c) { return c.forget_unused(since); });
    }
    void clear(scope const& in) {
        alone([&](Cache& c) { c.clear(in); });
    }
    void clear() {
        alone([](Cache& c) { c.clear(); });
    }
    byte_count forget(scope const& in, std::span<token_type const> tokens, token_count from) {
        return alone([&](Cache& c) { return c.forget(in, tokens, from); });
    }
    byte_count forget(scope const& in) {
        return alone([&](Cache& c) { return c.forget(in); });
    }

    [[nodiscard]] counters stats() const {
        return beside_readers([](Cache const& c) -> counters { return c.stats(); });
    }
    [[nodiscard]] tick now() const {
        return beside_readers([](Cache const& c) { return c.now(); });
    }
    [[nodiscard]] occupancy holds() const {
        return beside_readers([](Cache const& c) { return c.holds(); });
    }
    [[nodiscard]] scope_occupancy holds(scope const& in) const {
        return beside_readers([&](Cache const& c) { return c.holds(in); });
    }
    [[nodiscard]] std::vector<scope> scopes() const {
        return beside_readers([](Cache const& c) { return c.scopes(); });
    }
    [[nodiscard]] byte_count obtainable(byte_count wanted, match_result const& request = {}) const {
        return beside_readers([&](Cache const& c) { return c.obtainable(wanted, request); });
    }

    /// Its layout and its memory, which stay as they are; the rest of it is the cache's business.
    [[nodiscard]] auto const& store() const { return cache_.store(); }

    /// For everything else, such as audit(cache): calls work(cache) alone, or beside other readers.
    /// `work` must not use leases or calls of this class, which would deadlock.
    template <class Work>
    decltype(auto) alone(Work&& work) {
        std::unique_lock const held{mutex_};
        return std::forward<Work>(work)(cache_);
    }
    template <class Work>
    decltype(auto) beside_readers(Work&& work) const {
        std::shared_lock const held{mutex_};
        return std::forward<Work>(work)(cache_);
    }

private:
    friend lease;

    mutable fair_shared_mutex mutex_;
    Cache cache_;
};

/// concurrent_cache cache{store, options}: holds what prefix_cache{store, options} would be.
template <memory::store Store, class... More>
concurrent_cache(Store, cache_options = {}, More...) -> concurrent_cache<decltype(prefix_cache{
    std::declval<Store>(), cache_options{}, std::declval<More>()...})>;

} // namespace marconi::cache
