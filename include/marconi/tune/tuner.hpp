#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/alpha_search.hpp>
#include <marconi/tune/failure.hpp>
#include <marconi/tune/request_log.hpp>
#include <marconi/tune/tuning_report.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace marconi::tune {

/// Marconi's bootstrap (arXiv 2411.19379, §4.2): chooses alpha once, from what it sees.
///
///     waiting ──first eviction──► recording ──window full──► replaying ──adopt──► done
///     log the latest              log all                    a thread            nothing left
///
/// Calls come from the cache's thread. Only replaying has a second one, which has the log to itself
/// meanwhile. A failure here (no memory, no thread) ends the tuning with alpha at 0 and is told in
/// the report: it never fails a request.
template <policy::admission_policy Admission, tunable Eviction, token Token>
class tuner {
public:
    using search_type = alpha_search<Admission, Eviction, Token>;

    /// Throws invalid_argument for options out of range.
    tuner(tuning_options options, search_type search)
        : options_{options}, search_{std::move(search)}, log_{std::in_place, options.log_bytes} {
        MARCONI_EXPECT(options.multiplier >= 1 && options.multiplier <= 15, "multiplier",
                       options.multiplier, "1 to 15");
        MARCONI_EXPECT(options.largest_alpha >= 0 && options.largest_alpha <= 1e9, "largest_alpha",
                       options.largest_alpha, "0 to 1e9");
        MARCONI_EXPECT(options.alpha_step >= 1e-9 && options.alpha_step <= 1e9 &&
                           options.largest_alpha / options.alpha_step <= 1000,
                       "alpha_step", options.alpha_step,
                       "1e-9 to 1e9, at least a thousandth of largest_alpha");
    }
    tuner(tuner const&) = delete;
    tuner& operator=(tuner const&) = delete;
    /// Stops the replays at the next request.
    ~tuner() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }

    /// What a commit that is to be made is, if there is still something to log.
    template <class Entries>
    [[nodiscard]] std::optional<commit_facts>
    before_commit(cache::lease_record const& lease, std::span<Token const> tokens,
                  cache::computed const& brought, Entries& entries) noexcept {
        adopt(entries.eviction());
        if (!listens() || !lease.match().counted) return std::nullopt;
        return commit_facts{
            .first = lease.offered == 0,
            .ended = ends_resumable(lease, token_count{tokens.size()}, brought.checkpoints),
            .from = token_count{lease.position}};
    }
    /// O(new tokens); with `deterministic`, the commit that closes the window replays it.
    template <class Entries>
    void after_commit(std::optional<commit_facts> const& commit, cache::lease_record const& lease,
                      std::span<Token const> tokens, Entries& entries, Admission const&) noexcept {
        if (!commit) return;
        auto const& counts = entries.counts();
        bool const contended = counts.evictions() > counts.evictions(cache::eviction_reason::clear);
        if (listens()) // another commit may have closed the window meanwhile
            log(lease, tokens, *commit, contended);
        adopt(entries.eviction());
    }

    /// Takes the alpha chosen over into the policy, once: in the first call after the replays are
    /// done. O(1).
    void adopt(Eviction& policy) noexcept {
        if (report_.state != tuning_state::replaying || !replayed_.load(std::memory_order_acquire))
            return;
        wait(); // the thread has nothing left to do
        report_.replays = std::move(result_.replays);
        report_.replay_time = result_.time;
        finish(std::move(result_.failure));
        policy.set_alpha(report_.alpha);
    }

    /// Entries of a scope, or of all, were cleared: the log goes on as if they had never been asked
    /// for. Replays have it to themselves; it is gone when they are done.
    void cleared(scope const& in) noexcept {
        if (!listens()) return;
        guarded([&] {
            log_->forget(in);
            note_log();
        });
    }
    void cleared() noexcept {
        if (!listens()) return;
        log_->forget_all();
        note_log();
    }

    /// Blocks until replays that are under way are done.
    void wait() noexcept {
        if (thread_.joinable()) thread_.join();
    }

    [[nodiscard]] tuning_report const& report() const { return report_; }

private:
    struct replay_result {
        alpha_comparison replays;
        std::chrono::nanoseconds time{};
        std::string failure;
    };

    /// Whether commits are still to be logged.
    [[nodiscard]] bool listens() const { return report_.state < tuning_state::replaying; }

    /// `contended` says that something was evicted for want of room by now.
    void log(cache::lease_record const& lease, std::span<Token const> tokens, commit_facts commit,
             bool contended) noexcept {
        guarded([&] {
            if (report_.state == tuning_state::waiting && contended) open_window();
            bool const kept = log_->record(lease, tokens, commit);
            note_log();
            if (report_.state == tuning_state::recording &&
                (!kept || report_.requests_logged >= report_.window))
                close_window();
        });
    }

    void open_window() {
        report_.state = tuning_state::recording;
        report_.window = options_.multiplier * std::max<std::uint64_t>(log_->before_window(), 1);
        log_->open_window();
    }

    void close_window() {
        report_.state = tuning_state::replaying;
        if (options_.deterministic)
            replay_window();
        else
            thread_ = std::thread{[this] { replay_window(); }};
    }

    /// On the tuner's thread, or in the commit if `deterministic`: touches the log and the result
    /// alone, until replayed_ is set.
    void replay_window() noexcept {
        auto const started = std::chrono::steady_clock::now();
        result_.failure = failure_of([&] {
            if (auto found = search_.run(*log_, alphas(), stop_)) result_.replays = *found;
        });
        log_.reset();
        result_.time = std::chrono::steady_clock::now() - started;
        replayed_.store(true, std::memory_order_release);
    }

    [[nodiscard]] std::vector<double> alphas() const {
        double const steps = std::floor(options_.largest_alpha / options_.alpha_step + 1e-9);
        std::vector<double> grid;
        for (double i = 0; i <= steps; ++i) // a quotient: 3 * 0.1 is not 0.3
            grid.push_back(steps > 0 ? i / (1 / options_.alpha_step) : 0);
        return grid;
    }

    void note_log() noexcept {
        report_.requests_before = log_->before_window();
        report_.requests_logged = log_->in_window();
        report_.log_bytes = log_->bytes();
    }

    void finish(std::string failure) noexcept {
        report_.state = tuning_state::done;
        report_.alpha = report_.replays.best;
        report_.log_bytes = {};
        report_.failure = std::move(failure);
    }

    /// Runs a step; what it throws ends the tuning.
    template <class Step>
    void guarded(Step step) noexcept {
        if (std::string failure = failure_of(step); !failure.empty()) {
            log_.reset();
            finish(std::move(failure));
        }
    }

    tuning_options options_;
    search_type search_;
    std::optional<request_log<Token>> log_; ///< gone once the replays are done
    tuning_report report_;
    replay_result result_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> replayed_{false};
    std::thread thread_;
};

} // namespace marconi::tune
