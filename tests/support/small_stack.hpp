#pragma once

// Runs something on a thread with a small stack, so that recursion over depth ends the program.

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <pthread.h>
#include <utility>

namespace support {

/// Calls `what` there and returns when it has; what it throws is thrown here.
inline void on_small_stack(std::function<void()> what, std::size_t bytes = 64 << 10) {
    struct call {
        std::function<void()> what;
        std::exception_ptr failure;
    } made{std::move(what), nullptr};
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, bytes) != 0 ||
        pthread_create(
            &thread, &attributes,
            [](void* at) -> void* {
                call& c = *static_cast<call*>(at);
                try {
                    c.what();
                } catch (...) {
                    c.failure = std::current_exception();
                }
                return nullptr;
            },
            &made) != 0)
        std::abort();
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    if (made.failure) std::rethrow_exception(made.failure);
}

} // namespace support
