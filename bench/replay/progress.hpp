#pragma once

// A line that shows how far a program has come: not shown for its first two seconds, then updated
// at most ten times a second, and gone at the end.

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

    /// Writes to `to`, which must outlive this, only if `shown`: pass is_terminal().
    progress(std::ostream& to, bool shown, clock now = steady_seconds);
    /// Wipes the line.
    ~progress();
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;

    /// One that nobody sees.
    [[nodiscard]] static progress& unseen();

    /// From now on steps are counted from 0 up to `total`, 0 if that is not known. `what` follows
    /// their number: "requests read".
    void begin(std::string what, std::uint64_t total = 0);
    /// `steps` more are done. Takes a lock and reads the clock: call it every few hundred requests,
    /// not at each one.
    void advance(std::uint64_t steps);
    /// Takes the line away until the next step, so that something else can be written there.
    void wipe();

    /// Whether the standard error stream is a terminal.
    [[nodiscard]] static bool is_terminal();
    [[nodiscard]] static double steady_seconds();

private:
    [[nodiscard]] std::string line(double seconds) const;
    void wipe_line();

    std::mutex mutex_;
    std::ostream& to_;
    bool const shown_;
    clock const now_;
    std::string what_;
    std::uint64_t total_ = 0;
    std::uint64_t done_ = 0;
    double begun_;          // what is counted now
    double next_;           // when to show it again
    std::size_t width_ = 0; // of the line on the screen
};

/// Advances by one after the other, but not by each on its own.
class stepper {
public:
    explicit stepper(progress& shown) : shown_{shown} {}
    ~stepper() { shown_.advance(steps_); }
    stepper(stepper const&) = delete;
    stepper& operator=(stepper const&) = delete;

    void step() {
        if (++steps_ < at_once) return;
        shown_.advance(steps_);
        steps_ = 0;
    }

private:
    static constexpr std::uint64_t at_once = 64;

    progress& shown_;
    std::uint64_t steps_ = 0;
};

} // namespace marconi::replay
