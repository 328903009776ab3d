#include <marconi/core/error.hpp>
#include <marconi/policy/eviction/either.hpp>
#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/policy/eviction/scored.hpp>

#include <contracts/eviction_policy.hpp>
#include <support/catch.hpp>
#include <support/reference/ranking.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

using namespace marconi;
using namespace marconi::policy;

namespace {

struct oldest_first {
    double operator()(usage const& h, candidate_facts const&, tick now) const {
        return -static_cast<double>((now - h.last_use).value());
    }
};

template <int Tenths>
struct flop_aware_at : flop_aware {
    flop_aware_at() : flop_aware(Tenths / 10.0) {}
};

struct at_strange_odds : expected_savings {
    at_strange_odds() : expected_savings(reference::all_strange_odds()) {}
};

struct first_of_two : either<gdsf, lru> {};

struct second_of_two : either<lru, gdsf> {
    second_of_two() : either(lru{}, gdsf{}, rival::second) {}
};

using policies = std::tuple<lru, gdsf, flop_aware, flop_aware_at<10>, expected_savings,
                            at_strange_odds, scored<oldest_first>, first_of_two, second_of_two>;
using ranked = std::tuple<lru, gdsf, flop_aware_at<0>, flop_aware_at<3>, flop_aware_at<10>,
                          flop_aware_at<20>, expected_savings, at_strange_odds,
                          scored<oldest_first>, first_of_two, second_of_two>;

// The obviously right victims: each looks at all candidates.

using rank = std::tuple<double, tick, double, node_id>;

template <class Candidates>
auto naive_ranks(lru const&, Candidates const& all, tick) {
    std::vector<rank> ranks;
    for (auto const& c : all)
        ranks.push_back({0, c.history.last_use, 0, c.id});
    return ranks;
}

template <class Candidates>
auto naive_ranks(scored<oldest_first> const&, Candidates const& all, tick) {
    std::vector<rank> ranks;
    for (auto const& c : all)
        ranks.push_back({0, c.history.last_use, c.facts.flop_efficiency(), c.id});
    return ranks;
}

template <class Candidates>
auto naive_ranks(gdsf const&, Candidates const& all, tick) {
    std::vector<rank> ranks;
    for (auto const& c : all) {
        double const frequency = static_cast<double>(c.history.uses) + 1;
        double const priority = c.history.clock + frequency * c.facts.flop_efficiency();
        ranks.push_back({priority, c.history.last_use, 0, c.id});
    }
    return ranks;
}

template <class Candidates>
auto naive_ranks(flop_aware const& policy, Candidates const& all, tick now) {
    double const infinity = std::numeric_limits<double>::infinity();
    double least_recency = infinity, most_recency = -infinity;
    double least_efficiency = infinity, most_efficiency = -infinity;
    auto const recency = [&](auto const& c) {
        return 1.0 /
               static_cast<double>(std::max<std::uint64_t>(1, (now - c.history.last_use).value()));
    };
    for (auto const& c : all) {
        least_recency = std::min(least_recency, recency(c));
        most_recency = std::max(most_recency, recency(c));
        least_efficiency = std::min(least_efficiency, c.facts.flop_efficiency());
        most_efficiency = std::max(most_efficiency, c.facts.flop_efficiency());
    }
    std::vector<rank> ranks;
    for (auto const& c : all) {
        double score = 0;
        if (most_recency > least_recency)
            score += (recency(c) - least_recency) / (most_recency - least_recency);
        if (most_efficiency > least_efficiency)
            score += policy.alpha() * (c.facts.flop_efficiency() - least_efficiency) /
                     (most_efficiency - least_efficiency);
        ranks.push_back({score, c.history.last_use, c.facts.flop_efficiency(), c.id});
    }
    return ranks;
}

template <class Candidates>
auto naive_ranks(expected_savings const&, Candidates const& all, tick now) {
    std::vector<rank> ranks;
    for (auto const& c : all) {
        std::uint64_t const age = std::max<std::uint64_t>(1, (now - c.history.last_use).value());
        double const odds =
            std::max(reuse_odds::least, 1 / static_cast<double>(reference::first_age_like(age)));
        ranks.push_back({odds * c.facts.flop_efficiency(), c.history.last_use,
                         c.facts.flop_efficiency(), c.id});
    }
    return ranks;
}

template <class Candidates>
auto naive_ranks(at_strange_odds const&, Candidates const& all, tick now) {
    std::vector<rank> ranks;
    for (auto const& c : all) {
        auto const r = reference::rank_by_expectation(
            {{c.history.last_use, c.history.turns, 0, c.history.uses}, c.facts}, now);
        ranks.push_back({r[0], c.history.last_use, r[2], c.id});
    }
    return ranks;
}

/// Candidates as one of two policies knows them.
template <class Candidates, class History>
auto seen_by(Candidates const& all, History of) {
    struct candidate {
        node_id id;
        gdsf::history history;
        candidate_facts facts;
    };
    std::vector<candidate> seen;
    for (auto const& c : all)
        seen.push_back({c.id, c.history.*of, c.facts});
    return seen;
}

template <class Candidates>
auto naive_ranks(first_of_two const& policy, Candidates const& all, tick now) {
    return naive_ranks(policy.first(), seen_by(all, &first_of_two::history::first), now);
}

template <class Candidates>
auto naive_ranks(second_of_two const& policy, Candidates const& all, tick now) {
    return naive_ranks(policy.second(), seen_by(all, &second_of_two::history::second), now);
}

candidate_facts worth(double flops, std::uint64_t bytes) {
    candidate_facts facts;
    facts.flops_saved = flop_count{flops};
    facts.bytes_freed = byte_count{bytes};
    facts.page_bytes = byte_count{1};
    return facts;
}

} // namespace

