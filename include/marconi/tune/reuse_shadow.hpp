#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/reuse_recorder.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace marconi::tune {

/// A larger cache than the one at work, which only counts and stores nothing, and sees the same
/// requests. What it still holds and the cache at work has evicted shows when it is asked for
/// again: the rates of reuse that it records are not cut short by the evictions that they are to
/// decide.
template <policy::admission_policy Admission, token Token>
class reuse_shadow : public cache::prefix_cache<memory::ledger_store, Admission, policy::lru,
                                                reuse_recorder<Token>, Token> {
    using base = cache::prefix_cache<memory::ledger_store, Admission, policy::lru,
                                     reuse_recorder<Token>, Token>;

public:
    /// `most` bounds the memory for what it remembers. Some 140 KB are taken in any case.
    reuse_shadow(memory::ledger_store const& blank, cache::cache_options options,
                 Admission admission, byte_count most)
        : base{blank, options, std::move(admission), policy::lru{},
               reuse_recorder<Token>{blank.layout().model().has_checkpoints()}},
          most_{most},
          // In the tree, in the policy's index and in the recorder; and its checkpoint's pages.
          node_bytes_{512 + blank.layout().checkpoint_pages(token_count{most_tokens}) *
                                (sizeof(page_id) + metadata_of_page)} {}

    /// Shows it a request of the cache at work, at that cache's time. False if the request goes
    /// unseen: it would take over an eighth of the memory, or the shadow is still full after as
    /// many evictions as one request may cause. O(tokens + depth), and O(log N) for each state it
    /// brings.
    bool ask(replay_request<Token> const& request, tick now) {
        make_way(evicted_at_once);
        if (is_full() || !fits(request.tokens.size(), 0)) return false;
        prepared_replay const ready = prepare(*this, request);
        if (!fits(request.tokens.size(), ready.captured.size())) return false;

        this->observer().set_time(now);
        std::uint64_t const nodes = this->holds().nodes;
        (void)play(*this, request, ready, [this](typename base::lease const& opened) {
            this->observer().resumed(this->record(opened).node);
        });
        this->observer().look_at(looked_at);
        std::uint64_t const now_there = this->holds().nodes;
        make_way(2 * (now_there - std::min(nodes, now_there)));
        return true;
    }

    /// Bytes of memory on the host.
    [[nodiscard]] byte_count memory() const {
        return memory_of(*this) + byte_count{this->observer().bytes()};
    }

private:
    /// Entries whose exposure is counted with every request.
    static constexpr std::size_t looked_at = 64;
    /// Most evictions before a request, so that none takes long; after it, twice what it added.
    static constexpr std::uint64_t evicted_at_once = 64;

    // The memory that entries take and that pages take is not all given back: what conversations of
    // one kind took would be lost to those of another. So nodes, with their checkpoints, have one
    // part of it, tokens another, and what a request adds before others make way for it the rest.
    [[nodiscard]] std::uint64_t most_for_nodes() const { return most_.value() / 8 * 3; }
    [[nodiscard]] std::uint64_t most_for_tokens() const { return most_.value() / 2; }
    [[nodiscard]] std::uint64_t most_for_request() const { return most_.value() / 8; }

    /// While the pool's vectors grow they have up to twice the room.
    static constexpr std::uint64_t metadata_of_page = 2 * memory::page_pool::metadata_per_page;

    [[nodiscard]] bool is_full() const {
        auto const holds = this->holds();
        std::uint64_t const pages = holds.kv_and_leased / this->store().layout().page_bytes();
        std::uint64_t const payload = this->internals().tree().paths().payload_bytes();
        return holds.nodes * node_bytes_ > most_for_nodes() ||
               payload + pages * metadata_of_page > most_for_tokens();
    }
    /// Whether a request is small enough to be seen, even if all of it is new here.
    [[nodiscard]] bool fits(std::uint64_t tokens, std::uint64_t states) const {
        std::uint64_t const blocks = tokens / this->store().layout().block_tokens();
        return tokens * sizeof(Token) + blocks * (sizeof(page_id) + metadata_of_page) +
                   (states + 2) * node_bytes_ <=
               most_for_request();
    }
    void make_way(std::uint64_t evictions) {
        for (; evictions > 0 && is_full(); --evictions)
            if (this->evict(byte_count{1}) == byte_count{}) return;
    }

    byte_count most_;
    std::uint64_t node_bytes_;
};

} // namespace marconi::tune
