// A listener that knows nothing but the events has the same tree as the cache.

#include <cache/short_requests.hpp>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace cache_tests;

namespace {

/// The tree as events tell it. What has no entry here is a root.
struct mirror {
    struct node {
        node_id parent;
        scope in;
        std::uint64_t start = 0;
        sequence tokens;
        bool checkpoint = false;
        bool in_answer = false; ///< the checkpoint is

        [[nodiscard]] std::uint64_t end() const { return start + tokens.size(); }
    };
    std::map<node_id, node> nodes;
    std::map<cache::event_kind, std::uint64_t> seen;
    std::uint64_t next = 0;
    std::string fault;

    void expect(bool right, char const* what) {
        if (!right && fault.empty()) fault = what + (" in event " + std::to_string(next - 1));
    }

    void hear(cache::event<std::int32_t> const& e) {
        expect(e.sequence == next++, "a gap");
        ++seen[e.kind];
        using enum cache::event_kind;
        if (e.kind == kv_published) {
            auto const above = nodes.find(e.parent);
            node n{e.parent, e.in, 0, {e.tokens.begin(), e.tokens.end()}};
            if (above != nodes.end()) {
                n.start = above->second.end();
                expect(above->second.in == e.in, "a child in another scope");
            }
            expect(n.end() == e.position.value(), "a wrong position of KV");
            expect(nodes.emplace(e.node, n).second, "a node published twice");
            return;
        }
        expect(nodes.count(e.node) == 1, "an unknown node");
        node& n = nodes[e.node];
        switch (e.kind) {
        case checkpoint_published:
            expect(!n.checkpoint && n.in == e.in, "a wrong checkpoint");
            [[fallthrough]];
        case checkpoint_removed:
            expect(n.end() == e.position.value(), "a wrong position of a checkpoint");
            n.checkpoint = !n.checkpoint;
            n.in_answer = e.in_answer;
            break;
        case removed:
            expect(!n.checkpoint, "a node removed with its checkpoint");
            nodes.erase(e.node);
            break;
        case split: {
            std::size_t const upper = e.position.value() - n.start;
            expect(upper > 0 && upper < n.tokens.size(), "a split outside the edge");
            expect(nodes.count(e.parent) == 0, "a split into a known node");
            nodes[e.parent] = {n.parent, n.in, n.start, first(n.tokens, upper)};
            n.parent = e.parent;
            n.start += upper;
            n.tokens.erase(n.tokens.begin(), n.tokens.begin() + static_cast<std::ptrdiff_t>(upper));
            break;
        }
        case merged: {
            node const above = nodes[e.parent];
            expect(n.parent == e.parent && !above.checkpoint, "a wrong merge");
            nodes.erase(e.parent);
            n.parent = above.parent;
            n.start = above.start;
            n.tokens = above.tokens + n.tokens;
            break;
        }
        case kv_published:
            break;
        }
    }
};

struct listener {
    mirror* heard;
    mirror* late = nullptr; ///< listens from the time on that it has been told of what is here
    void observe(cache::event<std::int32_t> const& e) {
        heard->hear(e);
        if (late && late->next != 0) late->hear(e);
    }
};
static_assert(cache::observer<listener, std::int32_t>);

/// Tells somebody who knows nothing.
template <class Cache>
void tell(Cache const& cache, mirror& late) {
    struct teller {
        mirror* late;
        void observe(cache::event<std::int32_t> const& e) {
            late->next = e.sequence;
            late->hear(e);
        }
    };
    teller told{&late};
    late.next = cache.snapshot(told);
}

template <class Cache>
std::string differences(Cache const& cache, mirror const& heard) {
    if (!heard.fault.empty()) return heard.fault;
    auto const& tree = cache.internals().tree();
    if (heard.nodes.size() != cache.holds().nodes) return "another number of nodes";
    for (auto const& [id, n] : heard.nodes) {
        std::string const who = "node " + std::to_string(id.value());
        if (!tree.live(id)) return who + " is gone";
        if (tree[id].parent != n.parent) return who + " has another parent";
        if (tree[id].depth != n.end()) return who + " has another depth";
        if (!std::ranges::equal(tree.tokens(id), n.tokens)) return who + " has other tokens";
        if (cache.internals().has_checkpoint(id) != n.checkpoint) return who + ": its checkpoint";
        if ((tree[id].payload.in_answer != 0) != n.in_answer) return who + ": its answer";
        node_id root = id;
        while (tree[root].parent)
            root = tree[root].parent;
        if (tree.find_root(n.in) != root) return who + " is in another scope";
    }
    return {};
}

} // namespace

