#pragma once

// A line that shows how far a long replay has come: not shown for the first two seconds, then
// updated at most ten times a second, and gone at the end.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <mutex>
#include <string>

namespace marconi::replay {

/// All members may be called from several threads at once.
class progress {
public:
    /// Seconds since some fixed moment.
    using clock = std::function<double()>;

    static constexpr double patience_seconds = 2;
    static constexpr double pause_seconds = 0.1;

    /// Counts up to `total` steps, called `what` ("requests"). Writes to `to`, which must outlive
    /// this, only if `shown`: pass is_terminal().
    progress(std::ostream& to, bool shown, std::uint64_t total, std::string what,
             clock now = steady_seconds);
    /// Wipes the line.
    ~progress();
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;

    /// `steps` more are done. Takes a lock and reads the clock: call it every few hundred requests,
    /// not at each one.
    void advance(std::uint64_t steps);

    /// Whether the standard error stream is a terminal.
    [[nodiscard]] static bool is_terminal();
    [[nodiscard]] static double steady_seconds();

private:
    void show(double seconds);

    std::mutex mutex_;
    std::ostream& to_;
    bool const shown_;
    std::uint64_t const total_;
    std::string const what_;
    clock const now_;
    double const start_;
    double next_;
    std::uint64_t done_ = 0;
    std::size_t width_ = 0; // of the line on the screen
};

} // namespace marconi::replay
