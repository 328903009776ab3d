// Calls that overlap are found where MARCONI_CHECK_THREADS says so, as it does for this program.

#include <marconi/cache/observer.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/thread_check.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/tune/learning_cache.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>
#include <support/last_words.hpp>
#include <support/ordered_ledger.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

using namespace marconi;

TEST_CASE("thread_check: readers may overlap, and calls may follow each other") {
    thread_check const readers;
    {
        auto const one = readers.reading("match");
        auto const two = readers.reading("plan");
    }
    auto writer = readers.writing("commit");
    writer.leave();
    { auto const other = readers.writing("evict"); }
    writer.enter();
    SUCCEED();
}

#if __has_include(<sys/wait.h>)

TEST_CASE("thread_check: a writer beside anything ends the program, and both are named") {
    auto const said = [](std::string const& message, std::string const& call,
                         std::string const& other) {
        INFO(message);
        return message.find(call + " was called while " + other + " was under way") !=
               std::string::npos;
    };
    CHECK(said(support::last_words([] {
                   thread_check const t;
                   auto const one = t.writing("commit");
                   auto const two = t.writing("acquire");
               }),
               "acquire", "commit"));
    CHECK(said(support::last_words([] {
                   thread_check const t;
                   auto const one = t.writing("commit");
                   auto const two = t.reading("match");
               }),
               "match", "commit"));
    CHECK(said(support::last_words([] {
                   thread_check const t;
                   auto const one = t.reading("match");
                   auto const two = t.writing("evict");
               }),
               "evict", "match"));
    CHECK(said(support::last_words([] {
                   thread_check const t;
                   auto one = t.writing("commit");
                   one.leave();
                   auto const two = t.reading("match");
                   one.enter();
               }),
               "commit", "match"));
    CHECK(said(support::last_words([] {
                   thread_check const t;
                   auto one = t.writing("commit");
                   one.leave();
                   one.enter();
                   auto const two = t.reading("match");
               }),
               "match", "commit"));
}

namespace {

/// Calls back, which observers may not: as good as a second thread, and at a known time.
struct meddler {
    std::function<void()>* deed;
    void observe(cache::event<std::int32_t> const&) noexcept { (*deed)(); }
};
using meddled =
    cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, policy::lru, meddler>;

} // namespace

TEST_CASE("a call of a cache inside another is found") {
    support::sequence const prompt{1, 2, 3};
    auto const message_of = [&](auto deed) {
        return support::last_words([&] {
            std::function<void()> call = [] {};
            meddled cache{memory::ledger_store{support::hybrid_model(), byte_count{100'000}},
                          {},
                          {},
                          {},
                          meddler{&call}};
            auto const lease = cache.acquire(cache.plan(cache.match({}, prompt)));
            call = [&] { deed(cache, lease); };
            (void)cache.commit(lease, prompt);
        });
    };
    for (auto const& [name, message] : {
             std::pair{"match", message_of([&](auto&c, auto&) { (void)c.match({}, prompt); })},
             std::pair{"stats", message_of([](auto&c, auto&) { (void)c.stats(); })},
             std::pair{"evict", message_of([](auto&c, auto&) { (void)c.evict(byte_count{1}); })},
             std::pair{"clear", message_of([](auto&c, auto&) { c.clear(); })},
             std::pair{"a lease's position",
                       message_of([](auto&, auto&lease) { (void)lease.position(); })},
         }) {
        INFO(message);
        CHECK(message.find(name + std::string{" was called while commit was under way"}) !=
              std::string::npos);
    }
}

namespace {

/// Calls back while its cache learns, which is when it is asked beside the calls of a request.
struct meddling_admission : policy::branch_and_tail {
    std::function<void()>* deed;
    [[nodiscard]] policy::capture_rule captures(policy::request_facts const& facts) const {
        if (*deed) std::exchange(*deed, nullptr)();
        return policy::branch_and_tail::captures(facts);
    }
};

} // namespace

TEST_CASE("a call of a cache that learns from a commit is found, too") {
    support::sequence const prompt{1, 2, 3};
    auto const message = support::last_words([&] {
        std::function<void()> call;
        tune::learning_cache cache{
            memory::ledger_store{support::hybrid_model(), byte_count{100'000}},
            {},
            {},
            meddling_admission{{}, &call}};
        auto const lease = cache.acquire(cache.plan(cache.match({}, prompt)));
        call = [&] { (void)cache.learning(); };
        cache::captured_state const states[] = {{token_count{3}}};
        (void)cache.commit(lease, prompt, {.checkpoints = states});
    });
    INFO(message);
    CHECK(message.find("learning was called while commit was under way") != std::string::npos);
}

TEST_CASE("a restore to a store with streams, which it notes, may not overlap with another call") {
    support::sequence const prompt{1, 2, 3};
    auto const message = support::last_words([&] {
        std::function<void()> meanwhile = [] {};
        support::ordered_ledger store{support::hybrid_model(), byte_count{100'000}};
        store.on_load = [&] { meanwhile(); };
        cache::prefix_cache cache{std::move(store)};
        {
            auto const first = cache.acquire(cache.plan(cache.match({}, prompt)));
            cache::captured_state const states[] = {{token_count{2}}};
            (void)cache.commit(first, prompt, {.checkpoints = states}, {});
        }
        auto const lease = cache.acquire(cache.plan(cache.match({}, prompt)));
        meanwhile = [&] { (void)cache.match({}, prompt); };
        cache.restore(lease, {}, {}, {});
    });
    INFO(message);
    CHECK(message.find("match was called while restore was under way") != std::string::npos);
}

#endif
