// What the cache tells an eviction policy, and what becomes of a victim.

#include <cache/short_requests.hpp>

#include <marconi/policy/eviction/usage_history.hpp>

#include <support/engine.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

using namespace cache_tests;

namespace {

/// What a policy was told, kept where the test can see it.
struct notes {
    std::map<node_id, policy::candidate_facts> candidates;
    std::map<node_id, policy::usage> histories;
    node_id next; ///< the victim to name; none: names nobody
    std::uint64_t wrong_calls = 0;
};

template <bool RefreshesPath>
struct note_taker : policy::usage_history {
    static constexpr bool refreshes_path = RefreshesPath;
    std::shared_ptr<notes> told = std::make_shared<notes>();

    void insert(node_id n, policy::usage const& h, policy::candidate_facts const& facts) {
        told->wrong_calls += !told->candidates.emplace(n, facts).second;
        told->histories[n] = h;
    }
    void update(node_id n, policy::usage const& h, policy::candidate_facts const& facts) {
        told->wrong_calls += told->candidates.count(n) == 0;
        told->candidates[n] = facts;
        told->histories[n] = h;
    }
    void erase(node_id n) { told->wrong_calls += told->candidates.erase(n) == 0; }
    void evicted(node_id n) {
        told->wrong_calls += n != told->next;
        erase(n);
        told->next = {};
    }
    [[nodiscard]] std::optional<node_id> victim(tick) const {
        if (!told->next) return std::nullopt;
        return told->next;
    }
    [[nodiscard]] std::size_t size() const { return told->candidates.size(); }
};
using noting = note_taker<false>;
static_assert(policy::eviction_policy<noting>);
using noting_cache = counting_cache<noting>;

struct facts {
    std::uint64_t pages_freed;
    double flops_saved;
    std::uint64_t depth, parent_depth, resume_above;
    bool is_leaf, has_checkpoint;

    friend bool operator==(facts const&, facts const&) = default;
    friend std::ostream& operator<<(std::ostream& out, facts const& f) {
        return out << f.pages_freed << " pages, " << f.flops_saved << " FLOPs, [" << f.parent_depth
                   << ", " << f.depth << ") above " << f.resume_above
                   << (f.is_leaf ? ", a leaf" : "") << (f.has_checkpoint ? ", a checkpoint" : "");
    }
};

/// The candidates' facts by depth; each depth is here once.
template <class Cache>
std::map<std::uint64_t, facts> told(Cache const& cache) {
    std::map<std::uint64_t, facts> all;
    for (auto const& [id, f] : cache.eviction().told->candidates) {
        CHECK(f.page_bytes == cache.store().layout().page_bytes());
        all[f.depth.value()] = {f.bytes_freed / f.page_bytes,
                                f.flops_saved.value(),
                                f.depth.value(),
                                f.parent_depth.value(),
                                f.resume_above.value(),
                                f.is_leaf,
                                f.has_checkpoint};
    }
    CHECK(all.size() == cache.eviction().size());
    CHECK(cache.eviction().told->wrong_calls == 0);
    CHECK_SOUND(cache);
    return all;
}

/// Evicts the candidate that ends at a depth; the pages that this freed.
template <class Cache>
std::uint64_t evict_at(Cache& cache, std::uint64_t depth) {
    for (auto const& [id, f] : cache.eviction().told->candidates)
        if (f.depth.value() == depth) {
            cache.eviction().told->next = id;
            return cache.evict(1_B) / cache.store().layout().page_bytes();
        }
    FAIL("no candidate at " << depth);
    return 0;
}

using told_facts = std::map<std::uint64_t, facts>;

} // namespace

