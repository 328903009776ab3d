#pragma once

// The order in which streams may touch pages. Only functions named finish wait on the host.
//
//     stream A   ──save p──●3                  every operation gets a ticket, ascending over all
//     stream B        wait 3 ┴─load p──●5      streams, and an event behind it on its stream
//     stream A              wait 5 ┴──save p──●6
//
// A stream waits for another's ticket once: later waits for it, or for one before it, are dropped.
// Tickets whose event is done are retired, oldest first, and their events reused; pages may go on
// naming them. As long as there is one stream, which is in order by itself, no page is looked at; a
// second one waits for all that the first was given until then. One host thread at a time.

#include <marconi/core/types.hpp>
#include <marconi/gpu/page_uses.hpp>
#include <marconi/gpu/timeline.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace marconi::gpu {

/// `Events` has the calls of CUDA's events (see cuda_events), so that tests can do without CUDA.
template <class Events>
class stream_order {
public:
    using stream = typename Events::stream;
    using event = typename Events::event;

    /// An operation while it is being enqueued: say what it reads and writes, enqueue it, finish(),
    /// note its uses. Dropped before finish(), it leaves nothing behind but waits. One at a time.
    class operation {
    public:
        /// Takes all memory that finish() needs. May throw what Events throws, or bad_alloc.
        operation(stream_order& order, stream on)
            : order_{&order}, on_{on}, line_{order.line_of(on)}, event_{order.pool_.take()} {}
        operation(operation const&) = delete;
        operation& operator=(operation const&) = delete;
        ~operation() {
            if (!finished_) order_->pool_.give_back(event_);
        }

        /// The stream waits until it may read these pages.
        void reads(std::span<page_id const> pages) {
            order_->need_before(access::read, pages);
            order_->wait(line_, on_);
        }
        /// The stream waits until it may write these pages.
        void writes(std::span<page_id const> pages) {
            order_->need_before(access::write, pages);
            order_->wait(line_, on_);
        }
        /// To be called when all is enqueued. If no event can be recorded behind it, nobody could
        /// wait for it: then this waits for it here, on the host, and throws.
        ticket finish() {
            try {
                Events::record(event_, on_);
            } catch (...) {
                Events::finish(on_);
                throw;
            }
            finished_ = true;
            return order_->add(line_, event_);
        }

    private:
        stream_order* order_;
        stream on_;
        std::uint32_t line_;
        event event_;
        bool finished_ = false;
    };

    stream_order() = default;
    stream_order(stream_order const&) = delete;
    stream_order& operator=(stream_order const&) = delete;
    ~stream_order() {
        for (line_type& line : lines_)
            line.forget(pool_);
    }

    /// Makes room for notes on pages below `count`, since notes do not throw.
    void reserve(std::uint64_t count) {
        touched_ = std::max(touched_, count);
        if (!alone()) uses_.reserve(touched_);
    }
    /// The pages were read by that operation.
    void note_read(ticket by, std::span<page_id const> pages) noexcept {
        if (!alone()) uses_.note_read(by, pages);
    }
    /// The pages were written by that operation, which first waited until it was allowed to.
    void note_written(ticket by, std::span<page_id const> pages) noexcept {
        if (!alone()) uses_.note_written(by, pages);
    }

    /// Whether an operation is known to be done; asks the device.
    [[nodiscard]] bool done(ticket t) noexcept {
        if (t.when == 0) return true;
        line_type& line = lines_[t.line];
        if (t.when > line.done()) line.retire(line.open(), pool_);
        return t.when <= line.done();
    }
    /// Waits on the host until all operations are done.
    void finish() noexcept {
        for (line_type& line : lines_)
            line.finish();
    }
    /// Events in existence, and operations not known to be done: each has one of them.
    [[nodiscard]] std::size_t events() const { return pool_.made(); }
    [[nodiscard]] std::size_t open() const {
        std::size_t sum = 0;
        for (line_type const& line : lines_)
            sum += line.open();
        return sum;
    }

private:
    using line_type = timeline<Events>;
    /// Retired by an operation that finds no event to spare. It takes one: so most operations ask
    /// about none, and there are hardly more events than were in flight at once.
    static constexpr std::size_t retired_at_once = 2;

    /// No two streams were ever at work at a time.
    [[nodiscard]] bool alone() const { return lines_.size() < 2; }

    /// The stream's timeline, with room for one entry more. A timeline with nothing open may be
    /// given to another stream: what pages name on it is done.
    std::uint32_t line_of(stream on) {
        std::uint64_t const name = Events::name(on);
        auto found = std::find_if(lines_.begin(), lines_.end(),
                                  [&](line_type const& l) { return l.name() == name; });
        if (found == lines_.end()) {
            for (line_type& line : lines_)
                line.retire(line.open(), pool_);
            found = std::find_if(lines_.begin(), lines_.end(),
                                 [](line_type const& l) { return l.idle(); });
            if (found == lines_.end()) {
                needed_.reserve(lines_.size() + 1);
                if (lines_.size() == 1) {
                    uses_.reserve(touched_);
                    alone_until_ = now_;
                }
                found = lines_.insert(lines_.end(), line_type{});
                needed_.push_back(0);
            }
            found->rename(name, now_);
        }
        if (!pool_.has_spare()) found->retire(retired_at_once, pool_);
        found->reserve_one();
        return static_cast<std::uint32_t>(found - lines_.begin());
    }
    ticket add(std::uint32_t line, event behind) noexcept {
        lines_[line].add(++now_, behind);
        return {now_, line};
    }

    // ---- what a stream must wait for, by timeline: collected, then waited for ----

    void need_before(access kind, std::span<page_id const> pages) noexcept {
        if (alone()) return;
        need(0, alone_until_);
        uses_.each_before(kind, pages, static_cast<std::uint32_t>(lines_.size()),
                          [&](std::uint32_t line, std::uint64_t when) { need(line, when); });
    }
    void need(std::uint32_t line, std::uint64_t when) noexcept {
        needed_[line] = std::max(needed_[line], when);
    }
    void wait(std::uint32_t line, stream on) {
        std::vector<std::uint64_t>& waited = lines_[line].waited(lines_.size());
        for (std::uint32_t other = 0; other < lines_.size(); ++other) {
            std::uint64_t const when = std::exchange(needed_[other], 0);
            if (other == line || when <= lines_[other].done()) continue;
            auto const* const last = lines_[other].last_until(when);
            if (!last || last->when <= waited[other]) continue;
            if (Events::done(last->behind)) { // not retired yet: nothing was enqueued there since
                lines_[other].retire(lines_[other].open(), pool_);
                continue;
            }
            Events::wait(on, last->behind);
            waited[other] = last->when;
        }
    }

    std::vector<line_type> lines_;
    event_pool<Events> pool_;
    page_uses uses_;
    std::vector<std::uint64_t> needed_; ///< by timeline
    std::uint64_t touched_ = 0;         ///< pages that notes may be on
    std::uint64_t now_ = 0;
    std::uint64_t alone_until_ = 0; ///< operations before the second timeline: in no notes
};

} // namespace marconi::gpu
