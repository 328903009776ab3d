#pragma once

#include <marconi/cache/observer.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/replay.hpp>

namespace marconi::tune {

/// A cache of the capacity of one at work that counts and stores nothing, and sees its requests at
/// its time: ages mean the same to both, however often that one's engine commits.
template <policy::admission_policy Admission, policy::eviction_policy Eviction, token Token>
class ghost : public cache::prefix_cache<memory::ledger_store, Admission, Eviction,
                                         cache::no_observer, Token> {
    using base =
        cache::prefix_cache<memory::ledger_store, Admission, Eviction, cache::no_observer, Token>;

public:
    using base::base;

    /// As replay(). `now`: when the cache at work was done with the request, which is when this one
    /// will be; at least 2, and no earlier than the last time.
    replayed ask(replay_request<Token> const& request, tick now) {
        constexpr tick taken{2}; // to acquire and to commit
        this->set_clock(now - taken);
        return replay(*this, request);
    }
};

} // namespace marconi::tune