TEST_CASE("a policy is told what evicting would free and lose") {
    noting_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123456789");
    CHECK(told(cache) == told_facts{{10, {12, 100, 10, 0, 0, true, true}}});
    serve(cache, "0123456789abcd");
    CHECK(told(cache) == told_facts{{10, {2, 100, 10, 0, 0, false, true}},
                                    {14, {6, 196 - 100, 14, 10, 10, true, true}}});

    SECTION("a leaf goes whole") {
        CHECK(evict_at(cache, 14) == 6);
        CHECK(told(cache) == told_facts{{10, {12, 100, 10, 0, 0, true, true}}});
        CHECK(cache.stats().nodes_evicted[2] == 1);
        CHECK(evict_at(cache, 10) == 12);
        CHECK(told(cache).empty());
        CHECK(cache.holds().scopes == 0);
    }
    SECTION("a node with one child loses its checkpoint, and the child takes its edge") {
        CHECK(evict_at(cache, 10) == 2);
        CHECK(told(cache) == told_facts{{14, {16, 196, 14, 0, 0, true, true}}});
        CHECK(cache.holds().nodes == 1);
        CHECK(cache.stats().checkpoints_evicted[2] == 1);
        CHECK(cache.stats().merges == 1);
        CHECK(cache.stats().largest_ripple == 1);
        CHECK(look(cache, "0123456789abcde") == depths{14, 14, 0, 0});
    }
    SECTION("a node with two children is no candidate") {
        serve(cache, "0123456789xyz");
        CHECK(told(cache) == told_facts{{14, {6, 96, 14, 10, 10, true, true}},
                                        {13, {5, 69, 13, 10, 10, true, true}}});
        CHECK(evict_at(cache, 13) == 5);
        CHECK(told(cache).count(10) == 1);
    }
    SECTION("nobody is evicted if the policy names nobody") {
        CHECK(cache.evict(1_B) == 0_B);
        auto const lease = acquire(cache, numbered(1, 99));
        CHECK(commit(cache, lease, numbered(1, 99), {99}).stored_tokens == 0_tokens);
        CHECK(told(cache).size() == 2);
    }
}

TEST_CASE("a policy is told which checkpoints lie in answers") {
    noting_cache cache{room_for(hybrid(), 100)};
    auto const in_answer = [&] {
        std::map<std::uint64_t, bool> all;
        for (auto const& [id, f] : cache.eviction().told->candidates)
            all[f.depth.value()] = f.in_answer;
        CHECK_SOUND(cache);
        return all;
    };
    using flags = std::map<std::uint64_t, bool>;
    auto lease = acquire(cache, text("0123456789"));
    commit(cache, lease, text("0123456789"), {8, 10}); // 10 is the end of the prompt
    commit(cache, lease, text("0123456789abcdef"), {12, 16});
    lease.release();
    CHECK(in_answer() == flags{{8, false}, {10, false}, {12, true}, {16, true}});
    serve(cache, "0123456789abcdefgh"); // what is there stays what it is
    CHECK(in_answer() == flags{{8, false}, {10, false}, {12, true}, {16, true}, {18, false}});
    evict_at(cache, 12);
    evict_at(cache, 16);
    CHECK(in_answer() == flags{{8, false}, {10, false}, {18, false}});
    lease = acquire(cache, text("0123456789abcd"));
    commit(cache, lease, text("0123456789abcd"), {12}); // this time it is in the prompt
    lease.release();
    CHECK(in_answer() == flags{{8, false}, {10, false}, {12, false}, {18, false}});
    lease = acquire(cache, text("0123456789abcd"), {}, {.answer_from = 10_tokens});
    commit(cache, lease, text("0123456789abcd"), {14}); // a request that comes back
    lease.release();
    CHECK(in_answer() == flags{{8, false}, {10, false}, {12, false}, {14, true}, {18, false}});
}

TEST_CASE("FLOPs are counted from the nearest checkpoint that lives") {
    noting_cache cache{room_for(hybrid(), 100)};
    serve(cache, "01");
    serve(cache, "0123");
    serve(cache, "012345");
    serve(cache, "01234567");
    CHECK(told(cache) == told_facts{{2, {2, 4, 2, 0, 0, false, true}},
                                    {4, {2, 16 - 4, 4, 2, 2, false, true}},
                                    {6, {2, 36 - 16, 6, 4, 4, false, true}},
                                    {8, {4, 64 - 36, 8, 6, 6, true, true}}});
    CHECK(evict_at(cache, 4) == 2);
    CHECK(told(cache) == told_facts{{2, {2, 4, 2, 0, 0, false, true}},
                                    {6, {2, 36 - 4, 6, 2, 2, false, true}},
                                    {8, {4, 64 - 36, 8, 6, 6, true, true}}});
    CHECK(evict_at(cache, 6) == 2);
    CHECK(evict_at(cache, 2) == 2);
    CHECK(told(cache) == told_facts{{8, {10, 64, 8, 0, 0, true, true}}});
}

