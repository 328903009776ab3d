#include "traces.hpp"

#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/tune/reuse_shadow.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::tests;
using policy::age_bucket;
using policy::reuse_class;
using policy::reuse_kind;

namespace {

using shadow = tune::reuse_shadow<policy::branch_and_tail, std::int32_t>;
using counts = std::array<std::array<tune::reuse_count, age_bucket::count>, reuse_class::count>;

constexpr byte_count plenty = 1_GiB;

template <class Shadow>
counts counts_of(Shadow const& s) {
    counts all;
    reuse_class::each([&](reuse_class of) {
        for (std::size_t b = 0; b < age_bucket::count; ++b)
            all[of.index()][b] = s.observer().statistics().seen(of, b);
    });
    return all;
}

/// What should be counted, the slow way: entries by their tokens, each looked at in every tick.
class slow_count {
public:
    /// A tick passes over all that is there.
    void pass(tick now) {
        for (auto const& [k, e] : entries_) {
            ++passing(e, now).ticks;
            if (goes_on(k)) ++resuming(e, now).ticks;
        }
    }
    /// A request resumes at the longest entry that its prompt begins with.
    void resume(scope const& in, std::span<std::int32_t const> prompt, std::size_t limit,
                tick now) {
        std::pair<name const, entry>* longest = nullptr;
        for (auto& met : entries_) {
            auto const& [tenant, text] = met.first;
            if (tenant != in.tenant || text.size() > limit ||
                !std::equal(text.begin(), text.end(), prompt.begin()))
                continue;
            ++passing(met.second, now).uses;
            met.second.passed = {now, met.second.passed.uses + 1};
            longest = &met; // shorter ones come first
        }
        if (!longest) return;
        if (goes_on(longest->first)) ++resuming(longest->second, now).uses;
        longest->second.resumed = {now, longest->second.resumed.uses + 1};
    }
    void add(scope const& in, std::span<std::int32_t const> tokens, bool in_answer, tick now) {
        entries_.try_emplace({in.tenant, {tokens.begin(), tokens.end()}},
                             entry{{now, 0}, {now, 0}, in_answer});
    }
    void hold(scope const& in, std::span<std::int32_t const> tokens) {
        texts_.emplace(in.tenant, marconi::tests::tokens{tokens.begin(), tokens.end()});
    }
    [[nodiscard]] counts const& all() const { return counts_; }

private:
    struct use {
        tick last;
        std::uint64_t uses;
    };
    struct entry {
        use passed, resumed;
        bool in_answer;
    };
    using name = std::pair<std::uint64_t, tokens>;

    [[nodiscard]] tune::reuse_count& at(reuse_class of, tick last, tick now) {
        return counts_[of.index()][age_bucket::of((now - last).value())];
    }
    [[nodiscard]] tune::reuse_count& passing(entry const& e, tick now) {
        return at({reuse_kind::passing, e.passed.uses, e.in_answer}, e.passed.last, now);
    }
    [[nodiscard]] tune::reuse_count& resuming(entry const& e, tick now) {
        return at({reuse_kind::resuming, e.resumed.uses}, e.resumed.last, now);
    }
    [[nodiscard]] bool goes_on(name const& k) const {
        return std::ranges::any_of(texts_, [&](name const& text) {
            return text.first == k.first && text.second.size() > k.second.size() &&
                   std::equal(k.second.begin(), k.second.end(), text.second.begin());
        });
    }

    std::map<name, entry> entries_;
    std::set<name> texts_; // all that was committed
    counts counts_{};
};

} // namespace

TEST_CASE("a shadow counts what a look at every entry in every tick counts") {
    std::uint64_t const block_tokens = GENERATE(1u, 16u);
    shadow watched{tiny_store(1'000'000, block_tokens), {}, {}, plenty};
    slow_count slow;
    tick now;
    std::size_t resumed = 0;
    for (turn const& t : conversations(250, 3)) {
        now += tick{1};
        auto const request = t.request();
        std::size_t const before = watched.stats().tokens_resumed.value();
        slow.pass(now - tick{1});
        slow.resume(t.in, request.tokens.first(t.prompt), t.prompt - 1, now);

        // Where this request leaves what was known, and at its end.
        auto const plan = watched.plan(
            watched.match(t.in, request.tokens.first(t.prompt), {.limit = request.limit}));
        slow.hold(t.in, request.tokens);
        for (cache::captured_state const& c :
             tune::captures_of(plan, token_count{request.tokens.size()}))
            slow.add(t.in, request.tokens.first(c.position.value()), c.position.value() > t.prompt,
                     now);

        watched.ask(request, now);
        resumed += watched.stats().tokens_resumed.value() > before;
    }
    CHECK(resumed > 150);
    CHECK(watched.stats().evictions() == 0);
    watched.observer().look_at(1'000'000);
    counts const quick = counts_of(watched);
    for (std::size_t of = 0; of < quick.size(); ++of)
        for (std::size_t b = 0; b < age_bucket::count; ++b) {
            INFO("class " << of << ", bucket " << b);
            CHECK(quick[of][b].uses == slow.all()[of][b].uses);
            CHECK(quick[of][b].ticks == slow.all()[of][b].ticks);
        }
}