TEMPLATE_LIST_TEST_CASE("eviction policies keep their contract", "", policies) {
    contracts::eviction_policy_suite<TestType>();
}

TEMPLATE_LIST_TEST_CASE("the victim is the one that a full scan chooses", "", ranked) {
    auto const extremes = GENERATE(false, true);
    for (std::uint32_t ids : {5u, 60u, 700u}) {
        contracts::eviction_rehearsal<TestType> run;
        run.extremes = extremes;
        std::size_t compared = 0;
        for (int i = 0; i < 12000; ++i) {
            run.step(ids);
            // At the time of the newest use as well as later: ages are at least one tick.
            tick const now = run.now + tick{run.below(3) == 0 ? 0u : 1 + run.below(5)};
            auto const ranks = naive_ranks(run.policy, run.candidates, now);
            auto const victim = run.policy.victim(now);
            REQUIRE(victim.has_value() == !ranks.empty());
            if (!victim) continue;
            REQUIRE(*victim == std::get<node_id>(*std::min_element(ranks.begin(), ranks.end())));
            ++compared;
        }
        CHECK(compared > 8000);
    }
}

TEST_CASE(
    "efficiency is compute saved per byte, times the weight; who frees nothing frees a page") {
    candidate_facts facts{.bytes_freed = byte_count{20},
                          .flops_saved = flop_count{100},
                          .page_bytes = byte_count{10}};
    CHECK(facts.flop_efficiency() == 5);
    facts.weight = 3;
    CHECK(facts.flop_efficiency() == 15);
    facts.bytes_freed = {};
    CHECK(facts.flop_efficiency() == 30);
    facts.weight = 0;
    CHECK(facts.flop_efficiency() == 0);
    facts = {.flops_saved = {}, .page_bytes = byte_count{10}};
    CHECK(facts.flop_efficiency() == 0);
}

TEST_CASE("flop_aware weighs recency against compute saved per byte") {
    // Ages 10, 2, 1: normalised recencies 0, 4/9, 1. Efficiencies 5, 1, 3: normalised 1, 0, 1/2.
    flop_aware policy;
    policy.insert(node_id{0}, usage{tick{90}}, worth(50, 10));
    policy.insert(node_id{1}, usage{tick{98}}, worth(7, 7));
    policy.insert(node_id{2}, usage{tick{99}}, worth(9, 3));
    CHECK(policy.victim(tick{100}) == node_id{0});
    policy.set_alpha(0.44);
    CHECK(policy.victim(tick{100}) == node_id{0});
    policy.set_alpha(0.45);
    CHECK(policy.victim(tick{100}) == node_id{1});
    policy.erase(node_id{1});
    policy.set_alpha(0.99); // the other two are now 0 + alpha against 1 + 0
    CHECK(policy.victim(tick{100}) == node_id{0});
    policy.set_alpha(1.01);
    CHECK(policy.victim(tick{100}) == node_id{2});
    policy.set_alpha(1); // a tie: the oldest goes
    CHECK(policy.victim(tick{100}) == node_id{0});
}

