#pragma once

// What a program does that ends otherwise than by returning.

#if __has_include(<sys/wait.h>)

#include <support/catch.hpp>

#include <csignal>
#include <cstdio>

#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// Begins a process that does `deed` and then exits with 0.
template <class Deed>
pid_t begin_child(Deed&& deed) {
    std::fflush(nullptr);
    pid_t const child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (int const signal : {SIGABRT, SIGINT, SIGTERM})
            std::signal(signal, SIG_DFL); // the test program's own handlers would report a failure
        deed();
        _exit(0);
    }
    return child;
}

/// Whether it did; end_of() says how.
inline bool has_ended(pid_t child) {
    siginfo_t what{};
    return waitid(P_PID, static_cast<id_t>(child), &what, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           what.si_pid == child;
}

/// How it ended, in waitpid's words.
inline int end_of(pid_t child) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return status;
}

/// Whether it was ended by that signal.
inline bool ended_by(int status, int signal) {
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

} // namespace support

#endif