TEST_CASE("a shadow that evicts counts each entry for as long as it is there") {
    bool const attention_only = GENERATE(false, true);
    footprint model = tiny_model();
    if (attention_only) model.state_pieces.clear();
    shadow watched{
        {model, byte_count{256 * 700}, {.block_tokens = token_count{1}}}, {}, {}, plenty};
    double lived = 0;
    tick now;
    for (turn const& t : conversations(2000, 5)) {
        now += tick{1};
        auto const holds = watched.holds();
        lived += static_cast<double>(attention_only ? holds.nodes : holds.checkpoint_count);
        watched.ask(t.request(), now);
        if (now.value() % 100 == 0) CHECK(cache::audit(watched).empty());
    }
    CHECK(watched.stats().evictions() > 500);
    watched.observer().look_at(1'000'000);
    double counted = 0, uses = 0;
    counts const all = counts_of(watched);
    reuse_class::each([&](reuse_class of) {
        if (of.kind != reuse_kind::passing) return; // what comes by any entry
        for (tune::reuse_count const& c : all[of.index()]) {
            counted += c.ticks;
            uses += c.uses;
        }
    });
    CHECK(uses > 500);
    CHECK(counted == lived);
}

TEST_CASE("an entry that another merged into was used when either last was") {
    using enum cache::event_kind;
    tune::reuse_recorder<std::int32_t> recorder{true};
    node_id const root{0}, upper{1}, lower{2}, more{3};
    auto const tell = [&](cache::event_kind kind, node_id node, node_id parent) {
        cache::event<std::int32_t> e;
        e.kind = kind;
        e.node = node;
        e.parent = parent;
        recorder.observe(e);
    };
    recorder.set_time(tick{1});
    tell(kv_published, upper, root);
    tell(checkpoint_published, upper, root);
    recorder.set_time(tick{5});
    tell(kv_published, lower, upper);
    tell(checkpoint_published, lower, upper);
    recorder.set_time(tick{40});
    recorder.resumed(upper);
    tell(checkpoint_removed, upper, root);
    tell(merged, lower, upper);
    tell(kv_published, more, lower); // now one can resume at `lower` and leave something out
    recorder.set_time(tick{44});
    recorder.resumed(lower);

    auto const uses = [&](reuse_kind kind, std::uint64_t before, std::uint64_t age) {
        return recorder.statistics().seen(reuse_class{kind, before}, age_bucket::of(age)).uses;
    };
    CHECK(uses(reuse_kind::resuming, 0, 4) == 1);
    CHECK(uses(reuse_kind::resuming, 0, 39) == 1); // before, at `upper`
    CHECK(uses(reuse_kind::passing, 1, 4) == 1);
}

namespace {

/// How often requests have resumed at a node and no further, by a recorder's count: that is the
/// class into which the next one would fall.
std::uint64_t resumes_counted(tune::reuse_recorder<std::int32_t> const& recorder, node_id node) {
    auto after = recorder;
    after.resumed(node);
    auto const counted_in = [&](std::uint64_t before) {
        reuse_class const of{reuse_kind::resuming, before};
        double more = 0;
        for (std::size_t b = 0; b < age_bucket::count; ++b)
            more += after.statistics().seen(of, b).uses - recorder.statistics().seen(of, b).uses;
        return more == 1;
    };
    for (std::uint64_t before = 0; before <= reuse_class::most_uses; ++before)
        if (counted_in(before)) return before;
    FAIL("no class counts it");
    return 0;
}

} // namespace

