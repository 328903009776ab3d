#pragma once

#include <marconi/cache/plan.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/arena.hpp>
#include <marconi/policy/facts.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

namespace marconi::cache {

using lease_id = identifier<struct lease_id_kind>;

/// What the cache keeps of a lease.
struct lease_record {
    scope in;
    std::uint64_t request = 0;  ///< its number: the cache's first is 1
    node_id node;               ///< whose KV it pins, if kv_pinned; ends at `position`
    std::uint32_t position = 0; ///< tokens published on its path: where it stands
    std::uint32_t offered = 0;  ///< tokens of its longest commit, published or declined
    std::uint32_t captured = 0; ///< position of the last state that a commit brought
    float weight = 1;           ///< of the request
    bool kv_pinned = false;
    std::uint64_t let_go_hash = 0; ///< without kv_pinned: a hash of those before `position`
    bool in_place = false;         ///< it reserved pages, whose indices must not change
    node_id checkpoint_node;       ///< whose checkpoint it pins, if any

    token_count resume_at;
    bool by_own_state = false; ///< the engine has the state there
    token_count prompt;        ///< tokens of the match, those of an answer so far among them
    token_count answer_from;   ///< of the match
    token_count limit;         ///< of the match
    policy::capture_rule captures;
    /// Where commits have brought states, up to the prompt's end; ascending.
    std::vector<token_count> captured_in_prompt;

    /// Pages it owns a reference to, of blocks first_block and on: reserved ones, and the last,
    /// partly filled one of what it published.
    std::vector<page_id> pages;
    std::uint32_t first_block = 0;
    /// Pages that it replaced by a copy to go on in; tables handed out may still name them.
    std::vector<page_id> replaced;

    /// Of a commit under way: the node that it pins beside `node`, and the pages that it fills.
    node_id committing;
    std::vector<page_id> filling;

    /// Call when pages went: a lease with none left is as if it had not reserved.
    void forget_place_if_empty() {
        if (!pages.empty()) return;
        first_block = 0;
        in_place = false;
    }
    [[nodiscard]] std::uint32_t end_block() const {
        return first_block + static_cast<std::uint32_t>(pages.size());
    }
    [[nodiscard]] bool owns_block(std::uint32_t block) const {
        return block >= first_block && block < end_block();
    }
};

/// Makes room for `more`, and for many later ones, since a lease gets them one by one.
template <class T>
void reserve_more(std::vector<T>& list, std::size_t more) {
    if (list.capacity() - list.size() < more)
        list.reserve(std::max(list.size() + more, 2 * list.capacity()));
}

using lease_table = index::arena<lease_record, lease_id>;

/// Leases that outlive their cache would write through dead references: this ends the program.
inline void stop_if_leased(lease_table const& leases) noexcept {
    if (leases.size() == 0) return;
    std::fprintf(stderr,
                 "marconi: a prefix_cache was destroyed before its leases were released: %zu\n",
                 leases.size());
    std::abort();
}

/// While a commit copies with no lock held, no other call may change its lease.
[[nodiscard]] inline lease_record& idle(lease_record& lease) {
    if (lease.committing) throw contract_violation{"another thread is committing with this lease"};
    return lease;
}
/// To let go of its KV would free what the commit copies to: this ends the program.
inline void stop_if_committing(lease_record const& lease) noexcept {
    if (!lease.committing) return;
    std::fputs("marconi: a lease was released while another thread commits with it\n", stderr);
    std::abort();
}

/// A request's hold on the cache: what it resumes from cannot go while the lease lives. Move-only;
/// dropping it gives back everything but what was committed. It must not outlive its cache. What
/// acquire() decided (resume_at, capture_at, should_capture) may be asked for beside any call on
/// other leases; the rest are calls of the cache.
template <class Cache>
class basic_lease {
public:
    /// Holds nothing.
    basic_lease() = default;
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
    [[nodiscard]] token_count resume_at() const { return record().resume_at; }
    /// Tokens published so far on this request's path. Once the KV was let go they may be evicted:
    /// the next commit begins with what is still there, and this may be less after it.
    [[nodiscard]] token_count position() const {
        lease_record const& r = record();
        auto const use = cache_->threads_.reading("a lease's position");
        return token_count{r.position};
    }
    /// Positions within the prompt where the prefill is to copy the recurrent state, ascending. The
    /// tail is not among them, nor is what lies past the match's limit: ask should_capture().
    [[nodiscard]] std::span<token_count const> capture_at() const { return record().captures.at; }
    /// Whether to copy the recurrent state at `position`, in the prompt or past it; `last` says
    /// that no further token will be processed, so that this is the tail.
    [[nodiscard]] bool should_capture(token_count position, bool last = false) const {
        lease_record const& r = record();
        return position > r.resume_at && is_captured(r.captures, r.limit, position, last);
    }

    /// On a store with streams, says that the engine works on this lease's pages in place on
    /// `stream`: call it after taking a block table and before reading it there. The stream waits
    /// (on the device) for writes of these pages still in flight elsewhere; whoever gets the pages
    /// after this lease waits for the stream's work up to then. Streams named in restore (with no
    /// kv view) and reserve since the last commit or deduplicate need no call. `stream` must live
    /// as long as the lease. O(blocks).
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
    void let_go_kv() noexcept {
        if (cache_) cache_->let_go_kv(id_);
    }
    /// Lets everything go. Idempotent.
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
