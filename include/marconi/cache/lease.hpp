#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>

#include <span>
#include <utility>

namespace marconi::cache {

/// A request's hold on the cache: what it resumes from cannot go while the lease lives. Move-only;
/// dropping it gives back everything but what was committed. It must not outlive its cache. What
/// acquire() decided (resume_at, capture_at, should_capture) may be asked for beside any call on
/// other leases; the rest are calls of the cache.
template <class Cache>
class basic_lease {
public:
    /// Holds nothing.
    basic_lease() = default;
    basic_lease(basic_lease const&) = delete; // move it: what it pins has one owner
    basic_lease& operator=(basic_lease const&) = delete;
    basic_lease(basic_lease&& other) noexcept
        : cache_{std::exchange(other.cache_, nullptr)}, id_{other.id_}, record_{other.record_} {}
    basic_lease& operator=(basic_lease&& other) noexcept {
        if (this != &other) {
            release();
            cache_ = std::exchange(other.cache_, nullptr);
            id_ = other.id_;
            record_ = other.record_;
        }
        return *this;
    }
    ~basic_lease() { release(); }

    /// False if the plan had gone stale (match again), or after release().
    [[nodiscard]] explicit operator bool() const { return cache_ != nullptr; }
    /// The opposite: of a lease just acquired, that its plan had gone stale.
    [[nodiscard]] bool stale() const { return cache_ == nullptr; }

    /// Position to start the prefill at; 0 to process everything.
    [[nodiscard]] token_count resume_at() const { return record().granted.resume_at(); }
    /// Tokens published so far on this request's path. Once the KV was let go they may be evicted:
    /// the next commit begins with what is still there, and this may be less after it.
    [[nodiscard]] token_count position() const {
        lease_record const& r = record();
        auto const use = cache_->threads_.reading("a lease's position");
        return token_count{r.position};
    }
    /// Positions within the prompt where the prefill is to copy the recurrent state, ascending. The
    /// tail is not among them, nor is what lies past the match's limit: ask should_capture().
    [[nodiscard]] std::span<token_count const> capture_at() const {
        return record().granted.captures.at;
    }
    /// Whether to copy the recurrent state at `position`, in the prompt or past it; `last` says
    /// that no further token will be processed, so that this is the tail.
    [[nodiscard]] bool should_capture(token_count position, bool last = false) const {
        lease_record const& r = record();
        return position > r.granted.resume_at() &&
               is_captured(r.granted.captures, r.match().limit, position, last);
    }

    /// On a store with streams, says that the engine works on this lease's pages in place on
    /// `stream`: call it after taking a block table and before reading it there. The stream waits
    /// (on the device) for writes of these pages still in flight elsewhere; whoever gets the pages
    /// after this lease waits for the stream's work up to then. Streams named in restore (with no
    /// kv view) and reserve since the last commit, deduplicate or reserve on another stream need no
    /// call. `stream` must live as long as the lease; if this throws, it is not remembered.
    /// O(blocks).
    template <class Stream>
    void used_on(Stream const& stream) const {
        (void)record();
        cache_->used_on(id_, stream);
    }
    /// Lets the checkpoint go early: after restore(), if it will not be restored again. O(log N).
    void let_go_checkpoint() noexcept {
        if (cache_) cache_->let_go_checkpoint(id_);
    }
    /// Lets KV and reserved pages go early: for an engine that has copied them out and keeps all
    /// rows from token 0 on. A later commit walks from the root and stores again what is missing.
    /// O(log N), and O(pages) in place or on a store with streams. While another thread commits
    /// with the lease, this and release() end the program.
    void let_go_kv() noexcept {
        if (cache_) cache_->let_go_kv(id_);
    }
    /// Lets everything go. Idempotent. Costs as let_go_kv() does.
    void release() noexcept {
        if (Cache* cache = std::exchange(cache_, nullptr)) cache->release(id_);
    }

private:
    friend Cache;
    basic_lease(Cache& cache, lease_id id, lease_record const& record)
        : cache_{&cache}, id_{id}, record_{&record} {}
    [[nodiscard]] lease_record const& record() const {
        if (!cache_) throw contract_violation{"the lease is empty: stale, released or moved from"};
        return *record_;
    }

    Cache* cache_ = nullptr;
    lease_id id_;
    lease_record const* record_ = nullptr; ///< does not move
};

} // namespace marconi::cache
