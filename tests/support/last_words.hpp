#pragma once

// What a program says that aborts.

#if __has_include(<sys/wait.h>)

#include <support/catch.hpp>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// Runs `deed` in a process of its own, which must abort, and returns what it wrote to stderr.
template <class Deed>
std::string last_words(Deed&& deed) {
    int report[2];
    REQUIRE(pipe(report) == 0);
    std::fflush(nullptr);
    pid_t const child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        dup2(report[1], STDERR_FILENO);
        std::signal(SIGABRT, SIG_DFL); // the test program's own handler would report a failure
        deed();
        _exit(0);
    }
    close(report[1]);
    std::string message;
    char letters[200];
    for (ssize_t n; (n = read(report[0], letters, sizeof letters)) > 0;)
        message.append(letters, static_cast<std::size_t>(n));
    close(report[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
    return message;
}

} // namespace support

#endif
