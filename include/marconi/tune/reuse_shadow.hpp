#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/reuse_recorder.hpp>

#include <cstdint>
#include <utility>

namespace marconi::tune {

/// A larger cache than the one at work, which counts and stores nothing, and sees the same
/// requests. What it still holds and that one has evicted shows when it is asked for again: the
/// rates of reuse that it records are not cut short by the evictions that they are to decide.
template <policy::admission_policy Admission, token Token>
class reuse_shadow : public cache::prefix_cache<memory::ledger_store, Admission, policy::lru,
                                                reuse_recorder<Token>, Token> {
    using base = cache::prefix_cache<memory::ledger_store, Admission, policy::lru,
                                     reuse_recorder<Token>, Token>;

public:
    /// `most`: of memory, for what it remembers. Some 100 KB are taken in any case.
    reuse_shadow(memory::ledger_store const& blank, cache::cache_options options,
                 Admission admission, byte_count most)
        : base{blank, options, std::move(admission), policy::lru{},
               reuse_recorder<Token>{blank.layout().model().has_checkpoints()}},
          most_{most} {}

    /// A request of the cache at work, at that cache's time. One that would take over a quarter of
    /// the memory goes unseen, which is answered with false. O(tokens + depth).
    bool ask(replay_request<Token> const& request, tick now) {
        if (memory_for(request.tokens.size()) > most_.value() / 4) return false;
        this->observer().set_time(now);
        (void)replay(*this, request, [this](typename base::lease const& opened) {
            this->observer().resumed(this->record(opened).node);
        });
        this->observer().look_at(looked_at);
        for (int i = 0; i < evicted_at_once && is_full(); ++i)
            if (this->evict(byte_count{1}) == byte_count{}) break;
        return true;
    }

    /// Bytes of memory on the host.
    [[nodiscard]] byte_count memory() const {
        return memory_of(*this) + byte_count{this->observer().bytes()};
    }

private:
    /// Entries whose exposure is counted with every request.
    static constexpr std::size_t looked_at = 64;
    /// Most that make way with every request, so that none takes long.
    static constexpr int evicted_at_once = 64;
    /// What a node takes beside its tokens is not given back: half of the memory is theirs at most.
    static constexpr std::uint64_t memory_per_node = 1024;

    /// What a sequence takes that nobody has asked for before. The part for its pages is not given
    /// back either.
    [[nodiscard]] std::uint64_t memory_for(std::uint64_t tokens) const {
        std::uint64_t const blocks = tokens / this->store().layout().block_tokens();
        return tokens * sizeof(Token) + blocks * (sizeof(page_id) + page_metadata);
    }
    [[nodiscard]] bool is_full() const {
        return memory() > most_ || this->holds().nodes > most_.value() / memory_per_node;
    }

    byte_count most_;
};

} // namespace marconi::tune
