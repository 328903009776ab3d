#pragma once

#include <marconi/core/config.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace marconi {

/// Finds calls that overlap and must not: many readers may be inside at a time, or one writer
/// alone. Where they do the program ends with a message that names both, before they can do harm.
/// Checks where MARCONI_CHECK_THREADS is 1, as it is in debug builds; elsewhere it costs nothing
/// but its size.
class thread_check {
public:
    class [[nodiscard]] use {
    public:
        use(use const&) = delete;
        use& operator=(use const&) = delete;
        ~use() {
#if MARCONI_CHECK_THREADS
            of_.inside_.fetch_sub(step_, std::memory_order_relaxed);
#endif
        }

    private:
        friend thread_check;
        use([[maybe_unused]] thread_check const& of, [[maybe_unused]] long step,
            [[maybe_unused]] char const* call)
#if MARCONI_CHECK_THREADS
            : of_{of}, step_{step} {
            long const before = of.inside_.fetch_add(step, std::memory_order_relaxed);
            if (step == writer ? before != 0 : before >= writer) of.stop(call);
            of.latest_.store(call, std::memory_order_relaxed);
        }
        thread_check const& of_;
        long step_;
#else
        {
        }
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
