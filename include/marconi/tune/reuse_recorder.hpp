#pragma once

#include <marconi/cache/observer.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/eviction/reuse_odds.hpp>
#include <marconi/tune/reuse_statistics.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace marconi::tune {

/// The observer of a cache that makes reuse_statistics of what comes, goes and is used there. Two
/// questions are asked of an entry that one can resume from: when does a request come by, on its
/// way on or to resume here; and, if others go on from the entry, when does one resume here and no
/// further. The first is what a leaf stands for (that what went on from it was evicted does not
/// matter), the second any other. Time is told by whoever owns the cache.
template <token Token>
class reuse_recorder {
public:
    /// `needs_checkpoint`: whether one can resume only where there is a checkpoint.
    explicit reuse_recorder(bool needs_checkpoint) : anywhere_{!needs_checkpoint} {}

    void set_time(tick now) { now_ = now; }
    [[nodiscard]] reuse_statistics& statistics() { return statistics_; }
    [[nodiscard]] reuse_statistics const& statistics() const { return statistics_; }
    /// Whether it had no memory to note something: of no use from then on.
    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] std::size_t bytes() const { return entries_.capacity() * sizeof(entry); }

    /// A request resumed at `node`, and so came by all nodes above it. O(depth).
    void resumed(node_id node) {
        bool here = true;
        for (entry* e = find(node); e && e->live; e = find(e->parent), here = false) {
            if (!e->resumable) continue;
            count_exposure(*e);
            std::uint64_t const age = (now_ - e->last_use).value();
            statistics_.reused({true, e->uses}, age);
            if (here && e->children > 0) statistics_.reused({false, e->uses}, age);
            e->last_use = e->counted = now_;
            ++e->uses;
        }
    }

    /// Counts for how long so many entries, in turn, have gone unused. O(count).
    void look_at(std::size_t count) {
        for (count = std::min(count, entries_.size()); count > 0; --count) {
            if (next_ >= entries_.size()) next_ = 0;
            count_exposure(entries_[next_++]);
        }
    }

    void observe(cache::event<Token> const& e) noexcept {
        using enum cache::event_kind;
        if (failed_ || !make_room(std::max(e.node, e.parent))) return;
        entry& n = entries_[e.node.value()];
        entry& parent = entries_[e.parent.value()];
        switch (e.kind) {
        case kv_published:
            count_exposure(parent);
            ++parent.children;
            n = {.parent = e.parent,
                 .live = true,
                 .resumable = anywhere_,
                 .last_use = now_,
                 .counted = now_};
            break;
        case checkpoint_published:
            n.resumable = true;
            n.last_use = n.counted = now_;
            n.uses = 0;
            break;
        case checkpoint_removed:
            count_exposure(n);
            n.resumable = anywhere_;
            break;
        case removed:
            count_exposure(n);
            count_exposure(parent);
            --parent.children;
            n = {};
            break;
        case split: // `parent` is new
            count_exposure(n);
            parent = n;
            parent.children = 1;
            parent.resumable = anywhere_;
            n.parent = e.parent;
            break;
        case merged: // `parent` is gone
            count_exposure(n);
            count_exposure(parent);
            n.parent = parent.parent;
            n.uses = std::max(n.uses, parent.uses); // as usage_history has it
            parent = {};
            break;
        }
    }

private:
    struct entry {
        node_id parent;
        std::uint32_t children = 0;
        bool live = false;
        bool resumable = false;
        tick last_use;          ///< or when it came to be
        tick counted;           ///< exposure is counted until then
        std::uint64_t uses = 0; ///< requests that came by
    };

    [[nodiscard]] entry* find(node_id id) {
        return id && id.value() < entries_.size() ? &entries_[id.value()] : nullptr;
    }
    [[nodiscard]] bool make_room(node_id id) noexcept {
        try {
            if (id.value() >= entries_.size()) entries_.resize(id.value() + std::size_t{1});
        } catch (std::bad_alloc const&) {
            failed_ = true;
        }
        return !failed_;
    }

    void count_exposure(entry& e) {
        if (!e.live || !e.resumable) return;
        std::uint64_t const from = (e.counted - e.last_use).value();
        std::uint64_t const to = (now_ - e.last_use).value();
        statistics_.exposed({true, e.uses}, from, to);
        if (e.children > 0) statistics_.exposed({false, e.uses}, from, to);
        e.counted = now_;
    }

    bool anywhere_;
    bool failed_ = false;
    tick now_;
    std::vector<entry> entries_; ///< by node
    std::size_t next_ = 0;       ///< to look at
    reuse_statistics statistics_;
};

} // namespace marconi::tune
