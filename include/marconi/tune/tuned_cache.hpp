#pragma once

#include <marconi/cache/observer.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/cache/unlocked.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/tune/alpha_search.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/request_log.hpp>
#include <marconi/tune/tuner.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace marconi::tune {

/// A prefix cache that chooses its eviction policy's alpha by itself, once, from the requests that
/// it sees; until then it evicts the least recently used. Calls, leases and threads as
/// prefix_cache's. Until the window closes a commit copies its new tokens once more; afterwards
/// nothing is left of the tuning but its report.
///
/// commit() and clear() hide prefix_cache's: call them on this class, not on a reference to its
/// base. Requests with overlapping lives are replayed one after the other, in the order of their
/// first commits; requests that are not counted, and explicit evict() and clear() within the
/// window, are not replayed.
template <memory::store Store, policy::admission_policy Admission = policy::branch_and_tail,
          tunable Eviction = policy::flop_aware, class Observer = cache::no_observer,
          token Token = std::int32_t>
class tuned_cache : public cache::prefix_cache<Store, Admission, Eviction, Observer, Token> {
    using base = cache::prefix_cache<Store, Admission, Eviction, Observer, Token>;

public:
    using typename base::lease;
    using typename base::stream;

    /// Whatever alpha the policy comes with, it starts at 0. Throws invalid_argument for options
    /// out of range.
    explicit tuned_cache(Store store, cache::cache_options options = {}, tuning_options tuning = {},
                         Admission admission = Admission{}, Eviction eviction = Eviction{},
                         Observer observer = Observer{})
        : base{std::move(store), options, admission, eviction, std::move(observer)},
          tuner_{tuning,
                 {ledger_like(this->store()), options, std::move(admission), std::move(eviction)}} {
        this->eviction().set_alpha(0);
    }

    /// As prefix_cache::commit. The first one after the replays are done adopts their result; with
    /// `deterministic`, the one that closes the window does.
    template <cache::unlocking<Store> Unlocked = cache::copy_at_once>
    cache::commit_outcome
    commit(lease const& held, std::span<Token const> tokens, cache::computed const& brought = {},
           stream const& on = base::unnamed(), Unlocked const& unlocked = {}) {
        auto const facts = before_commit(held, token_count{tokens.size()}, brought.checkpoints);
        cache::commit_outcome const outcome = base::commit(held, tokens, brought, on, unlocked);
        if (facts) after_commit(held, tokens, *facts);
        return outcome;
    }

    /// As prefix_cache::clear. Unlike evict(), it is no sign that room was wanted.
    void clear(scope const& in) {
        base::clear(in);
        auto const use = this->threads_.writing("clear");
        tuner_.cleared(in);
    }
    void clear() {
        base::clear();
        auto const use = this->threads_.writing("clear");
        tuner_.cleared();
    }

    /// Blocks until replays that are under way are done, and adopts their result.
    void wait_for_tuning() {
        auto const use = this->threads_.writing("wait_for_tuning");
        tuner_.wait();
        adopt();
    }

    /// How far tuning has come and what it found. O(1).
    [[nodiscard]] tuning_report const& tuning() const {
        auto const use = this->threads_.reading("tuning");
        return tuner_.report();
    }

private:
    /// What a commit is to the tuner, if that still listens.
    [[nodiscard]] std::optional<commit_facts>
    before_commit(lease const& held, token_count size,
                  std::span<cache::captured_state const> states) {
        auto const use = this->threads_.writing("commit");
        adopt();
        cache::lease_record const& record = this->record(held);
        if (!tuner_.listens() || !record.match().counted) return std::nullopt;
        return commit_facts{.first = record.offered == 0,
                            .ended = ends_resumable(record, size, states),
                            .from = token_count{record.position}};
    }
    void after_commit(lease const& held, std::span<Token const> tokens, commit_facts facts) {
        bool const contended = wanted_room();
        auto const use = this->threads_.writing("commit");
        if (tuner_.listens()) // another commit may have closed the window meanwhile
            tuner_.committed(this->record(held), tokens, facts, contended);
        adopt();
    }
    [[nodiscard]] bool wanted_room() const {
        auto const& counts = this->stats();
        return counts.evictions() > counts.evictions(cache::eviction_reason::clear);
    }
    void adopt() {
        if (auto const alpha = tuner_.poll()) this->eviction().set_alpha(*alpha);
    }

    tuner<Admission, Eviction, Token> tuner_;
};

} // namespace marconi::tune
