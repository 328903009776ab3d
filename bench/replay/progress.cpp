#include "progress.hpp"

#include "sizes.hpp"

#include <algorithm>
#include <chrono>
#include <ostream>
#include <unistd.h>
#include <utility>

namespace marconi::replay {

progress::progress(std::ostream& to, bool shown, std::uint64_t total, std::string what, clock now)
    : to_{to},
      shown_{shown},
      total_{total},
      what_{std::move(what)},
      now_{std::move(now)},
      start_{now_()},
      next_{start_ + patience_seconds} {}

progress::~progress() {
    if (width_ > 0) to_ << '\r' << std::string(width_, ' ') << '\r' << std::flush;
}

void progress::advance(std::uint64_t steps) {
    std::lock_guard const lock{mutex_};
    done_ = std::min(total_, done_ + steps);
    if (!shown_) return;
    double const seconds = now_();
    if (seconds < next_) return;
    next_ = seconds + pause_seconds;
    show(seconds - start_);
}

void progress::show(double seconds) {
    double const share = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 1;
    std::string line = format_count(done_) + " of " + format_count(total_) + " " + what_ + ", " +
                       format_fixed(100 * share, 0) + " %, " + format_fixed(seconds, 0) + " s";
    if (share > 0) line += ", about " + format_fixed(seconds * (1 - share) / share, 0) + " s left";
    std::size_t const width = line.size();
    line.resize(std::max(width, width_), ' '); // to cover a longer line before it
    width_ = width;
    to_ << '\r' << line << std::flush;
}

bool progress::is_terminal() { return isatty(STDERR_FILENO) == 1; }

double progress::steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

} // namespace marconi::replay
