// A small cache in fast memory, and a slow one for what it evicts. In two_tiers.cpp everything goes
// to both, so that they hold no more than the slow one does. Here a state, and the KV that leads to
// it, goes to the slow cache when it leaves the fast one, and they hold nearly as much as both have
// room for. An observer of the fast cache copies what goes, while its pages hold it still.

#include "small_engine.hpp"

#include <marconi/marconi.hpp>

#include <cstdint>
#include <cstdio>
#include <list>
#include <map>
#include <span>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using namespace small_engine;

namespace {

/// Of a sequence that the fast cache held: the KV from `from` on, the state at its end, or both.
struct evicted {
    evicted(scope const& whose, token_list const& path)
        : in{whose}, tokens{path}, memory{path.size()}, from{path.size()} {}

    scope in;
    token_list tokens;
    working_memory memory;
    token_count from;
    bool has_state = false;
};

/// Copies what goes. It may not call a cache: what it has copied waits for the end of the call. (On
/// a GPU its copies name a stream, and so do the commits to the slow cache: the same one. An engine
/// that can run out of memory here forgets all paths, and hears a snapshot.)
class salvage {
public:
    host_store const* store = nullptr; ///< the fast cache's

    void observe(event<std::int32_t> const& e) {
        switch (e.kind) {
        case event_kind::kv_published: {
            path all{e.in, tokens_of(e.parent)};
            all.tokens.insert(all.tokens.end(), e.tokens.begin(), e.tokens.end());
            paths_[e.node] = std::move(all);
            break;
        }
        case event_kind::split: { // a new parent takes the first tokens
            path upper = paths_[e.node];
            upper.tokens.resize(e.position.value());
            paths_[e.parent] = std::move(upper);
            break;
        }
        case event_kind::merged: // the child's path is what it was
            paths_.erase(e.parent);
            break;
        case event_kind::checkpoint_published:
            break;
        case event_kind::checkpoint_removed: {
            if (is_unwanted(e)) break;
            evicted& one = found_.emplace_back(paths_[e.node].in, paths_[e.node].tokens);
            memory::checkpoint_transfer const state{e.position, e.pages, one.memory.state()};
            store->load({.checkpoints = {&state, 1}}, {});
            one.has_state = true;
            break;
        }
        case event_kind::removed: { // if it had a state, right after that
            path const gone = std::move(paths_[e.node]);
            paths_.erase(e.node);
            if (is_unwanted(e)) break;
            if (found_.empty() || found_.back().in != gone.in ||
                found_.back().tokens != gone.tokens)
                found_.emplace_back(gone.in, gone.tokens);
            evicted& one = found_.back();
            one.from = token_count{tokens_of(e.parent).size()};
            store->load({.kv = {one.from, e.position, e.pages, one.memory.kv()}}, {});
            break;
        }
        }
    }
    /// In the order in which it went; what was taken before is not in it.
    [[nodiscard]] std::list<evicted> take() { return std::exchange(found_, {}); }

private:
    struct path {
        scope in;
        token_list tokens;
    };
    /// What was cleared or forgotten, which is to be done in the slow cache, too.
    static bool is_unwanted(event<std::int32_t> const& e) {
        return e.why == eviction_reason::clear;
    }
    /// None of a scope's root, of which no event tells.
    [[nodiscard]] token_list tokens_of(node_id node) const {
        auto const found = paths_.find(node);
        return found == paths_.end() ? token_list{} : found->second.tokens;
    }

    std::map<node_id, path> paths_;
    std::list<evicted> found_;
};

struct to_salvage {
    salvage* all;
    void observe(event<std::int32_t> const& e) { all->observe(e); }
};

class two_tiers {
    using fast_cache = prefix_cache<host_store, branch_and_tail, gdsf, to_salvage>;
    using slow_cache = prefix_cache<host_store>;
    static constexpr token_count block = 16_tokens;

public:
    using lease = fast_cache::lease;

    two_tiers(byte_count fast, byte_count slow)
        : fast_{host_store{hybrid, fast, {.block_tokens = block}}, {}, {}, {}, {&salvage_}},
          slow_{host_store{hybrid, slow, {.block_tokens = block}}} {
        salvage_.store = &fast_.store();
    }