TEST_CASE("flop_aware breaks ties by age, then efficiency, then id") {
    flop_aware policy;
    policy.insert(node_id{3}, usage{tick{1}}, worth(2, 1));
    policy.insert(node_id{8}, usage{tick{1}}, worth(1, 1));
    policy.insert(node_id{6}, usage{tick{1}}, worth(1, 1));
    policy.insert(node_id{1}, usage{tick{2}}, worth(0, 1));
    CHECK(policy.victim(tick{3}) == node_id{6});
    policy.evicted(node_id{6});
    CHECK(policy.victim(tick{3}) == node_id{8});
    policy.evicted(node_id{8});
    CHECK(policy.victim(tick{3}) == node_id{3});
}

TEST_CASE("flop_aware takes only an alpha that is finite and not negative") {
    CHECK(flop_aware{}.alpha() == 0);
    CHECK(flop_aware{0.7}.alpha() == 0.7);
    CHECK_THROWS_AS(flop_aware{-0.1}, invalid_argument);
    CHECK_THROWS_AS(flop_aware{std::nan("")}, invalid_argument);
    flop_aware policy{2};
    CHECK_THROWS_AS(policy.set_alpha(std::numeric_limits<double>::infinity()), invalid_argument);
    CHECK(policy.alpha() == 2);
}

TEST_CASE("expected_savings weighs compute saved per byte by the odds of a reuse") {
    using history = expected_savings::history;
    expected_savings policy;
    policy.insert(node_id{0}, history{tick{92}}, worth(60, 10)); // 6 / 8
    policy.insert(node_id{1}, history{tick{98}}, worth(20, 10)); // 2 / 2
    CHECK(policy.victim(tick{100}) == node_id{0});
    CHECK(policy.victim(tick{1000}) == node_id{1}); // as old as the other, and worth less

    reuse_odds odds; // what was just used is never used again, what is old comes back
    reuse_class::each([&](reuse_class of) {
        for (std::size_t b = 0; b < age_bucket::count; ++b)
            odds.set(of, b, b < age_bucket::of(4) ? 0 : 0.5);
    });
    policy.set_odds(odds);
    CHECK(policy.odds().at({reuse_kind::passing, 0}, 0) == reuse_odds::least);
    CHECK(policy.victim(tick{100}) == node_id{1});
    policy.insert(node_id{2}, history{tick{99}}, worth(1, 10));
    CHECK(policy.victim(tick{100}) == node_id{2}); // neither comes back: more is lost by the other
}

TEST_CASE("expected_savings names no victim where no score is a number") {
    expected_savings policy;
    double const infinite = std::numeric_limits<double>::infinity();
    policy.insert(node_id{0}, {tick{92}}, worth(infinite, 10));
    CHECK(policy.victim(tick{100}) == std::nullopt);
    policy.insert(node_id{1}, {tick{99}}, worth(1e200, 10));
    CHECK(policy.victim(tick{100}) == node_id{1});
}

TEST_CASE("expected_savings tells leaves from others, by turns the ones, the others by own uses") {
    reuse_odds odds;
    reuse_class::each([&](reuse_class of) { odds.set(of, 0, 1); });
    odds.set({reuse_kind::resuming, 0}, 0, 0.1);
    odds.set({reuse_kind::passing, 2}, 0, 0.2);
    odds.set({reuse_kind::passing, 1000}, 0, 0.3); // three and more
    expected_savings policy{odds};
    using history = expected_savings::history;
    auto leaf = worth(10, 1), inner = leaf;
    leaf.is_leaf = true;
    policy.insert(node_id{0}, history{tick{9}, 2, 0}, leaf);
    policy.insert(node_id{1}, history{tick{9}, 0, 2}, inner);
    policy.insert(node_id{2}, history{tick{9}, 0, 2}, leaf);
    policy.insert(node_id{3}, history{tick{9}, 0, 3}, leaf);
    for (std::uint32_t const next : {1u, 2u, 3u, 0u}) {
        CHECK(policy.victim(tick{10}) == node_id{next});
        policy.evicted(node_id{next});
    }
    policy.insert(node_id{0}, history{tick{9}}, leaf);
    policy.insert(node_id{1}, history{tick{9}}, leaf);
    policy.update(node_id{1}, history{tick{9}}, inner); // something goes on from it now
    CHECK(policy.victim(tick{10}) == node_id{1});
}