TEST_CASE("events alone rebuild the tree") {
    std::uint64_t events = 0;
    for (auto const& model : {hybrid(), attention_only(), recurrent_only(), sliding_window()})
        for (std::uint64_t const seed : {1u, 2u, 3u}) {
            CAPTURE(model.model, seed);
            mirror heard, late;
            counting_cache<policy::lru, policy::branch_and_tail, listener> cache{
                room_for(model, 60, seed), {}, {}, {}, listener{&heard, &late}};
            std::mt19937_64 random{seed};
            auto const below = [&](std::uint64_t n) { return random() % n; };
            std::vector<decltype(cache)::lease> held;
            for (int i = 0; i < 1500; ++i) {
                sequence tokens;
                for (std::uint64_t n = 1 + below(30); tokens.size() < n;)
                    tokens.push_back(static_cast<std::int32_t>(below(2)));
                cache::match_options options;
                if (i % 2 == 0) options.answer_from = token_count{tokens.size() / 2};
                auto lease = acquire(cache, tokens, {.tenant = below(2)}, options);
                std::uint64_t const from = lease.position().value();
                std::uint64_t const middle = from + 1 + below(tokens.size() - from);
                if (below(2)) (void)cache.reserve(lease, token_count{tokens.size()});
                auto const states =
                    states_at(model.has_checkpoints() ? std::vector<std::uint64_t>{middle}
                                                      : std::vector<std::uint64_t>{});
                (void)cache.commit(lease, tokens, {.checkpoints = states});
                if (below(8) == 0) held.push_back(std::move(lease));
                if (held.size() > 4) held.erase(held.begin() + static_cast<int>(below(4)));
                if (below(300) == 0) cache.clear({.tenant = below(2)});
                if (i % 10 == 0) REQUIRE(differences(cache, heard) == "");
                if (i % 500 == 250) tell(cache, late = {});
                if (i % 50 == 0 && i > 250) REQUIRE(differences(cache, late) == "");
            }
            held.clear();
            REQUIRE(differences(cache, heard) == "");
            REQUIRE(differences(cache, late) == "");
            CHECK(late.next == heard.next);
            CHECK_SOUND(cache);
            cache.clear();
            CHECK(differences(cache, heard) == "");
            CHECK(heard.nodes.empty());
            using enum cache::event_kind;
            for (auto const kind : {kv_published, removed, split, merged})
                CHECK(heard.seen[kind] > 50);
            CHECK(heard.seen[checkpoint_published] == cache.stats().checkpoints_stored);
            CHECK(heard.seen[checkpoint_removed] == heard.seen[checkpoint_published]);
            CHECK(heard.seen[merged] == cache.stats().merges);
            events += heard.next;
        }
    CHECK(events > 20'000);
}

TEST_CASE("a request's events, one by one") {
    struct scribe {
        std::string* text;
        void observe(cache::event<std::int32_t> const& e) {
            static constexpr char const* names[] = {"kv",      "checkpoint", "no checkpoint",
                                                    "removed", "split",      "merged"};
            *text += std::to_string(e.sequence) + " " + names[static_cast<int>(e.kind)];
            if (e.position != 0_tokens) *text += " " + std::to_string(e.position.value());
            if (!e.tokens.empty()) *text += " " + std::string(e.tokens.begin(), e.tokens.end());
            *text += "\n";
        }
    };
    std::string heard;
    counting_cache<policy::lru, policy::branch_and_tail, scribe> cache{
        room_for(hybrid(), 100), {}, {}, {}, scribe{&heard}};
    serve(cache, "the cat");
    serve(cache, "the hen");
    CHECK(heard == "0 kv 7 the cat\n"
                   "1 checkpoint 7\n"
                   "2 split 4\n"
                   "3 kv 7 hen\n"
                   "4 checkpoint 7\n"
                   "5 checkpoint 4\n");
    heard.clear();
    (void)cache.evict(1_B); // the cat, oldest
    CHECK(heard == "6 no checkpoint 7\n"
                   "7 removed 7\n");
    heard.clear();
    CHECK(cache.snapshot(scribe{&heard}) == 8);
    CHECK(heard == "8 kv 4 the \n"
                   "8 checkpoint 4\n"
                   "8 kv 7 hen\n"
                   "8 checkpoint 7\n");
    heard.clear();
    (void)cache.evict(1_B); // the checkpoint at the branch
    CHECK(heard == "8 no checkpoint 4\n"
                   "9 merged\n");
    heard.clear();
    serve(cache, "the hen");
    CHECK(heard == "10 split 6\n"
                   "11 checkpoint 6\n");
}

TEST_CASE("each checkpoint past what is known comes with an edge of its own, and cuts none") {
    mirror heard;
    counting_cache<policy::lru, policy::branch_and_tail, listener> cache{
        room_for(hybrid(), 100), {}, {}, {}, listener{&heard}};
    using enum cache::event_kind;
    sequence const tokens = numbered(1, 30);
    auto const lease = acquire(cache, tokens);
    commit(cache, lease, first(tokens, 20), {5, 10, 15});
    CHECK(heard.seen[kv_published] == 4);
    commit(cache, lease, tokens, {20, 25, 30}); // the first of which is known
    CHECK(heard.seen[kv_published] == 6);
    CHECK(heard.seen[checkpoint_published] == 6);
    CHECK(heard.seen[split] == 0);
    CHECK(differences(cache, heard) == "");
}

TEST_CASE("removals say why") {
    using cache::eviction_reason;
    struct reasons {
        std::vector<std::pair<cache::event_kind, std::optional<eviction_reason>>>* heard;
        void observe(cache::event<std::int32_t> const& e) {
            bool const gone = e.kind == cache::event_kind::removed ||
                              e.kind == cache::event_kind::checkpoint_removed;
            if (gone) heard->emplace_back(e.kind, e.why);
        }
    };
    std::vector<std::pair<cache::event_kind, std::optional<eviction_reason>>> heard;
    counting_cache<policy::lru, policy::branch_and_tail, reasons> cache{
        room_for(hybrid(), 20), {}, {}, {}, {&heard}};
    serve(cache, "0123456789");
    std::optional<eviction_reason> expected;
    SECTION("for a commit") {
        serve(cache, "abcdefghijklm");
        expected = eviction_reason::commit;
    }
    SECTION("for a reserve") {
        auto const lease = acquire(cache, text("xyz"));
        CHECK(cache.reserve(lease, token_count{20}) == token_count{20});
        expected = eviction_reason::reserve;
    }
    SECTION("on demand") {
        cache.evict(1_B);
        expected = eviction_reason::on_demand;
    }
    SECTION("on demand, of a scope") {
        cache.evict(scope{}, 1_B);
        expected = eviction_reason::on_demand;
    }
    SECTION("cleared") {
        cache.clear();
        expected = eviction_reason::clear;
    }
    SECTION("forgotten") {
        cache.forget({}, std::span<std::int32_t const>{text("0")}, token_count{0});
        expected = eviction_reason::clear;
    }
    SECTION("forgotten, and held") {
        auto const lease = acquire(cache, text("0123456789+"));
        serve(cache, "abc"); // the last one to go before was evicted for room
        cache.evict(1_B);
        heard.clear();
        cache.forget({}, std::span<std::int32_t const>{text("0")}, token_count{0});
        expected = eviction_reason::clear;
    }
    SECTION("unused") {
        cache.forget_unused(cache.now());
        expected = eviction_reason::clear;
    }
    using enum cache::event_kind;
    CHECK(heard == std::vector{std::pair{checkpoint_removed, expected}, {removed, expected}});
}

TEST_CASE("where all had gone before, there is no reason") {
    struct last_reason {
        std::optional<std::optional<cache::eviction_reason>>* heard;
        void observe(cache::event<std::int32_t> const& e) {
            if (e.kind == cache::event_kind::removed) *heard = e.why;
        }
    };
    std::optional<std::optional<cache::eviction_reason>> heard;
    counting_cache<policy::lru, policy::branch_and_tail, last_reason> cache{
        room_for(recurrent_only(), 20), {}, {}, {}, {&heard}};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789+"));
    lease.let_go_checkpoint();
    cache.clear();
    CHECK_FALSE(heard); // the lease stands there
    lease.release();
    REQUIRE(heard);
    CHECK_FALSE(*heard);
}