TEST_CASE("a node without a checkpoint saves nothing") {
    noting_cache cache{room_for(hybrid(), 100)};
    auto lease = acquire(cache, text("0123456789"));
    commit(cache, lease, text("0123456789"), {4});
    CHECK(told(cache) == told_facts{{4, {2, 16, 4, 0, 0, false, true}}}); // the leaf is held
    lease.release();
    CHECK(told(cache) ==
          told_facts{{4, {2, 16, 4, 0, 0, false, true}}, {10, {6, 0, 10, 4, 4, true, false}}});
    CHECK(evict_at(cache, 4) == 2);
    CHECK(told(cache) == told_facts{{10, {10, 0, 10, 0, 0, true, false}}});
    // A branch without a checkpoint is none either; its leaf loses the sibling, and merges.
    lease = acquire(cache, text("01234-"));
    commit(cache, lease, text("01234-"));
    lease.release();
    CHECK(told(cache) ==
          told_facts{{10, {5, 0, 10, 5, 0, true, false}}, {6, {1, 0, 6, 5, 0, true, false}}});
    CHECK(evict_at(cache, 6) == 1);
    CHECK(told(cache) == told_facts{{10, {10, 0, 10, 0, 0, true, false}}});
}

TEST_CASE("without per-position state a node saves its own tokens") {
    noting_cache cache{room_for(attention_only(), 100)};
    serve(cache, "0123456789");
    serve(cache, "0123--");
    CHECK(told(cache) == told_facts{{10, {6, 100 - 16, 10, 4, 4, true, false}},
                                    {6, {2, 36 - 16, 6, 4, 4, true, false}}});
    CHECK(evict_at(cache, 10) == 6);
    CHECK(told(cache) == told_facts{{6, {6, 36, 6, 0, 0, true, false}}});
}

TEST_CASE("pages that two nodes share are freed by the last") {
    noting_cache cache{room_for(hybrid(), 100, 4)}; // a checkpoint is one page of 1 KiB
    SECTION("one request went on in its own page") {
        auto lease = acquire(cache, text("0123456789"));
        commit(cache, lease, text("012345"), {6});
        commit(cache, lease, text("0123456789"), {10});
        lease.release();
        CHECK(told(cache) ==
              told_facts{{6, {1, 36, 6, 0, 0, false, true}}, {10, {2, 64, 10, 6, 6, true, true}}});
        CHECK(pages_used(cache) == 5);
        CHECK(evict_at(cache, 10) == 2);
        CHECK(told(cache) == told_facts{{6, {3, 36, 6, 0, 0, true, true}}});
    }
    SECTION("another request repeated the tokens in a page of its own, which then serves both") {
        serve(cache, "012345");
        serve(cache, "0123456789");
        CHECK(told(cache) ==
              told_facts{{6, {1, 36, 6, 0, 0, false, true}}, {10, {2, 64, 10, 6, 6, true, true}}});
        CHECK(pages_used(cache) == 5);
        CHECK(evict_at(cache, 6) == 1);
        CHECK(told(cache) == told_facts{{10, {4, 100, 10, 0, 0, true, true}}});
    }
    SECTION("while a third may be reading the page there, it stays") {
        serve(cache, "012345");
        auto reader = acquire(cache, text("012345-"));
        auto const table = cache.block_table(reader);
        serve(cache, "0123456789");
        CHECK(cache.block_table(reader) == table);
        reader.release();
        CHECK(told(cache) ==
              told_facts{{6, {2, 36, 6, 0, 0, false, true}}, {10, {3, 64, 10, 6, 6, true, true}}});
        CHECK(pages_used(cache) == 6);
        CHECK(evict_at(cache, 6) == 2); // the checkpoint and the duplicate
        CHECK(told(cache) == told_facts{{10, {4, 100, 10, 0, 0, true, true}}});
    }
    SECTION("a request that reserves nothing gives up the page it goes on past with its commit") {
        serve(cache, "012345");
        auto reader = acquire(cache, text("0123456789"));
        REQUIRE(reader.resume_at() == 6_tokens);
        page_id const read = cache.block_table(reader)[1];
        commit(cache, reader, text("0123456789"), {10});
        CHECK(cache.block_table(reader)[1] != read);
        CHECK(pages_used(cache) == 5);
        CHECK(std::ranges::count(cache.store().pages().free(), read) == 1);
    }
    SECTION("a leaf within its parent's page frees nothing but its checkpoint") {
        auto lease = acquire(cache, text("012"));
        commit(cache, lease, text("0123"), {2});
        lease.release();
        CHECK(told(cache) ==
              told_facts{{2, {1, 4, 2, 0, 0, false, true}}, {4, {0, 0, 4, 2, 2, true, false}}});
        CHECK(evict_at(cache, 4) == 0);
        CHECK(told(cache) == told_facts{{2, {2, 4, 2, 0, 0, true, true}}});
    }
}

