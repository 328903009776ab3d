// Requests built to hurt: what each costs must not grow with what the others left in the cache, and
// no depth of the tree may need a stack. Everything runs on a stack of 64 KiB.

#include <hostile/growth.hpp>

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/tune/replay.hpp>

#include <support/catch.hpp>
#include <support/sanitizers.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace marconi;

namespace {

using sequence = std::vector<std::int32_t>;

constexpr double most_growth = 3;
#if MARCONI_UNDER_ASAN || !defined(NDEBUG)
constexpr std::size_t many = 20'000;
#else
constexpr std::size_t many = 100'000;
#endif

footprint model(bool with_states) {
    footprint m{.model = "hostile", .kv_layers = {{8, 8}}, .flops = {.per_pair = 1}};
    if (with_states) m.state_pieces = {{.fixed_bytes = 512}};
    return m;
}

template <class Eviction>
using counting_cache = cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, Eviction>;

template <class Eviction = policy::gdsf>
counting_cache<Eviction> cache_of(bool with_states, std::uint64_t pages) {
    return counting_cache<Eviction>{memory::ledger_store{
        model(with_states), byte_count{256} * pages, {.block_tokens = token_count{16}}}};
}

template <class Cache>
void serve(Cache& cache, scope const& in, sequence const& tokens) {
    token_count const size{tokens.size()};
    (void)tune::replay(cache, {.in = in, .tokens = tokens, .prompt = size, .limit = size});
}

void require(bool truth, char const* what) {
    if (!truth) throw std::logic_error{what};
}

template <class Cache>
void require_empty(Cache const& cache) {
    require(cache.holds().nodes == 0 && cache.holds().used == byte_count{}, "the cache is empty");
}

/// `n` prompts that differ in their last token only; the shared part ends inside a block.
template <class Cache>
void serve_siblings(Cache& cache, std::size_t n) {
    sequence tokens(40, 7);
    for (std::size_t i = 0; i < n; ++i) {
        tokens.back() = static_cast<std::int32_t>(i);
        serve(cache, {}, tokens);
    }
}

/// One sequence with a checkpoint at each of its `n` tokens: a chain of as many nodes.
template <class Cache>
sequence commit_chain(Cache& cache, std::size_t n) {
    sequence const tokens(n, 3);
    std::vector<cache::captured_state> states;
    for (std::size_t i = 1; i <= n; ++i)
        states.push_back({.position = token_count{i}, .state = {}});
    auto lease = cache.acquire(cache.plan(cache.match({}, tokens)));
    auto const outcome = cache.commit(lease, tokens, {.kv = {}, .checkpoints = states});
    require(outcome.complete() && cache.holds().nodes == n, "the chain is there");
    return tokens;
}

} // namespace

TEST_CASE("hostile: any number of prompts that share all but the last token") {
    bool const with_states = GENERATE(false, true);
    INFO((with_states ? "with states" : "without states"));
    CHECK(hostile::cost_of_doubling(many, [&](std::size_t n) {
              auto cache = cache_of(with_states, 8 * n);
              serve_siblings(cache, n);
              require(cache.holds().nodes == n + 1 && cache.stats().evictions() == 0,
                      "each has its leaf");
              cache.clear();
              require_empty(cache);
          }) < most_growth);
}

TEST_CASE("hostile: siblings for which there is no room") {
    CHECK(hostile::cost_of_doubling(many, [&](std::size_t n) {
              auto cache = cache_of(true, n);
              serve_siblings(cache, n);
              require(cache.stats().evictions() > n / 2, "they are evicted");
          }) < most_growth);
}

TEST_CASE("hostile: requests that go half-way into an edge above many siblings") {
    CHECK(hostile::cost_of_doubling(many, [&](std::size_t n) {
              auto cache = cache_of(false, 8 * n);
              serve_siblings(cache, n);
              // Each cuts the edge in the block that all the siblings begin in.
              sequence tokens(39, 7);
              tokens.back() = -1;
              for (std::size_t i = 0; i < n; ++i) {
                  serve(cache, {}, tokens);
                  require(cache.evict(byte_count{1}) > byte_count{}, "something goes");
              }
          }) < most_growth);
}

TEST_CASE("hostile: a path with a node at every token") {
    CHECK(hostile::cost_of_doubling(many, [&](std::size_t n) {
              auto cache = cache_of<policy::lru>(true, 3 * n);
              sequence const tokens = commit_chain(cache, n);
              require(cache.match({}, tokens, {.limit = token_count{n}}).resumable ==
                          token_count{n},
                      "all of it is found");
              for (int i = 0; i < 3; ++i)
                  serve(cache, {}, tokens);
              (void)cache.evict(cache.holds().used * 1u);
              require_empty(cache);
              commit_chain(cache, n);
              cache.clear();
              require_empty(cache);
              commit_chain(cache, n); // for the destructor
          }) < most_growth);
}

TEST_CASE("hostile: a branch at every token of a long path") {
    // Prompts of length 1, 2, 3 and so on are quadratic by themselves: no bound but the stack's.
    support::on_small_stack([] {
        std::size_t const n = 4000;
        auto cache = cache_of(false, 20 * n);
        sequence const trunk(n, 1);
        serve(cache, {}, trunk);
        for (std::size_t i = 1; i < n; ++i) {
            sequence branch(trunk.begin(), trunk.begin() + static_cast<std::ptrdiff_t>(i));
            branch.push_back(2);
            serve(cache, {}, branch);
        }
        require(cache.holds().nodes == 2 * n - 1, "a node and a leaf at every token");
        require(cache::audit(cache).empty(), "the audit");
        cache.clear();
        require_empty(cache);
    });
}

TEST_CASE("hostile: the same prompt from any number of scopes") {
    CHECK(hostile::cost_of_doubling(many / 4, [&](std::size_t n) {
              auto cache = cache_of(true, 8 * n);
              sequence const tokens(40, 7);
              for (std::size_t i = 0; i < n; ++i)
                  serve(cache, {.tenant = i << 32}, tokens);
              require(cache.holds().scopes == n && cache.stats().hits == 0, "none sees another's");
              cache.clear();
              require_empty(cache);
          }) < most_growth);
}

TEST_CASE("hostile: an answer without end, whose pages are reserved one by one") {
    CHECK(hostile::cost_of_doubling(many, [&](std::size_t n) {
              auto cache = cache_of(true, n);
              sequence const prompt(40, 7);
              auto const lease = cache.acquire(cache.plan(cache.match({}, prompt)));
              for (std::size_t pages = 1; pages <= n; ++pages) {
                  token_count const all{16 * pages};
                  require(cache.reserve(lease, all) == all, "there is room");
              }
          }) < most_growth);
}

TEST_CASE("hostile: each prompt a little less worth than the one before it") {
    // Older and more efficient, newer and less: no candidate is worse than another in both.
    CHECK(hostile::cost_of_doubling(many / 20, [&](std::size_t n) {
              auto cache = cache_of<policy::flop_aware>(true, 1'000'000);
              cache.eviction().set_alpha(1);
              for (std::size_t i = 0; i < n; ++i)
                  serve(cache, {},
                        sequence(16 * (1 + (n - i) % 512), static_cast<std::int32_t>(i)));
              while (cache.evict(byte_count{1}) > byte_count{}) {
              }
              require_empty(cache);
          }) < most_growth);
}
