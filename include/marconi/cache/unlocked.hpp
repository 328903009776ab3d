#pragma once

// Copying while other threads call the cache, on stores that can (memory::copies_beside_calls):
//
//     std::unique_lock held{mutex}; // guards the cache: exclusively, for commit
//     cache.commit(lease, tokens, computed, stream, without_lock{held});
//
//     std::shared_lock held{mutex};
//     auto const found = cache.prepare_restore(lease, kv, state);
//     held.unlock();
//     found.copy(cache.store(), stream);
//
// A commit calls what it was given, if it copies anything, with a function that copies. Until that
// returns, or copy() does, other calls may come, on other leases; what the call was given (tokens,
// views, states, the lease) must stay as it is. An object of your own must hold the lock again when
// it returns, or throws, into commit. What others published of the sequence meanwhile counts as
// known.

#include <marconi/core/thread_check.hpp>
#include <marconi/memory/concepts.hpp>

#include <concepts>

namespace marconi::cache {

/// Copies there and then.
struct copy_at_once {
    template <class Copy>
    void operator()(Copy const& copy) const {
        copy();
    }
};

/// Releases a lock for the copy, and takes it again before the call goes on, even if the copy
/// threw.
template <class Lock>
class without_lock {
public:
    explicit without_lock(Lock& lock) : lock_{&lock} {}
    template <class Copy>
    void operator()(Copy const& copy) const {
        struct again {
            Lock& lock;
            ~again() { lock.lock(); }
        };
        lock_->unlock();
        again const afterwards{*lock_};
        copy();
    }

private:
    Lock* lock_;
};

template <class Unlocked>
inline constexpr bool lets_others_in = !std::same_as<Unlocked, copy_at_once>;

template <class Store>
concept copies_unlocked = memory::copies_beside_calls<Store> && !memory::ordered_store<Store>;

/// For the concept: stands for the copy, whose type nobody can name.
struct some_copy {
    void operator()() const {}
};
/// What commit() takes.
template <class Unlocked, class Store>
concept unlocking = std::same_as<Unlocked, copy_at_once> ||
    (copies_unlocked<Store>&& std::invocable<Unlocked const&, some_copy>);

/// `unlocked`, but calls first() before it, and leaves `use` for as long as it runs.
template <class Unlocked, class First>
[[nodiscard]] auto outside([[maybe_unused]] thread_check::use& use, Unlocked const& unlocked,
                           [[maybe_unused]] First first) {
    if constexpr (lets_others_in<Unlocked>)
        return [&use, &unlocked, first](auto const& copy) {
            struct back {
                thread_check::use& use;
                ~back() { use.enter(); }
            };
            first();
            use.leave();
            back const afterwards{use};
            unlocked(copy);
        };
    else
        return unlocked;
}

} // namespace marconi::cache