TEST_CASE("whatever is evicted frees what the policy was told, and no page is lost") {
    for (std::uint64_t const block : {1u, 3u, 16u}) {
        CAPTURE(block);
        noting_cache cache{room_for(hybrid(), 4000, block)};
        std::mt19937_64 random{block};
        for (int i = 0; i < 120; ++i) {
            sequence tokens;
            for (std::uint64_t n = 1 + random() % 40; tokens.size() < n;)
                tokens.push_back(static_cast<std::int32_t>(random() % 2));
            auto const lease = acquire(cache, tokens);
            std::size_t const from = lease.position().value();
            std::size_t const half = from + (tokens.size() - from) / 2;
            if (half > from) commit(cache, lease, first(tokens, half), {half});
            if (tokens.size() > half && random() % 2) commit(cache, lease, tokens, {tokens.size()});
        }
        CHECK(cache.holds().nodes > 60);
        while (cache.eviction().size() != 0) {
            auto const& candidates = cache.eviction().told->candidates;
            auto victim = candidates.begin();
            std::advance(victim, random() % candidates.size());
            auto const [id, known] = *victim;
            auto const used = pages_used(cache);
            auto const merges = cache.stats().merges;
            cache.eviction().told->next = id;
            // One that frees nothing leaves the cache asking for more, and nobody is named.
            std::uint64_t const freed = cache.evict(1_B) / known.page_bytes;
            CHECK(used - pages_used(cache) == freed);
            // Where a leaf goes and its parent merges into the sibling, a duplicate may go too.
            bool const sibling_merged = known.is_leaf && cache.stats().merges != merges;
            std::uint64_t const promised = known.bytes_freed / known.page_bytes;
            CHECK(freed >= promised);
            CHECK(freed <= promised + sibling_merged);
            auto const faults = cache::audit(cache);
            REQUIRE(faults == std::vector<std::string>{});
        }
        CHECK(cache.holds().used == 0_B);
        CHECK(cache.eviction().told->wrong_calls == 0);
    }
}

TEST_CASE("only what was resumed from is refreshed") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123");     // ticks 1 and 2
    serve(cache, "01234567"); // 3 (resumes at 4) and 4
    serve(cache, "other");    // 5 and 6
    acquire(cache, text("01234567-")).release();
    (void)cache.evict(1_B);
    CHECK(look(cache, "0123----") == depths{4, 0, 0, 4}); // not used since 3
    (void)cache.evict(1_B);
    CHECK(look(cache, "other-") == depths{});
    CHECK(look(cache, "01234567-") == depths{8, 8, 0, 0});
}

TEST_CASE("what nobody asked for makes nothing that it finds more recent, or dearer") {
    noting_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123"); // ticks 1 and 2
    auto const uses = [&] {
        std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> by_depth;
        for (auto const& [id, h] : cache.eviction().told->histories)
            if (cache.internals().tree().live(id))
                by_depth[cache.internals().tree()[id].depth] = {h.last_use.value(), h.uses};
        return by_depth;
    };
    using all = std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>>;
    cache::match_options const loads{.weight = 7, .counted = false};
    {
        auto const lease = acquire(cache, text("01234567"), {}, loads); // 3
        CHECK(lease.resume_at() == 4_tokens);
        auto const repeats = acquire(cache, text("01234567"), {}, loads); // 4
        commit(cache, lease, text("01234567"), {8});                      // 5
        commit(cache, repeats, text("01234567"), {8});                    // 6
    }
    CHECK(uses() == all{{4, {2, 0}}, {8, {5, 0}}});
    auto const& tree = cache.internals().tree();
    node_id const leaf = tree.walk({tree.find_root({}), 0},
                                   std::span<std::int32_t const>{text("01234567")}, [](node_id) {})
                             .node;
    CHECK(tree[leaf].payload.weight == 7);
    CHECK(tree[tree[leaf].parent].payload.weight == 1);
    {
        auto const lease = acquire(cache, text("0123456"), {}, loads); // 7
        commit(cache, lease, text("0123456"), {6});                    // 8: a state on known KV
    }
    CHECK(uses() == all{{4, {2, 0}}, {6, {8, 1}}, {8, {5, 0}}});
    CHECK_SOUND(cache);
}

TEST_CASE("a policy may wish that a hit refreshes its path") {
    auto const last_uses = [](auto& cache) {
        serve(cache, "0123");     // ticks 1 and 2
        serve(cache, "01234567"); // 3 and 4
        acquire(cache, text("01234567-")).release();
        std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> by_depth;
        for (auto const& [id, h] : cache.eviction().told->histories)
            by_depth[cache.eviction().told->candidates.at(id).depth.value()] = {h.last_use.value(),
                                                                                h.uses};
        return by_depth;
    };
    using uses = std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>>;
    noting_cache node_only{room_for(hybrid(), 100)};
    CHECK(last_uses(node_only) == uses{{4, {3, 1}}, {8, {5, 1}}});
    counting_cache<note_taker<true>> path{room_for(hybrid(), 100)};
    CHECK(last_uses(path) == uses{{4, {5, 2}}, {8, {5, 1}}});
}

