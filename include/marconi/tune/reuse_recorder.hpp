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

/// Observes a cache and makes reuse_statistics of what comes, goes and is used there. For a
/// resumable entry it records both kinds of reuse. `passing`: a request comes by, which is what
/// counts where it is a leaf (what went on from it may have been evicted there). `resuming`, while
/// others go on from the entry: a request resumes there and no further. Whoever owns the cache
/// tells the time.
template <token Token>
class reuse_recorder {
public:
    /// `needs_checkpoint`: whether one can resume only where there is a checkpoint.
    explicit reuse_recorder(bool needs_checkpoint) : anywhere_{!needs_checkpoint} {}

    void set_time(tick now) { now_ = now; }
    [[nodiscard]] reuse_statistics& statistics() { return statistics_; }
    [[nodiscard]] reuse_statistics const& statistics() const { return statistics_; }
    /// Whether it lacked memory for a note: it is of no use from then on.
    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] std::size_t bytes() const { return entries_.capacity() * sizeof(entry); }

    /// A request resumed at `node`, and so came by all nodes above it. O(depth).
    void resumed(node_id node) {
        bool here = true;
        for (entry* e = find(node); e && e->live; e = find(e->parent), here = false) {
            if (!e->resumable) continue;
            count_exposure(*e);
            statistics_.reused(passing(*e), e->passed.age(now_));
            e->passed.use(now_);
            if (!here) continue;
            if (e->children > 0) statistics_.reused(resuming(*e), e->resumed.age(now_));
            e->resumed.use(now_);
        }
    }

    /// Counts how long the next `count` entries, in turn, have gone unused. O(count).
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
            n = entry{};
            n.parent = e.parent;
            n.live = true;
            n.resumable = anywhere_;
            n.passed = n.resumed = tally{now_, now_};
            ++parent.children;
            break;
        case checkpoint_published:
            n.resumable = true;
            n.in_answer = e.in_answer;
            // To the policy, KV that was there has with this found a use; here it only comes to be
            // resumable. So at a branch point this counts one use less than the policy does. To
            // count alike, either way, gains nothing.
            n.passed = n.resumed = tally{now_, now_};
            break;
        case checkpoint_removed:
            count_exposure(n);
            n.resumable = anywhere_;
            break;
        case removed:
            count_exposure(n);
            count_exposure(parent);
            --parent.children;
            n = entry{};
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
            // As expected_savings merges: turns go on, uses are the child's own.
            n.passed.last = std::max(n.passed.last, parent.passed.last);
            n.passed.uses = std::max(n.passed.uses, parent.passed.uses);
            n.resumed.last = std::max(n.resumed.last, parent.resumed.last);
            parent = entry{};
            break;
        }
    }

private:
    struct tally {
        tick last;    ///< last use, or when the entry came to be
        tick counted; ///< exposure is counted up to here
        std::uint64_t uses = 0;

        [[nodiscard]] std::uint64_t age(tick now) const { return (now - last).value(); }
        void use(tick now) {
            last = counted = now;
            ++uses;
        }
    };
    struct entry {
        node_id parent;
        std::uint32_t children = 0;
        bool live = false;
        bool resumable = false;
        bool in_answer = false; ///< its state, while it has one
        tally passed;           ///< by requests that came by
        tally resumed;          ///< by those of them that resumed here
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
        count_exposure(passing(e), e.passed);
        if (e.children > 0) count_exposure(resuming(e), e.resumed);
        e.passed.counted = e.resumed.counted = now_;
    }
    void count_exposure(policy::reuse_class of, tally const& u) {
        statistics_.exposed(of, u.age(u.counted), u.age(now_));
    }
    [[nodiscard]] static policy::reuse_class passing(entry const& e) {
        return {policy::reuse_kind::passing, e.passed.uses, e.in_answer};
    }
    [[nodiscard]] static policy::reuse_class resuming(entry const& e) {
        return {policy::reuse_kind::resuming, e.resumed.uses};
    }

    bool anywhere_;
    bool failed_ = false;
    tick now_;
    std::vector<entry> entries_; ///< by node
    std::size_t next_ = 0;       ///< the entry to look at
    reuse_statistics statistics_;
};

} // namespace marconi::tune
