// Readers, writers, droppers of leases and a tuner's thread on one cache. What the assertions say
// is half of it: run under ThreadSanitizer, these find what is not ordered.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/concurrent_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/tune/learning_cache.hpp>
#include <marconi/tune/tuned_cache.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using support::engine_request;
using support::sequence;

namespace {

using host_cache = cache::concurrent_cache<cache::prefix_cache<memory::host_store>>;
static_assert(std::same_as<host_cache,
                           decltype(cache::concurrent_cache{std::declval<memory::host_store>()})>);

/// Prompts that share prefixes of every length.
sequence some_prompt(std::mt19937& random) {
    sequence tokens;
    for (std::size_t n = 1 + random() % 60; tokens.size() < n;)
        tokens.push_back(static_cast<std::int32_t>(random() % 2));
    return tokens;
}

/// One request from match to release, as a thread of an engine would serve it. False if what it
/// was given back was wrong.
template <class Cache>
bool serve(Cache& cache, footprint const& model, sequence const& prompt, bool drop,
           typename Cache::lease& left) {
    typename Cache::lease lease;
    while (!lease)
        lease = cache.acquire(cache.plan(cache.match({}, prompt)));
    engine_request engine{model};
    std::size_t const at = lease.resume_at().value();
    bool right = true;
    if (at > 0) {
        cache.restore(lease, engine.kv(), engine.state());
        right = engine.holds(prompt, at);
    }
    if (!drop) {
        engine.compute(prompt, at, prompt.size());
        auto state = engine.state_at(prompt, prompt.size());
        std::vector<std::byte*> pieces;
        for (auto& piece : state)
            pieces.push_back(piece.data());
        cache::captured_state const tail{token_count{prompt.size()}, {pieces}};
        (void)cache.commit(lease, prompt, {.kv = engine.kv(), .checkpoints = {&tail, 1}});
    }
    left = std::move(lease);
    return right;
}

/// Leases handed from the threads that took them to the one that drops them.
template <class Lease>
class lease_queue {
public:
    void push(Lease lease) {
        std::lock_guard const held{mutex_};
        leases_.push_back(std::move(lease));
    }
    /// Drops what is there.
    void drop_all() {
        std::vector<Lease> leases;
        std::lock_guard const held{mutex_};
        leases.swap(leases_);
    }

private:
    std::mutex mutex_;
    std::vector<Lease> leases_;
};

} // namespace

TEST_CASE("readers, writers and droppers of leases on one cache: all that is restored is right") {
    footprint const model = support::hybrid_model();
    host_cache cache{memory::host_store{model, byte_count{1 << 16}, {.block_tokens = 4_tokens}}};
    constexpr int writers = 3, requests = 500;
    std::atomic<int> working{writers}, wrong{0}, hits{0};
    lease_queue<host_cache::lease> queue;

    std::vector<std::thread> threads;
    for (std::uint32_t w = 0; w < writers; ++w)
        threads.emplace_back([&, w] {
            std::mt19937 random{w};
            for (int i = 0; i < requests; ++i) {
                host_cache::lease lease;
                wrong += !serve(cache, model, some_prompt(random), i % 7 == 0, lease);
                hits += lease.resume_at() > 0_tokens;
                queue.push(std::move(lease));
            }
            --working;
        });
    std::atomic<std::uint64_t> matched{0};
    threads.emplace_back([&] { // a reader: a router, or a dashboard
        std::mt19937 random{99};
        do {
            auto const match = cache.match({}, some_prompt(random));
            matched += match.matched.value();
            auto const counts = cache.stats();
            wrong += counts.tokens_resumed > counts.tokens_asked;
            wrong += cache.holds().used > cache.holds().capacity;
        } while (working > 0);
    });
    threads.emplace_back([&] { // drops others' leases, makes room and forgets now and then
        std::mt19937 random{98};
        do {
            queue.drop_all();
            (void)cache.evict(byte_count{2000});
            auto const wrong_after_all = some_prompt(random);
            if (random() % 8 == 0)
                (void)cache.forget({}, wrong_after_all, token_count{wrong_after_all.size() / 2});
            if (random() % 64 == 0) (void)cache.forget({});
        } while (working > 0);
    });
    for (std::thread& t : threads)
        t.join();
    queue.drop_all();

    CHECK(wrong == 0);
    CHECK(hits > 0);
    CHECK(matched > 0);
    CHECK(cache.stats().requests == writers * requests);
    CHECK(cache.beside_readers([](auto const& inner) { return cache::audit(inner); }).empty());
    cache.clear();
    CHECK(cache.holds().used == byte_count{});
}