TEST_CASE("expected_savings tells leaves whose state lies in an answer from other leaves") {
    reuse_odds odds;
    reuse_class::each([&](reuse_class of) { odds.set(of, 0, 0.5); });
    odds.set({reuse_kind::passing, 1, true}, 0, 0.1);
    expected_savings policy{odds};
    expected_savings::history const once{tick{9}, 1, 1};
    auto question = worth(10, 1);
    question.is_leaf = true;
    auto answer = question, inner = answer;
    answer.in_answer = inner.in_answer = true;
    inner.is_leaf = false;
    policy.insert(node_id{0}, once, question);
    policy.insert(node_id{1}, once, inner);
    CHECK(policy.victim(tick{10}) == node_id{0});
    policy.insert(node_id{2}, once, answer);
    CHECK(policy.victim(tick{10}) == node_id{2});
    policy.update(node_id{2}, once, question);
    CHECK(policy.victim(tick{10}) == node_id{0});
}

TEST_CASE("expected_savings counts a conversation's turns over what merged") {
    using history = expected_savings::history;
    auto const turn = expected_savings::used(expected_savings::created(tick{1}), tick{5});
    CHECK(turn == history{tick{5}, 1, 1});
    auto const next = expected_savings::created(tick{6});
    CHECK(expected_savings::merged(next, turn) == history{tick{6}, 0, 1});
    CHECK(expected_savings::used(expected_savings::merged(next, turn), tick{9}) ==
          history{tick{9}, 1, 2});
}

TEST_CASE("odds are numbers, and more than nothing") {
    reuse_odds odds;
    reuse_class const of{reuse_kind::resuming, 3};
    for (double const wrong : {0.0, -1.0, std::nan(""), 1e-12}) {
        odds.set(of, 5, wrong);
        CHECK(odds.at(of, 5) == reuse_odds::least);
    }
    odds.set(of, 5, std::numeric_limits<double>::infinity());
    CHECK(odds.at(of, 5) == reuse_odds::most);
    CHECK(odds.row(of.index())[5] == reuse_odds::most);
    CHECK(odds.at(of, 4) == reuse_odds{}.at(of, 4));
    CHECK_THROWS_WITH(odds.set(of, age_bucket::count, 1), "bucket is 64; expected less than 64");
    CHECK_THROWS_AS(odds.at(of, age_bucket::count), invalid_argument);
}

TEST_CASE("ages fall into buckets, two to a doubling") {
    std::vector<std::uint64_t> firsts;
    for (std::uint64_t age = 1; age < 100; ++age) {
        CHECK(age_bucket::first(age_bucket::of(age)) == reference::first_age_like(age));
        if (age_bucket::first(age_bucket::of(age)) == age) firsts.push_back(age);
    }
    CHECK(firsts == std::vector<std::uint64_t>{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96});
    CHECK(age_bucket::of(0) == 0);
    CHECK(age_bucket::of((std::uint64_t{1} << 32) - 1) == age_bucket::count - 2);
    CHECK(age_bucket::of(std::uint64_t{1} << 32) == age_bucket::count - 1);
    CHECK(age_bucket::of(~std::uint64_t{0}) == age_bucket::count - 1);
}

TEST_CASE("gdsf evicts what saves little per byte, and ages what is not used") {
    gdsf policy;
    auto const dear = policy.created(tick{1});
    policy.insert(node_id{0}, dear, worth(30, 10));                    // H = 3
    policy.insert(node_id{1}, policy.created(tick{2}), worth(10, 10)); // H = 1
    CHECK(policy.victim(tick{3}) == node_id{1});
    CHECK(policy::likely_victim(policy) == node_id{1});
    policy.evicted(node_id{1});
    CHECK(policy.clock() == 1);

    policy.insert(node_id{2}, policy.created(tick{4}), worth(15, 10)); // H = 1 + 1.5
    CHECK(policy.victim(tick{5}) == node_id{2});
    policy.evicted(node_id{2});
    CHECK(policy.clock() == 2.5);
    policy.insert(node_id{3}, policy.created(tick{6}), worth(10, 10)); // H = 2.5 + 1
    CHECK(policy.victim(tick{7}) == node_id{0});                       // aged, though dearer

    auto const again = policy.used(dear, tick{8});
    CHECK(again == gdsf::history{tick{8}, 1, 2.5});
    policy.update(node_id{0}, again, worth(30, 10)); // H = 2.5 + 2 * 3
    CHECK(policy.victim(tick{9}) == node_id{3});
    CHECK(policy.merged(dear, again) == again);
}

TEST_CASE("the clock of gdsf never runs back") {
    gdsf policy;
    auto const old = policy.created(tick{1});
    policy.insert(node_id{0}, policy.created(tick{1}), worth(50, 10));
    policy.evicted(node_id{0});
    policy.insert(node_id{1}, old, worth(10, 10)); // unpinned only now: H = 0 + 1
    policy.evicted(node_id{1});
    CHECK(policy.clock() == 5);
}

