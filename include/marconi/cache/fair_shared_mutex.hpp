#pragma once

#include <mutex>
#include <shared_mutex>

namespace marconi::cache {

/// A shared mutex under which readers do not starve a writer, nor writers readers (with glibc,
/// std::shared_mutex lets a stream of readers keep a writer out for as long as it lasts). A thread
/// that has to wait for the lock waits holding the gate, so that later threads wait at the gate, in
/// std::mutex's order: as good as first come, first served for calls that do some work.
class fair_shared_mutex {
public:
    void lock() {
        std::lock_guard const turn{gate_};
        mutex_.lock();
    }
    void unlock() { mutex_.unlock(); }
    void lock_shared() {
        std::lock_guard const turn{gate_};
        mutex_.lock_shared();
    }
    void unlock_shared() { mutex_.unlock_shared(); }

private:
    std::mutex gate_;
    std::shared_mutex mutex_;
};

} // namespace marconi::cache
