#pragma once

#include <marconi/core/config.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace marconi {

/// Detects calls that overlap but must not: many readers may be inside at a time, or one writer
/// alone. On a violation the program ends, before any harm is done, with a message that names this
/// call and the one that came in last. Checks where MARCONI_CHECK_THREADS is 1, as it is in debug
/// builds; elsewhere it costs nothing but its size.
class thread_check {
public:
    class [[nodiscard]] use {
    public:
        use(use const&) = delete;
        use& operator=(use const&) = delete;
        ~use() { leave(); }

#if MARCONI_CHECK_THREADS
        /// Lets other calls in, until enter() or for good.
        void leave() {
            if (std::exchange(inside_, false))
                of_.inside_.fetch_sub(step_, std::memory_order_relaxed);
        }
        void enter() {
            inside_ = true;
            long const before = of_.inside_.fetch_add(step_, std::memory_order_relaxed);
            if (step_ == writer ? before != 0 : before >= writer) of_.stop(call_);
            of_.latest_.store(call_, std::memory_order_relaxed);
        }

    private:
        friend thread_check;
        use(thread_check const& of, long step, char const* call)
            : of_{of}, step_{step}, call_{call} {
            enter();
        }
        thread_check const& of_;
        long step_;
        char const* call_;
        bool inside_ = false;
#else
        void leave() {}
        void enter() {}

    private:
        friend thread_check;
        use(thread_check const&, long, char const*) {}
#endif
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

} // namespace marconi
