#include "progress.hpp"

#include "sizes.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <unistd.h>
#include <utility>

namespace marconi::replay {

progress::progress(std::ostream& to, bool shown, clock now)
    : to_{to},
      shown_{shown},
      now_{std::move(now)},
      begun_{now_()},
      next_{begun_ + patience_seconds} {}

progress::~progress() { wipe_line(); }

progress& progress::unseen() {
    static progress nobody_looks{std::cerr, false};
    return nobody_looks;
}

void progress::begin(std::string what, std::uint64_t total) {
    std::lock_guard const lock{mutex_};
    what_ = std::move(what);
    total_ = total;
    done_ = 0;
    begun_ = now_();
}

void progress::advance(std::uint64_t steps) {
    std::lock_guard const lock{mutex_};
    done_ += steps;
    if (total_ != 0) done_ = std::min(total_, done_);
    if (!shown_) return;
    double const seconds = now_();
    if (seconds < next_) return;
    next_ = seconds + pause_seconds;
    std::string text = line(seconds - begun_);
    std::size_t const width = text.size();
    text.resize(std::max(width, width_), ' '); // to cover a longer line before it
    width_ = width;
    to_ << '\r' << text << std::flush;
}

void progress::wipe() {
    std::lock_guard const lock{mutex_};
    wipe_line();
}

void progress::wipe_line() {
    if (width_ > 0) to_ << '\r' << std::string(width_, ' ') << '\r' << std::flush;
    width_ = 0;
}

std::string progress::line(double seconds) const {
    std::string const time = format_fixed(seconds, 0) + " s";
    if (total_ == 0) return format_count(done_) + " " + what_ + ", " + time;
    double const share = static_cast<double>(done_) / static_cast<double>(total_);
    std::string text = format_count(done_) + " of " + format_count(total_) + " " + what_ + ", " +
                       format_fixed(100 * share, 0) + " %, " + time;
    if (share > 0) text += ", about " + format_fixed(seconds * (1 - share) / share, 0) + " s left";
    return text;
}

bool progress::is_terminal() { return isatty(STDERR_FILENO) == 1; }

double progress::steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

} // namespace marconi::replay