TEST_CASE("at a branch point the policy is one use ahead of the recorder") {
    using recorder = tune::reuse_recorder<std::int32_t>;
    cache::prefix_cache<memory::ledger_store, policy::branch_and_tail, policy::expected_savings,
                        recorder>
        watched{tiny_store(100'000), {}, {}, policy::expected_savings{}, recorder{true}};
    auto const& tree = watched.internals().tree();
    auto const branch_point = [&] {
        for (node_id id{1}; id.value() < tree.slots(); id = node_id{id.value() + 1})
            if (tree.live(id) && tree[id].depth == 1000) return id;
        return node_id{};
    };
    for (std::int32_t nth = 1; nth <= 4; ++nth) {
        tokens t = numbered(1, 1000);
        tokens const own = numbered(1 + nth, 500);
        t.insert(t.end(), own.begin(), own.end());
        auto const ready = tune::prepare(watched, whole(t));
        watched.observer().set_time(watched.internals().now());
        if (ready.plan.resume_at() == 1000_tokens) watched.observer().resumed(branch_point());
        tune::play(watched, whole(t), ready, [](auto const&) {});
        if (nth == 1) continue; // nothing parts yet
        REQUIRE(branch_point());
        auto const& seen = tree[branch_point()].payload.history;
        auto const uses = static_cast<std::uint64_t>(nth - 1);
        CHECK(seen.uses == uses);
        CHECK(seen.turns == uses);
        CHECK(resumes_counted(watched.observer(), branch_point()) == uses - 1);
    }
}

TEST_CASE("a shadow stays within its memory, whatever was asked before") {
    std::uint32_t const state_pages = GENERATE(0u, 10u, 500u);
    auto const after = [&](std::size_t short_ones, std::size_t states_each) {
        footprint model = tiny_model();
        model.state_pieces = {{state_pages * 256, 0, 0}};
        shadow watched{
            memory::ledger_store{model, 1000_GB, {.block_tokens = 1_tokens}}, {}, {}, 8_MiB};
        tick now;
        std::int32_t number = 0;
        auto const ask = [&](std::size_t size, std::size_t states) {
            tokens const t = numbered(number++ % 2'000'000, size);
            token_count const all{t.size()};
            std::vector<cache::captured_state> captured;
            for (std::size_t i = 1; i <= states; ++i)
                captured.push_back({token_count{size * i / states}});
            std::uint64_t const evictions = watched.stats().evictions();
            watched.ask({.tokens = t, .prompt = all, .limit = all, .captured = captured},
                        now += tick{1});
            CHECK(watched.stats().evictions() - evictions <=
                  64 + 2 * (states + 2)); // none takes long
            CHECK(watched.memory() <= 8_MiB);
        };
        for (std::size_t i = 0; i < short_ones; ++i)
            ask(4, 0);
        for (std::size_t i = 0; i < 500; ++i)
            ask(400, states_each);
        for (int i = 0; i < 6000; ++i)
            ask(100, 0);
        CHECK(cache::audit(watched).empty());
        return watched.holds().nodes;
    };
    std::uint64_t const fresh = after(0, 0);
    CHECK(fresh > 250);
    CHECK(after(20'000, 0) > fresh / 10 * 9);
    CHECK(after(0, 80) > fresh / 10 * 9);
}

TEST_CASE("a request too large for a shadow's memory does not empty it") {
    memory::page_options const cut{.block_tokens = 1_tokens, .page_bytes = 256_B};
    shadow watched{memory::ledger_store{tiny_store(1).layout().model(), 1_GiB, cut}, {}, {}, 1_MiB};
    tick now;
    auto const ask = [&](std::int32_t number, std::size_t size) {
        tokens const t = numbered(number, size);
        token_count const all{t.size()};
        return watched.ask({.tokens = t, .prompt = all, .limit = all}, now += tick{1});
    };
    CHECK_FALSE(ask(1, 200'000));
    CHECK(watched.holds().nodes == 0);
    for (std::int32_t i = 2; i < 100; ++i)
        CHECK(ask(i, 100));
    CHECK(watched.holds().nodes == 98);
    CHECK(ask(100, 5'000));
    CHECK_FALSE(ask(101, 6'000));
    CHECK(watched.holds().nodes == 99);
    CHECK(watched.memory() <= 1_MiB);
}

TEST_CASE("a request with too many states for a shadow's memory goes unseen") {
    policy::always const everywhere{1_tokens};
    tune::reuse_shadow<policy::always, std::int32_t> watched{
        tiny_store(1'000'000), {}, everywhere, 1_MiB};
    for (std::size_t const size : {std::size_t{100}, std::size_t{1000}}) {
        tokens const t = numbered(static_cast<std::int32_t>(size), size);
        token_count const all{t.size()};
        CHECK(watched.ask({.tokens = t, .prompt = all, .limit = all}, tick{size}) == (size == 100));
    }
    CHECK(watched.stats().requests == 1);
    CHECK(watched.holds().nodes == 100);
}
