#pragma once

// What a program says that aborts.

#if __has_include(<sys/wait.h>)

#include <support/catch.hpp>
#include <support/child.hpp>

#include <csignal>
#include <cstddef>
#include <string>

#include <unistd.h>

namespace support {

/// Runs `deed` in a process of its own, which must abort, and returns what it wrote to stderr.
template <class Deed>
std::string last_words(Deed&& deed) {
    int report[2];
    REQUIRE(pipe(report) == 0);
    pid_t const child = begin_child([&] {
        dup2(report[1], STDERR_FILENO);
        deed();
    });
    close(report[1]);
    std::string message;
    char letters[200];
    for (ssize_t n; (n = read(report[0], letters, sizeof letters)) > 0;)
        message.append(letters, static_cast<std::size_t>(n));
    close(report[0]);
    CHECK(ended_by(end_of(child), SIGABRT));
    return message;
}

} // namespace support

#endif