    /// Opens a request, and copies what either cache can resume into the engine's memory. Returns
    /// how many tokens that are. What only the slow one held is in the fast one, too, from here on.
    [[nodiscard]] token_count open(lease& held, token_list const& prompt, working_memory& to) {
        held = fast_.open({}, prompt);
        if (held.resume_at() >= slow_.match({}, prompt).resumable) {
            fast_.restore(held, to.kv(), to.state());
            return held.resume_at();
        }
        auto slow = slow_.open({}, prompt);
        slow_.restore(slow, to.kv(), to.state());
        token_count const from = slow.resume_at();
        slow.release(); // the fast cache may evict what has to make it room there
        captured_state const there{.position = from, .state = to.state()};
        commit(held, std::span{prompt.data(), from.value()},
               {.kv = to.kv(), .checkpoints = {&there, 1}});
        return from;
    }
    void commit(lease const& held, std::span<std::int32_t const> tokens, computed const& brought) {
        fast_.commit(held, tokens, brought);
        // What lies above goes later than what lies below, and is needed there earlier.
        for (auto gone = salvage_.take(); !gone.empty(); gone.pop_back())
            keep(gone.back());
    }

    [[nodiscard]] bool is_sound() const {
        return cache::audit(fast_).empty() && cache::audit(slow_).empty();
    }

private:
    /// A cache holds KV from the first token on, or none. Of what lies above `one`, the slow cache
    /// has some, and the fast one the rest: both copy what this commit lacks. (What the fast cache
    /// could not keep, nor the slow one take, is gone, and so is what lies below it.)
    void keep(evicted& one) {
        token_count const end{one.tokens.size()};
        token_count const known = slow_.match(one.in, one.tokens).matched;
        token_count const row = block * (known / block); // where a commit begins to read
        auto const to =
            slow_.open(one.in, one.tokens, {.limit = end, .state_at = known, .counted = false});
        if (known < one.from) {
            auto const above = fast_.open(
                one.in, one.tokens, {.limit = one.from, .state_at = one.from, .counted = false});
            if (above.resume_at() != one.from) return;
            fast_.restore(above, one.memory.kv(), {}, {}, row);
        } else {
            slow_.restore(to, one.memory.kv(), {}, {}, row);
        }
        captured_state const there{.position = end, .state = one.memory.state()};
        slow_.commit(to, one.tokens,
                     {.kv = one.memory.kv(), .checkpoints = {&there, one.has_state ? 1u : 0u}});
    }

    salvage salvage_;
    fast_cache fast_;
    slow_cache slow_;
};

struct tally {
    token_count asked, resumed;
    bool right = true;
};

void serve(two_tiers& cache, token_list const& prompt, tally& sum) {
    token_count const end{prompt.size()};
    working_memory memory{prompt.size()};
    two_tiers::lease held;
    token_count const begin = cache.open(held, prompt, memory);
    sum.asked += end;
    sum.resumed += begin;

    std::vector wanted(held.capture_at().begin(), held.capture_at().end());
    if (held.should_capture(end, /*last=*/true)) wanted.push_back(end);
    std::erase_if(wanted, [&](token_count at) { return at <= begin; });
    auto const copies = memory.prefill(prompt, begin.value(), wanted);
    cache.commit(held, prompt, {.kv = memory.kv(), .checkpoints = copies.captured()});

    sum.right = sum.right && memory.is_right_for(prompt);
}

} // namespace

int main() {
    auto const counting = [](byte_count room) {
        return ledger_store{hybrid, room, {.block_tokens = 16_tokens}};
    };
    two_tiers cache{256_KiB, 256_KiB};
    prefix_cache slow_alone{counting(256_KiB)}, in_one{counting(512_KiB)};
    tally sum;
    for (token_list const& prompt : turns_of(20, 160)) {
        serve(cache, prompt, sum);
        token_count const end{prompt.size()};
        for (auto* other : {&slow_alone, &in_one})
            tune::replay(*other, {.tokens = prompt, .prompt = end, .limit = end - 1_tokens});
    }
    auto const share = [&](token_count part) {
        return 100 * static_cast<double>(part.value()) / static_cast<double>(sum.asked.value());
    };
    token_count const through = slow_alone.stats().tokens_resumed;
    std::printf("of %lu prompt tokens two tiers of equal size resumed %.0f %%; if everything had "
                "gone to both at once, %.0f %%; one cache of both sizes, %.0f %%\n",
                sum.asked.value(), share(sum.resumed), share(through),
                share(in_one.stats().tokens_resumed));
    std::printf("the engine's memory held %s\n", sum.right ? "what it should" : "something wrong");
    bool const gained = share(sum.resumed) > share(through) + 10;
    return sum.right && gained && cache.is_sound() ? 0 : 1;
}
