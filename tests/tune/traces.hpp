#pragma once

// A model whose figures are easy to follow by hand, and requests to ask of it.

#include <marconi/cache/audit.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/tuned_cache.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <vector>

namespace marconi::tests {

using tokens = std::vector<std::int32_t>;

/// A token's KV is one page, a checkpoint ten; n tokens take n^2 FLOPs.
inline footprint tiny_model() {
    return {.kv_layers = {{128, 128}},
            .state_pieces = {{2560, 0, 0}},
            .flops = {.per_token = 0, .per_pair = 1}};
}

/// Room for so many tokens or tenths of a checkpoint.
inline memory::ledger_store tiny_store(std::uint64_t pages, std::uint64_t block_tokens = 1) {
    return {tiny_model(),
            byte_count{pages * 256 * block_tokens},
            {.block_tokens = token_count{block_tokens}}};
}

/// `count` tokens that no other `first` shares.
inline tokens numbered(std::int32_t first, std::size_t count) {
    tokens t(count);
    std::iota(t.begin(), t.end(), first * 1000);
    return t;
}

/// A request for a whole sequence, which may resume from its very end.
inline tune::replay_request<std::int32_t> whole(tokens const& t, scope const& in = {}) {
    token_count const all{t.size()};
    return {.in = in, .tokens = t, .prompt = all, .limit = all};
}
template <class Cache>
tune::replayed ask(Cache& cache, tokens const& t, scope const& in = {}) {
    return tune::replay(cache, whole(t, in));
}

struct turn {
    scope in;
    tokens sequence;
    std::size_t prompt = 0;

    [[nodiscard]] tune::replay_request<std::int32_t> request() const {
        return {.in = in,
                .tokens = sequence,
                .prompt = token_count{prompt},
                .limit = token_count{prompt - 1}};
    }
};

/// Conversations of three tenants that start with one of a few long texts and go on, interleaved.
inline std::vector<turn> conversations(std::size_t turns, std::uint32_t seed) {
    std::mt19937 random{seed};
    auto const below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    std::vector<turn> sessions, all;
    while (all.size() < turns) {
        if (sessions.size() < 12) {
            std::uint32_t const text = below(4);
            sessions.push_back({{.tenant = text % 3},
                                numbered(1 + static_cast<std::int32_t>(text), 20 + 10 * text)});
        }
        turn& now = sessions[below(sessions.size())];
        for (std::uint32_t i = 0, n = 2 + below(20); i < n; ++i)
            now.sequence.push_back(static_cast<std::int32_t>(below(50)));
        now.prompt = now.sequence.size();
        for (std::uint32_t i = 0, n = 1 + below(15); i < n; ++i)
            now.sequence.push_back(static_cast<std::int32_t>(below(50)));
        all.push_back(now);
        if (below(4) == 0) {
            std::swap(now, sessions.back());
            sessions.pop_back();
        }
    }
    return all;
}

} // namespace marconi::tests
