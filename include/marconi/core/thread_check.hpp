#pragma once

#include <marconi/core/config.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

namespace marconi {

/// Detects calls that overlap but must not: many readers may be inside at a time, or one writer
/// alone. On a violation the program ends, before any harm is done, with a message that names this
/// call and the one that came in last. Checks where MARCONI_CHECK_THREADS is 1, as it is in debug
/// builds; elsewhere it costs nothing but its size, which is the same: a program may be linked from
/// files of both kinds.
template <bool Checks>
class thread_check_if {
    /// A call that is under way.
    struct under_way {
        thread_check_if const& of;
        long step;
        char const* call;
        bool inside = false;
    };
    struct unchecked {
        unchecked(thread_check_if const&, long, char const*) {}
    };

public:
    class [[nodiscard]] use {
    public:
        use(use const&) = delete;
        use& operator=(use const&) = delete;
        ~use() { leave(); }

        /// Lets other calls in, until enter() or for good.
        void leave() {
            if constexpr (Checks)
                if (std::exchange(call_.inside, false))
                    call_.of.inside_.fetch_sub(call_.step, std::memory_order_relaxed);
        }
        void enter() {
            if constexpr (Checks) {
                call_.inside = true;
                long const before =
                    call_.of.inside_.fetch_add(call_.step, std::memory_order_relaxed);
                if (call_.step == writer ? before != 0 : before >= writer)
                    call_.of.stop(call_.call);
                call_.of.latest_.store(call_.call, std::memory_order_relaxed);
            }
        }

    private:
        friend thread_check_if;
        use(thread_check_if const& of, long step, char const* call) : call_{of, step, call} {
            enter();
        }
        MARCONI_NO_UNIQUE_ADDRESS std::conditional_t<Checks, under_way, unchecked> call_;
    };

    [[nodiscard]] use reading(char const* call) const { return calling(call, false); }
    [[nodiscard]] use writing(char const* call) const { return calling(call, true); }
    [[nodiscard]] use calling(char const* call, bool writes) const {
        return {*this, writes ? writer : 1, call};
    }

private:
    [[noreturn]] void stop(char const* call) const {
        std::fprintf(stderr,
                     "marconi: %s was called while %s was under way: nothing may run beside a call "
                     "that changes the cache (concurrent_cache sees to that)\n",
                     call, latest_.load(std::memory_order_relaxed));
        std::abort();
    }

    static constexpr long writer = 1L << 20; ///< more than there are readers
    mutable std::atomic<long> inside_{0};
    mutable std::atomic<char const*> latest_{"another"};
};

using thread_check = thread_check_if<MARCONI_CHECK_THREADS>;

} // namespace marconi
