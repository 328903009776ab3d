// A small cache in fast memory in front of a large one in slow memory. On a GPU these are a
// device_store and a second one on a range of pinned host memory; here both are on the host. Both
// see every request. A request resumes from the tier that holds more of it; what that tier held is
// given to the other, and what is computed goes to both.

#include "small_engine.hpp"

#include <marconi/marconi.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <span>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using namespace small_engine;

namespace {

class two_tiers {
    using tier = prefix_cache<host_store>;

public:
    two_tiers(byte_count fast, byte_count slow)
        : fast_{host_store{hybrid, fast, {.block_tokens = 16_tokens}}},
          slow_{host_store{hybrid, slow, {.block_tokens = 64_tokens}}} {}

    struct lease {
        tier::lease fast, slow;

        [[nodiscard]] token_count resume_at() const {
            return std::max(fast.resume_at(), slow.resume_at());
        }
        /// Where either tier wants the state of this prompt, its end included.
        [[nodiscard]] std::vector<token_count> capture_at(token_count end) const {
            std::vector<token_count> wanted;
            std::ranges::set_union(fast.capture_at(), slow.capture_at(),
                                   std::back_inserter(wanted));
            if (fast.should_capture(end, /*last=*/true) || slow.should_capture(end, /*last=*/true))
                wanted.push_back(end);
            // The tier that holds less may want positions that this prefill does not pass.
            std::erase_if(wanted, [&](token_count at) { return at <= resume_at(); });
            return wanted;
        }
    };

    [[nodiscard]] lease open(token_list const& prompt) {
        return {fast_.open({}, prompt), slow_.open({}, prompt)};
    }

    /// Copies what the better tier holds into the engine's memory, and from there to the other
    /// tier. True if the better tier was the fast one.
    bool restore(lease& held, token_list const& prompt, working_memory& to) {
        token_count const from = held.resume_at();
        bool const fast = held.fast.resume_at() == from;
        if (fast)
            fast_.restore(held.fast, to.kv(), to.state());
        else
            slow_.restore(held.slow, to.kv(), to.state());
        std::span const known{prompt.data(), from.value()};
        captured_state const there{.position = from, .state = to.state()};
        computed const all{.kv = to.kv(), .checkpoints = {&there, 1}};
        if (held.slow.resume_at() < from) slow_.commit(held.slow, known, all);
        if (held.fast.resume_at() < from) fast_.commit(held.fast, known, all);
        return fast;
    }

    /// Each tier stores what it has room for, as its outcome tells; the other may have the rest.
    void commit(lease& held, token_list const& tokens, computed const& brought) {
        fast_.commit(held.fast, tokens, brought);
        slow_.commit(held.slow, tokens, brought);
    }

    [[nodiscard]] bool is_sound() const {
        return cache::audit(fast_).empty() && cache::audit(slow_).empty();
    }

private:
    tier fast_, slow_;
};

struct tally {
    token_count asked, from_fast, from_slow;
    bool right = true;
};

void serve(two_tiers& cache, token_list const& prompt, tally& sum) {
    token_count const end{prompt.size()};
    working_memory memory{prompt.size()};
    auto lease = cache.open(prompt);
    token_count const begin = lease.resume_at();
    sum.asked += end;
    (cache.restore(lease, prompt, memory) ? sum.from_fast : sum.from_slow) += begin;

    auto const wanted = lease.capture_at(end);
    auto const copies = memory.prefill(prompt, begin.value(), wanted);
    cache.commit(lease, prompt, {.kv = memory.kv(), .checkpoints = copies.captured()});

    sum.right = sum.right && memory.is_right_for(prompt);
}

} // namespace

int main() {
    two_tiers cache{128_KiB, 2_MiB};
    prefix_cache fast_alone{ledger_store{hybrid, 128_KiB, {.block_tokens = 16_tokens}}};
    tally sum;
    for (token_list const& prompt : turns_of(20, 160)) {
        serve(cache, prompt, sum);
        token_count const end{prompt.size()};
        tune::replay(fast_alone, {.tokens = prompt, .prompt = end, .limit = end - 1_tokens});
    }
    token_count const alone = fast_alone.stats().tokens_resumed;
    auto const share = [&](token_count part) {
        return 100 * static_cast<double>(part.value()) / static_cast<double>(sum.asked.value());
    };
    std::printf("of %lu prompt tokens resumed from fast memory %.0f %%, from slow memory %.0f %%; "
                "with fast memory alone %.0f %%\n",
                sum.asked.value(), share(sum.from_fast), share(sum.from_slow), share(alone));
    std::printf("the engine's memory held %s\n", sum.right ? "what it should" : "something wrong");
    bool const gained = sum.from_fast + sum.from_slow > 2 * alone;
    return sum.right && gained && cache.is_sound() ? 0 : 1;
}
