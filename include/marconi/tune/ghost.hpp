#pragma once

#include <marconi/cache/observer.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/replay.hpp>

namespace marconi::tune {

/// A cache that only counts and stores nothing, with the capacity of one at work. It sees that
/// one's requests at that one's time: ages mean the same to both, however often the engine commits.
template <policy::admission_policy Admission, policy::eviction_policy Eviction, token Token>
class ghost : public cache::prefix_cache<memory::ledger_store, Admission, Eviction,
                                         cache::no_observer, Token> {
    using base =
        cache::prefix_cache<memory::ledger_store, Admission, Eviction, cache::no_observer, Token>;

public:
    using base::base;

    /// As replay(). `now`: when the cache at work was done with the request, and when this one will
    /// be; at least 2, and no earlier than in the last call.
    replayed ask(replay_request<Token> const& request, tick now) {
        constexpr tick taken{2}; // to acquire and to commit
        this->set_clock(now - taken);
        return replay(*this, request);
    }
};

} // namespace marconi::tune