namespace {

/// Remembers all uses; copying what it remembers may find no memory.
struct every_use : lru {
    using history = std::vector<tick>;
    [[nodiscard]] history created(tick now) const { return {now}; }
    [[nodiscard]] history used(history h, tick now) const {
        h.push_back(now);
        return h;
    }
    [[nodiscard]] history merged(history const& child, history const&) const { return child; }
    void insert(node_id n, history const& h, candidate_facts const& f) {
        lru::insert(n, {h.back()}, f);
    }
    void update(node_id n, history const& h, candidate_facts const& f) {
        lru::update(n, {h.back()}, f);
    }
};
static_assert(!eviction_policy<every_use>);

} // namespace

TEST_CASE("a score of one's own makes a policy") {
    scored newest{[](usage const& h, candidate_facts const&, tick now) {
        return static_cast<double>((now - h.last_use).value());
    }};
    static_assert(eviction_policy<decltype(newest)>);
    newest.insert(node_id{4}, usage{tick{1}}, {});
    newest.insert(node_id{2}, usage{tick{2}}, worth(1, 1));
    newest.insert(node_id{9}, usage{tick{2}}, {});
    newest.insert(node_id{7}, usage{tick{2}}, {});
    CHECK(newest.victim(tick{3}) == node_id{7});

    scored pinned{[](usage const& h, candidate_facts const& f, tick) {
        return f.has_checkpoint ? std::numeric_limits<double>::infinity()
               : h.uses > 0     ? std::nan("")
                                : 0.0;
    }};
    candidate_facts checkpoint;
    checkpoint.has_checkpoint = true;
    pinned.insert(node_id{0}, usage{tick{1}}, checkpoint);
    pinned.insert(node_id{1}, usage{tick{1}, 3}, {});
    CHECK_FALSE(pinned.victim(tick{2}));
    pinned.insert(node_id{2}, usage{tick{9}}, {});
    CHECK(pinned.victim(tick{10}) == node_id{2});
}

TEST_CASE("of two policies each could take charge at any time") {
    either<lru, gdsf> policy;
    auto const first = policy.created(tick{1}), second = policy.created(tick{2});
    policy.insert(node_id{0}, first, worth(30, 1));
    policy.insert(node_id{1}, second, worth(20, 1));
    policy.insert(node_id{2}, policy.created(tick{3}), worth(10, 1));
    CHECK(policy.in_charge() == rival::first);
    CHECK(policy.victim(tick{4}) == node_id{0});
    CHECK(policy::likely_victim(policy) == node_id{0});
    policy.put_in_charge(rival::second);
    CHECK(policy.victim(tick{4}) == node_id{2});
    CHECK(policy::likely_victim(policy) == node_id{2});
    policy.update(node_id{1}, policy.used(second, tick{4}), worth(4, 1)); // twice 4
    CHECK(policy.victim(tick{5}) == node_id{1});
    policy.put_in_charge(rival::first);
    CHECK(policy.victim(tick{5}) == node_id{0});
    policy.erase(node_id{0});
    CHECK(policy.size() == 2);
    CHECK(policy.victim(tick{5}) == node_id{2});
}

TEST_CASE("of two policies only the one in charge has evicted a victim") {
    either<lru, gdsf> policy;
    policy.insert(node_id{0}, policy.created(tick{1}), worth(30, 1));
    policy.insert(node_id{1}, policy.created(tick{2}), worth(20, 1));
    policy.evicted(node_id{0});
    CHECK(policy.second().size() == 1);
    CHECK(policy.second().clock() == 0);
    policy.put_in_charge(rival::second);
    policy.evicted(node_id{1});
    CHECK(policy.first().size() == 0);
    CHECK(policy.second().clock() == 20);
}

TEST_CASE("of two policies each has a history of its own, over a merge, too") {
    either<lru, expected_savings> const policy;
    auto const parent = policy.used(policy.used(policy.created(tick{1}), tick{2}), tick{9});
    auto const child = policy.used(policy.created(tick{3}), tick{5});
    auto const both = policy.merged(child, parent);
    CHECK(both.first == lru::merged(child.first, parent.first));
    CHECK(both.second == expected_savings::merged(child.second, parent.second));
    CHECK(both != child);
    CHECK(both != parent);
    CHECK(both.second != child.second);
    CHECK(both.second != parent.second);
}
