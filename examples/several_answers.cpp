// Three answers to one prompt, and a fourth that goes on from the middle of the first. All but the
// first fork: they resume by a state that the engine has itself, and copies from slot to slot. The
// cache gives them the KV, which it holds once, and need not keep a state for them.

#include "small_engine.hpp"

#include <marconi/marconi.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using namespace small_engine;

namespace {

using cache_type = prefix_cache<host_store>;
constexpr std::size_t longest = 400;

/// One answer under way.
struct answer {
    cache_type::lease lease;
    token_list tokens;
    working_memory memory{longest};
    std::size_t computed = 0; ///< of the tokens

    /// Computes the rest, and publishes it.
    void commit(cache_type& cache) {
        memory.prefill(tokens, computed, {});
        computed = tokens.size();
        cache.commit(lease, tokens, {.kv = memory.kv()});
    }
};

void say(token_list& to, std::size_t tokens, std::mt19937& dice) {
    for (; tokens > 0; --tokens)
        to.push_back(static_cast<std::int32_t>(dice() % 30'000));
}

/// Goes on from where `parent` stands, with nothing computed again. If the KV went meanwhile, all
/// of it is computed again.
void fork(cache_type& cache, answer& parent, answer& child) {
    token_count const here{parent.computed};
    child.tokens.assign(parent.tokens.begin(),
                        parent.tokens.begin() + static_cast<std::ptrdiff_t>(parent.computed));
    child.lease = cache.open({}, child.tokens, {.limit = here, .state_at = here});
    if (child.lease.resume_at() != here) return;
    cache.restore(child.lease, child.memory.kv(), {}); // KV alone
    std::ranges::copy(parent.memory.state_bytes(), child.memory.state_bytes().begin());
    child.computed = parent.computed;
}

} // namespace

int main() {
    cache_type cache{host_store{hybrid, 64_KiB, {.block_tokens = 16_tokens}}};
    std::mt19937 dice{1};
    std::vector<answer> answers(4);
    answer& first = answers[0];
    say(first.tokens, 200, dice);
    first.lease = cache.open({}, first.tokens);
    first.commit(cache);

    fork(cache, first, answers[1]);
    fork(cache, first, answers[2]);
    for (answer& one : answers)
        if (&one != &answers[3]) say(one.tokens, 60, dice);
    first.commit(cache);
    fork(cache, first, answers[3]);
    for (answer& one : answers) {
        say(one.tokens, 60, dice);
        one.commit(cache);
    }

    bool right = true;
    std::size_t sum = 0;
    for (answer const& one : answers) {
        right = right && one.memory.is_right_for(one.tokens);
        sum += one.tokens.size();
    }
    occupancy const holds = cache.holds();
    std::printf("%zu answers have %zu tokens, prompt included; of which %lu were not computed "
                "again; the cache holds %lu, in blocks of 16, and %lu states\n",
                answers.size(), sum, cache.stats().tokens_resumed.value(),
                holds.kv_and_leased / hybrid.kv_bytes_per_token(), holds.checkpoint_count);
    std::printf("each of them is %s\n", right ? "what it should be" : "wrong");
    bool const forked = cache.stats().tokens_resumed == 660_tokens && holds.checkpoint_count == 0;
    return right && forked && cache::audit(cache).empty() ? 0 : 1;
}
