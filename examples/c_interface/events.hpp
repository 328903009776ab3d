#pragma once

// What the cache's observer hears, kept until somebody takes it.

#include "marconi_c.h"

#include <marconi/cache/observer.hpp>
#include <marconi/cache/stats.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace c_interface {

/// What an observer is told.
using cache_event = marconi::cache::event<std::int32_t>;

static_assert(MARCONI_KV_PUBLISHED == int(marconi::cache::event_kind::kv_published) &&
              MARCONI_CHECKPOINT_PUBLISHED ==
                  int(marconi::cache::event_kind::checkpoint_published) &&
              MARCONI_CHECKPOINT_REMOVED == int(marconi::cache::event_kind::checkpoint_removed) &&
              MARCONI_REMOVED == int(marconi::cache::event_kind::removed) &&
              MARCONI_SPLIT == int(marconi::cache::event_kind::split) &&
              MARCONI_MERGED == int(marconi::cache::event_kind::merged));
static_assert(MARCONI_FOR_COMMIT == 1 + int(marconi::cache::eviction_reason::commit) &&
              MARCONI_FOR_RESERVE == 1 + int(marconi::cache::eviction_reason::reserve) &&
              MARCONI_ON_DEMAND == 1 + int(marconi::cache::eviction_reason::on_demand) &&
              MARCONI_NOT_WANTED == 1 + int(marconi::cache::eviction_reason::clear));

/// Events with their tokens, in memory of their own.
class event_list : public marconi_events {
public:
    event_list() : marconi_events{} {}
    event_list(event_list const&) = delete;
    event_list& operator=(event_list const&) = delete;

    /// If it throws std::bad_alloc, the list has not changed.
    void add(cache_event const& e) {
        events_.push_back({.sequence = e.sequence,
                           .kind = static_cast<std::uint64_t>(e.kind),
                           .node = e.node.value(),
                           .parent = e.parent.value(),
                           .position = e.position.value(),
                           .in = {e.in.tenant, e.in.adapter, e.in.revision},
                           .in_answer = e.in_answer,
                           .why = e.why ? 1 + static_cast<std::uint64_t>(*e.why)
                                        : std::uint64_t{MARCONI_NOT_EVICTED},
                           .tokens = nullptr, // they may yet move
                           .token_count = e.tokens.size()});
        try {
            tokens_.insert(tokens_.end(), e.tokens.begin(), e.tokens.end());
        } catch (...) {
            events_.pop_back();
            throw;
        }
    }
    [[nodiscard]] std::size_t bytes_with(cache_event const& e) const {
        return (events_.size() + 1) * sizeof(marconi_event) +
               (tokens_.size() + e.tokens.size()) * sizeof(std::int32_t);
    }

    /// Nothing is added after this.
    void end(std::uint64_t next_sequence) {
        std::int32_t const* tokens = tokens_.data();
        for (marconi_event& e : events_) {
            if (e.token_count != 0) e.tokens = tokens;
            tokens += e.token_count;
        }
        list = events_.data();
        count = events_.size();
        next = next_sequence;
    }

private:
    std::vector<marconi_event> events_;
    std::vector<std::int32_t> tokens_;
};

/// The events that nobody has taken yet. Events past `room` bytes are lost, and so are those that
/// no memory is found for: gaps in the numbers show it.
class event_log {
public:
    explicit event_log(std::uint64_t room) : room_{room} {}

    [[nodiscard]] bool on() const { return room_ != 0; }

    void hear(cache_event const& e) noexcept {
        if (!on()) return;
        std::scoped_lock const held{mutex_};
        next_ = e.sequence + 1;
        if (waiting_->bytes_with(e) > room_) return;
        try {
            waiting_->add(e);
        } catch (std::bad_alloc const&) {
        }
    }
    [[nodiscard]] std::unique_ptr<event_list> take() {
        auto taken = std::make_unique<event_list>();
        std::scoped_lock const held{mutex_};
        std::swap(taken, waiting_);
        taken->end(next_);
        return taken;
    }

private:
    std::uint64_t room_;
    std::mutex mutex_;
    std::unique_ptr<event_list> waiting_ = std::make_unique<event_list>();
    std::uint64_t next_ = 0;
};

/// The cache's observer.
struct to_log {
    event_log* log;
    void observe(cache_event const& e) noexcept { log->hear(e); }
};
static_assert(marconi::cache::observer<to_log, std::int32_t>);

} // namespace c_interface
