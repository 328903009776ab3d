#pragma once

// What a listener that remembers nodes by their ids knows of the pages that events name.

#include <support/engine.hpp>

#include <marconi/cache/observer.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/transfer.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

namespace support {

using cache_event = marconi::cache::event<std::int32_t>;

inline bool is_removal(cache_event const& e) {
    using enum marconi::cache::event_kind;
    return e.kind == removed || e.kind == checkpoint_removed;
}

/// What an event's pages hold: the KV of tokens [begin, tokens.size()), or the state at their end.
struct told_pages {
    marconi::scope in;
    sequence tokens;
    std::size_t begin = 0;
    bool state = false;

    /// Calls copy(transfer) with one that copies it from these pages to an engine's memory.
    template <class Copy>
    void copy_by(std::span<marconi::page_id const> pages, engine_request& to, Copy&& copy) const {
        token_count const end{tokens.size()};
        marconi::memory::checkpoint_transfer const whole{end, pages, to.state()};
        marconi::memory::transfer work;
        if (state)
            work.checkpoints = {&whole, 1};
        else if (!pages.empty())
            work.kv = {token_count{begin}, end, pages, to.kv()};
        copy(work);
    }
    [[nodiscard]] bool is_in(engine_request& memory) const {
        return state ? memory.holds_state(tokens, tokens.size())
                     : memory.holds_kv(tokens, tokens.size(), begin);
    }
};

/// The path of each node, by events alone.
class told_paths {
public:
    /// What the event's pages hold.
    told_pages hear(cache_event const& e) {
        using enum marconi::cache::event_kind;
        told_pages before;
        switch (e.kind) {
        case kv_published: {
            path& fresh = paths_[e.node] = {e.in, e.parent, tokens_of(e.parent)};
            fresh.tokens.insert(fresh.tokens.end(), e.tokens.begin(), e.tokens.end());
            break;
        }
        case checkpoint_published:
        case checkpoint_removed:
            break;
        case removed:
            before = told_of(e);
            paths_.erase(e.node);
            return before;
        case split: {
            path& lower = paths_.at(e.node);
            path upper{lower.in, lower.parent, lower.tokens};
            upper.tokens.resize(e.position.value());
            lower.parent = e.parent;
            paths_[e.parent] = upper;
            break;
        }
        case merged:
            paths_.at(e.node).parent = paths_.at(e.parent).parent;
            paths_.erase(e.parent);
            break;
        }
        return told_of(e);
    }

private:
    struct path {
        marconi::scope in;
        marconi::node_id parent;
        sequence tokens;
    };
    /// Of a root, of which no event tells: none.
    [[nodiscard]] sequence tokens_of(marconi::node_id id) const {
        auto const found = paths_.find(id);
        return found == paths_.end() ? sequence{} : found->second.tokens;
    }
    [[nodiscard]] told_pages told_of(cache_event const& e) const {
        using enum marconi::cache::event_kind;
        path const& n = paths_.at(e.node);
        return {n.in, n.tokens, tokens_of(n.parent).size(),
                e.kind == checkpoint_published || e.kind == checkpoint_removed};
    }

    std::map<marconi::node_id, path> paths_;
};

} // namespace support
