#pragma once

// The parts of stream_order: events that are reused, and the open operations of one stream.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

namespace marconi::gpu {

/// Events to reuse; one is made when there is none to spare. Giving one back cannot fail.
template <class Events>
class event_pool {
public:
    using event = typename Events::event;

    event_pool() = default;
    event_pool(event_pool const&) = delete;
    event_pool& operator=(event_pool const&) = delete;
    ~event_pool() {
        for (event const e : spare_)
            Events::destroy(e);
    }
    [[nodiscard]] event take() {
        if (spare_.empty()) {
            spare_.reserve(made_ + 1);
            spare_.push_back(Events::create());
            ++made_;
        }
        event const e = spare_.back();
        spare_.pop_back();
        return e;
    }
    void give_back(event e) noexcept { spare_.push_back(e); }
    [[nodiscard]] bool has_spare() const { return !spare_.empty(); }
    [[nodiscard]] std::size_t made() const { return made_; }

private:
    std::vector<event> spare_; ///< with room for all that were made
    std::size_t made_ = 0;
};

/// The operations on one stream that are not known to be done, each with an event behind it.
template <class Events>
class timeline {
public:
    using event = typename Events::event;

    struct entry {
        std::uint64_t when;
        event behind;
    };

    /// Turns it over to another stream. Nothing may be open; all up to `now` is done.
    void rename(std::uint64_t name, std::uint64_t now) noexcept {
        name_ = name;
        done_ = now;
        waited_.clear();
    }
    [[nodiscard]] std::uint64_t name() const { return name_; }
    [[nodiscard]] bool idle() const { return open_.empty(); }
    [[nodiscard]] std::size_t open() const { return open_.size(); }
    /// All up to here is done.
    [[nodiscard]] std::uint64_t done() const { return done_; }

    void reserve_one() {
        if (open_.size() == open_.capacity()) open_.reserve(2 * open_.size() + 1);
    }
    void add(std::uint64_t when, event behind) noexcept { open_.push_back({when, behind}); }

    /// The last operation enqueued no later than `when`; null if all of these are done.
    [[nodiscard]] entry const* last_until(std::uint64_t when) const {
        auto const after =
            std::upper_bound(open_.begin(), open_.end(), when,
                             [](std::uint64_t w, entry const& e) { return w < e.when; });
        return after == open_.begin() ? nullptr : &*std::prev(after);
    }
    /// The ticket up to which this stream has waited for each of `count` timelines.
    [[nodiscard]] std::vector<std::uint64_t>& waited(std::size_t count) {
        if (waited_.size() < count) waited_.resize(count);
        return waited_;
    }

    /// Removes what is done from the front, `most` operations at most, and gives its events back.
    void retire(std::size_t most, event_pool<Events>& pool) noexcept {
        std::size_t count = 0;
        for (; count < std::min(most, open_.size()) && Events::done(open_[count].behind); ++count) {
            done_ = open_[count].when;
            pool.give_back(open_[count].behind);
        }
        open_.erase(open_.begin(), open_.begin() + static_cast<std::ptrdiff_t>(count));
    }
    /// Waits on the host for the last operation, so for all.
    void finish() noexcept {
        if (!open_.empty()) Events::finish(open_.back().behind);
    }
    /// Gives all events back; the operations may still run.
    void forget(event_pool<Events>& pool) noexcept {
        for (entry const& e : open_)
            pool.give_back(e.behind);
        open_.clear();
    }

private:
    std::uint64_t name_ = 0;
    std::uint64_t done_ = 0;
    std::vector<entry> open_{};
    std::vector<std::uint64_t> waited_{};
};

} // namespace marconi::gpu
