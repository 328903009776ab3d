#pragma once

#include <marconi/cache/observer.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/tune/alpha_search.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/tuner.hpp>

#include <cstdint>
#include <utility>

namespace marconi::tune {

/// A prefix cache that chooses its eviction policy's alpha by itself, once, from the requests that
/// it sees; until then it evicts the least recently used. Calls, leases and threads as
/// prefix_cache's. Until the window closes a commit copies its new tokens once more; afterwards
/// nothing is left of the tuning but its report.
///
/// Requests with overlapping lives are replayed one after the other, in the order of their first
/// commits; requests that are not counted, and explicit evict() and forget() (of tokens, or of what
/// is unused) within the window, are not replayed. clear(), and forget() of a scope, take requests
/// out of the window, and of what was there when it began.
template <memory::store Store, policy::admission_policy Admission = policy::branch_and_tail,
          tunable Eviction = policy::flop_aware, class Observer = cache::no_observer,
          token Token = std::int32_t>
class tuned_cache : public cache::prefix_cache<Store, Admission, Eviction, Observer, Token,
                                               tuner<Admission, Eviction, Token>> {
    using tuner_type = tuner<Admission, Eviction, Token>;
    using base = cache::prefix_cache<Store, Admission, Eviction, Observer, Token, tuner_type>;

public:
    /// Whatever alpha the policy comes with, it starts at 0. Throws invalid_argument for options
    /// out of range.
    explicit tuned_cache(Store store, cache::cache_options options = {}, tuning_options tuning = {},
                         Admission admission = Admission{}, Eviction eviction = Eviction{},
                         Observer observer = Observer{})
        : base{std::move(store),
               options,
               admission,
               eviction,
               std::move(observer),
               [&](Store const& at) {
                   return tuner_type{tuning, {ledger_like(at), options, admission, eviction}};
               }} {
        this->eviction().set_alpha(0);
    }

    /// Blocks until replays that are under way are done, and adopts their result.
    void wait_for_tuning() {
        auto const use = this->threads_.writing("wait_for_tuning");
        this->attendant_.wait();
        this->attendant_.adopt(this->eviction());
    }

    /// How far tuning has come and what it found. O(1).
    [[nodiscard]] tuning_report const& tuning() const {
        auto const use = this->threads_.reading("tuning");
        return this->attendant_.report();
    }
};

} // namespace marconi::tune