namespace {

/// 1,200 requests from three threads, and something on this one meanwhile.
template <class Cache, class Meanwhile>
void three_writers(Cache& cache, Meanwhile&& meanwhile) {
    std::vector<std::thread> threads;
    for (std::uint32_t w = 0; w < 3; ++w)
        threads.emplace_back([&, w] {
            std::mt19937 random{w};
            for (int i = 0; i < 400; ++i) {
                sequence const prompt = some_prompt(random);
                auto const lease = cache.open({}, prompt);
                cache::captured_state const tail{token_count{prompt.size()}};
                (void)cache.commit(lease, prompt, {.checkpoints = {&tail, 1}});
            }
        });
    meanwhile();
    for (std::thread& t : threads)
        t.join();
}

} // namespace

TEST_CASE("a cache that tunes itself on a thread of its own, under several writers") {
    using tuned = cache::concurrent_cache<tune::tuned_cache<memory::ledger_store>>;
    footprint const model = support::hybrid_model();
    tuned cache{memory::ledger_store{model, byte_count{20'000}, {.block_tokens = 4_tokens}},
                cache::cache_options{}, tune::tuning_options{}};
    three_writers(cache, [] {});
    cache.alone([](auto& inner) { inner.wait_for_tuning(); });
    CHECK(cache.beside_readers(
        [](auto const& inner) { return inner.tuning().state == tune::tuning_state::done; }));
    CHECK(cache.stats().requests == 1200);
    CHECK(cache.beside_readers([](auto const& inner) { return cache::audit(inner); }).empty());
}

TEST_CASE("a cache that learns, under several writers and a reader of its report") {
    using learning = cache::concurrent_cache<tune::learning_cache<memory::ledger_store>>;
    learning cache{memory::ledger_store{
        support::hybrid_model(), byte_count{20'000}, {.block_tokens = 4_tokens}}};
    auto const requests_told = [](auto const& inner) { return inner.learning().requests; };
    std::uint64_t told = 0;
    three_writers(cache, [&] {
        while (told < 100)
            told = cache.beside_readers(requests_told);
    });
    CHECK(cache.beside_readers(requests_told) == 1200);
    CHECK(cache.stats().requests == 1200);
    CHECK(cache.beside_readers([](auto const& inner) { return cache::audit(inner); }).empty());
}

TEST_CASE("open is match, plan and acquire as one; a lease moves, and lets go early") {
    footprint const model = support::hybrid_model();
    host_cache cache{memory::host_store{model, 1_MiB, {.block_tokens = 4_tokens}}};
    sequence const prompt{1, 2, 3, 4, 5, 6, 7, 8, 9};
    host_cache::lease left;
    REQUIRE(serve(cache, model, prompt, false, left));
    host_cache::lease kept = std::move(left);
    CHECK(left.stale());
    CHECK(kept.position() == 9_tokens);
    kept = {};
    CHECK(cache.holds().leases == 0);

    sequence longer = prompt;
    longer.push_back(10);
    CHECK_THROWS_AS(cache.open({}, longer, {.weight = -1}), invalid_argument);
    auto lease = cache.open({}, longer, {.weight = 2});
    CHECK(lease.resume_at() == 9_tokens);
    CHECK(cache.block_table(lease).size() == 3);
    CHECK(cache.block_table(lease, 2).size() == 1);
    CHECK(cache.obtainable(1_B) >= 1_B);
    CHECK(cache.holds({}).tokens == 9_tokens);
    CHECK(cache.scopes() == std::vector{scope{}});
    CHECK(cache.reserve(lease, 12_tokens) == 12_tokens);
    CHECK(lease.should_capture(10_tokens, true));
    lease.used_on({}); // on the host there is nothing to wait for
    cache.unreserve(lease, 10_tokens);
    CHECK(cache.deduplicate(lease) == 0_B); // nobody else computed it
    lease.let_go_checkpoint();
    CHECK(cache.evict(1_MiB) > 0_B);
    CHECK(cache.holds().used > 0_B); // the KV is held
    lease.let_go_kv();
    auto const before = cache.holds().used;
    CHECK(cache.evict(1_MiB) == before);
    CHECK(cache.stats().bytes_evicted > before);
    lease.release();
    CHECK_FALSE(lease);
    CHECK_THROWS_AS(lease.position(), contract_violation);
    REQUIRE(serve(cache, model, prompt, false, left));
    left.release();
    cache.clear({});
    CHECK(cache.holds().used == byte_count{});
}

namespace {

/// Host memory that does something else, once, before it copies.
struct interrupted_store : memory::host_store {
    using memory::host_store::host_store;
    void load(memory::transfer const& t, memory::no_stream on) const {
        interrupt();
        memory::host_store::load(t, on);
    }
    void save(memory::transfer const& t, memory::no_stream on) {
        interrupt();
        memory::host_store::save(t, on);
    }
    void interrupt() const {
        if (auto const once = std::exchange(*before_copy, {})) once();
    }
    std::unique_ptr<std::function<void()>> before_copy = std::make_unique<std::function<void()>>();
};
static_assert(memory::store<interrupted_store>);

using interrupted_cache = cache::concurrent_cache<cache::prefix_cache<interrupted_store>>;

/// Has another thread serve requests that fork from `prompt` at every second token, and then some
/// that push these out again. Answers with how many of them got back something wrong, or all if
/// they were not done in 20 seconds.
int others_call(interrupted_cache& cache, footprint const& model, sequence const& prompt,
                std::thread& thread) {
    auto const wrong = std::make_shared<std::atomic<int>>(0);
    auto const done = std::make_shared<std::atomic<bool>>(false);
    thread = std::thread{[=, &cache, &model] {
        std::mt19937 random{1};
        interrupted_cache::lease lease;
        for (std::size_t fork = prompt.size() - 1; fork > 2; fork -= 2) { // cuts edges
            sequence forked{prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(fork)};
            forked.push_back(2);
            *wrong += !serve(cache, model, forked, false, lease);
        }
        lease.release();
        for (int i = 0; i < 50; ++i) // evicts the forks, which joins the edges again
            *wrong += !serve(cache, model, some_prompt(random), false, lease);
        *done = true;
    }};
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!*done && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    return *done ? wrong->load() : 1000;
}

} // namespace

TEST_CASE("it is made of what a prefix_cache is made of") {
    footprint const model = support::hybrid_model();
    cache::concurrent_cache cache{memory::host_store{model, 1_MiB}, {.checkpoint_grid = 7_tokens}};
    cache.beside_readers([](auto const& of) { CHECK(of.options().checkpoint_grid == 7_tokens); });
    cache::concurrent_cache<tune::learning_cache<memory::host_store>> const learns{
        memory::host_store{model, 1_MiB},
        {.checkpoint_grid = 8_tokens},
        tune::learning_options{.shadow_multiple = 2}};
    learns.beside_readers([](auto const& of) {
        CHECK(of.options().checkpoint_grid == 8_tokens);
        CHECK(of.learning().requests == 0);
    });
}

namespace {

/// Asks another lease what acquire() decided, in the middle of a commit.
struct asks_a_lease {
    std::function<void()>* ask;
    void observe(cache::event<std::int32_t> const&) noexcept { (*ask)(); }
};
using asked_cache = cache::concurrent_cache<
    cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, policy::lru, asks_a_lease>>;

} // namespace

TEST_CASE("what a lease was given is told without waiting for other calls") {
    std::function<void()> ask = [] {};
    asked_cache cache{memory::ledger_store{support::hybrid_model(), 1_MiB},
                      {},
                      policy::branch_and_tail{},
                      policy::lru{},
                      asks_a_lease{&ask}};
    sequence const prompt{1, 2, 3, 4};
    auto const one = cache.open({}, prompt), other = cache.open({.tenant = 1}, prompt);
    int asked = 0;
    ask = [&] {
        CHECK(other.resume_at() == 0_tokens);
        CHECK(other.capture_at().empty());
        CHECK(other.should_capture(4_tokens, true));
        ++asked;
    };
    (void)cache.commit(one, prompt);
    CHECK(asked > 0);
    ask = [] {};
}

TEST_CASE("while one restores, others change the cache") {
    footprint const model = support::hybrid_model();
    interrupted_store store{model, byte_count{1 << 14}, {.block_tokens = 4_tokens}};
    std::function<void()>& before_copy = *store.before_copy;
    interrupted_cache cache{std::move(store)};
    sequence prompt(40, 1);
    interrupted_cache::lease left;
    REQUIRE(serve(cache, model, prompt, false, left));
    left.release();

    int wrong = 1000;
    std::thread other;
    before_copy = [&, prompt] { wrong = others_call(cache, model, prompt, other); };
    prompt.push_back(3);
    auto const lease = cache.open({}, prompt);
    REQUIRE(lease.resume_at() == 40_tokens);
    engine_request engine{model};
    cache.restore(lease, engine.kv(), engine.state());
    other.join();
    CHECK(engine.holds(prompt, 40));
    CHECK(wrong == 0);
    CHECK(cache.stats().evictions() > 0);
    CHECK(cache.stats().merges > 0);
}

TEST_CASE("while one commits, others change the cache, and publish some of it first") {
    footprint const model = support::hybrid_model();
    interrupted_store store{model, byte_count{1 << 14}, {.block_tokens = 4_tokens}};
    std::function<void()>& before_copy = *store.before_copy;
    interrupted_cache cache{std::move(store)};
    sequence const prompt(40, 1);

    int wrong = 1000;
    std::thread other;
    before_copy = [&] { wrong = others_call(cache, model, prompt, other); };
    interrupted_cache::lease left;
    REQUIRE(serve(cache, model, prompt, false, left));
    other.join();
    CHECK(wrong == 0);
    CHECK(cache.stats().evictions() > 0);
    CHECK(left.position() == 40_tokens);
    CHECK(cache.beside_readers([](auto const& inner) { return cache::audit(inner); }).empty());
    left.release();
    sequence longer = prompt;
    longer.push_back(3);
    REQUIRE(serve(cache, model, longer, false, left));
    CHECK(left.resume_at() == 40_tokens);
}

TEST_CASE("a copy that throws does so under the lock again") {
    footprint const model = support::hybrid_model();
    interrupted_store store{model, 1_MiB, {.block_tokens = 4_tokens}};
    std::function<void()>& before_copy = *store.before_copy;
    interrupted_cache cache{std::move(store)};
    sequence const prompt{1, 2, 3, 4, 5, 6};
    interrupted_cache::lease left;
    before_copy = [] { throw std::runtime_error{"no copy"}; };
    CHECK_THROWS_WITH(serve(cache, model, prompt, false, left), "no copy");
    CHECK(cache.holds().used == 0_B); // the request's lease is gone, and so is all it had begun
    CHECK(cache.holds().leases == 0);
    REQUIRE(serve(cache, model, prompt, false, left));
    before_copy = [] { throw std::runtime_error{"no copy"}; };
    sequence longer = prompt;
    longer.push_back(3);
    CHECK_THROWS_WITH(serve(cache, model, longer, true, left), "no copy");
    CHECK(cache.holds().leases == 1); // `left`
    left.release();
    cache.clear();
    CHECK(cache.holds().used == 0_B);
}

TEST_CASE("a lease that another is assigned to lets go under the lock, when readers are out") {
    host_cache cache{
        memory::host_store{support::hybrid_model(), 1_MiB, {.block_tokens = 4_tokens}}};
    auto lease = cache.open({}, sequence{1, 2, 3});
    auto other = cache.open({}, sequence{4, 5, 6});
    std::atomic<bool> inside{false}, assigned{false}, beside{false};
    std::thread reader{[&] {
        cache.beside_readers([&](auto const&) {
            inside = true;
            // An assignment that does not wait for this has a while to show itself.
            auto const end = std::chrono::steady_clock::now() + std::chrono::milliseconds{20};
            while (!assigned && std::chrono::steady_clock::now() < end)
                std::this_thread::yield();
            beside = assigned.load();
        });
    }};
    while (!inside)
        std::this_thread::yield();
    lease = std::move(other);
    assigned = true;
    reader.join();
    CHECK_FALSE(beside);
    CHECK(lease);
    CHECK(cache.holds().leases == 1);
}

TEST_CASE("a lease that was released knows its cache no more, and may outlive it") {
    host_cache::lease released;
    alignas(host_cache) std::byte place[sizeof(host_cache)];
    auto* const cache = new (place)
        host_cache{memory::host_store{support::hybrid_model(), 1_MiB, {.block_tokens = 4_tokens}}};
    released = cache->open({}, sequence{1, 2, 3});
    released.release();
    std::destroy_at(cache);
    std::memset(place, 0xFF, sizeof(place)); // whoever took its locks would not get far
    released.let_go_kv();
    released.release();
    CHECK(released.stale());
}
