#pragma once

// Copying while other threads call the cache, on stores that can (memory::copies_beside_calls).
// restore() and commit() take an object that they call when they know what to copy, with a function
// that does it. Until that function returns other calls may come, of any kind but on the same
// lease:
//
//     std::unique_lock held{mutex};                                    // guards the cache
//     cache.commit(lease, tokens, computed, stream, without_lock{held});

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

/// Lets go of a lock for the copy, and has it again when the call goes on, be it that the copy
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

/// For restore() alone, which ends with the copy: lets go of the lock for good.
template <class Lock>
class until_copying {
public:
    explicit until_copying(Lock& lock) : lock_{&lock} {}
    template <class Copy>
    void operator()(Copy const& copy) const {
        lock_->unlock();
        copy();
    }

private:
    Lock* lock_;
};

template <class Unlocked>
inline constexpr bool lets_others_in = !std::same_as<Unlocked, copy_at_once>;

/// What restore() and commit() take, on a store.
template <class Unlocked, class Store>
concept unlocking = std::same_as<Unlocked, copy_at_once> ||
    (memory::copies_beside_calls<Store>&& std::invocable<Unlocked const&, void (*)()>);

/// The same, with a call's use of its cache left meanwhile.
template <class Unlocked>
[[nodiscard]] auto leaving([[maybe_unused]] thread_check::use& use, Unlocked const& unlocked) {
    if constexpr (lets_others_in<Unlocked>)
        return [&](auto const& copy) {
            use.leave();
            unlocked(copy);
            use.enter();
        };
    else
        return unlocked;
}

} // namespace marconi::cache