TEST_CASE("a commit with several states for known tokens uses each node once") {
    auto const uses_of = [](auto cache) {
        sequence const tokens = text("012345");
        {
            auto const first = acquire(*cache, tokens);
            (void)commit(*cache, first, tokens);
        }
        auto const second = acquire(*cache, tokens);
        (void)commit(*cache, second, tokens, {2, 4, 6});
        std::vector<std::uint64_t> found;
        for (auto const& [id, history] : cache->eviction().told->histories)
            if (cache->internals().tree().live(id)) found.push_back(history.uses);
        return found;
    };
    std::vector<std::uint64_t> const once(3, 1);
    CHECK(uses_of(std::make_unique<noting_cache>(room_for(hybrid(), 100))) == once);
    CHECK(uses_of(std::make_unique<counting_cache<note_taker<true>>>(room_for(hybrid(), 100))) ==
          once);
}

TEST_CASE("what can be had is told without evicting anything") {
    small_cache cache{room_for(attention_only(), 20)};
    byte_count const page = cache.store().layout().page_bytes();
    CHECK(cache.obtainable(page * 20) == page * 20);
    serve(cache, numbered(1, 12));
    CHECK(cache.obtainable(page * 20) == page * 20);
    CHECK(cache.obtainable(byte_count{1} + page * 20) == page * 20);
    auto const lease = acquire(cache, first(numbered(1, 12), 5));
    REQUIRE(lease.resume_at() == 4_tokens);
    CHECK(cache.obtainable(page * 20) == page * 16);
    CHECK(cache.obtainable(page * 3) >= page * 3);
    CHECK(cache.stats().evictions() == 0);
    CHECK(pages_used(cache) == 12);
    CHECK(cache.reserve(lease, 20_tokens) == 20_tokens); // 4 and 16
    CHECK(cache.obtainable(page) == byte_count{});
}

TEST_CASE("what can be had for a request does not count what it will resume from") {
    auto const model = GENERATE(0, 1, 2);
    CAPTURE(model);
    footprint const models[] = {attention_only(), hybrid(), support::recurrent_model()};
    small_cache cache{room_for(models[model], 20, 4)};
    sequence const chat = numbered(1, 24);
    serve(cache, chat);
    serve(cache, first(chat, 10) + numbered(2, 20));
    serve(cache, numbered(3, 7));
    byte_count const all = cache.holds().capacity;
    for (sequence const& prompt :
         {chat + numbered(4, 9), first(chat, 13) + numbered(5, 5), first(chat, 10),
          first(chat, 10) + numbered(2, 21), numbered(6, 5), numbered(3, 8)}) {
        auto const match = cache.match({}, prompt);
        byte_count const told = cache.obtainable(all, match);
        CHECK(cache.obtainable(1_B, match) >= 1_B);
        CHECK(cache.obtainable(1_B, match) <= told);
        auto lease = cache.acquire(cache.plan(match));
        lease.let_go_checkpoint();
        CHECK(cache.obtainable(all) == told);
        CHECK(cache.stats().evictions() == 0);
    }
    auto const stale = cache.match({}, chat + numbered(4, 9));
    cache.clear();
    CHECK(cache.obtainable(all, stale) == all);
    small_cache other{room_for(models[model], 20, 4)};
    serve(other, chat);
    CHECK_THROWS_AS(cache.obtainable(all, other.match({}, chat + numbered(4, 9))),
                    contract_violation);
}

TEST_CASE("evict frees at least what was asked for, and says how much") {
    small_cache cache{room_for(hybrid(), 100)};
    for (int i = 0; i < 5; ++i)
        serve(cache, numbered(i, 10)); // 12 pages each
    CHECK(cache.evict(0_B) == 0_B);
    CHECK(cache.evict(1_B) == byte_count{12 * 256});
    CHECK(cache.evict(byte_count{13 * 256}) == byte_count{24 * 256});
    CHECK(cache.evict(1_GiB) == byte_count{24 * 256});
    CHECK(cache.evict(1_GiB) == 0_B);
    CHECK(cache.stats().evictions() == 5);
    CHECK(cache.stats().evictions(cache::eviction_reason::on_demand) == 5);
    CHECK(cache.stats().bytes_evicted == byte_count{60 * 256});
}
