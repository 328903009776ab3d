#pragma once

// What every eviction policy promises, whatever it evicts. A program instantiates the suite with
// a list of policies:
//
//     using policies = std::tuple<lru, gdsf>;
//     TEMPLATE_LIST_TEST_CASE("eviction policies keep their contract", "", policies) {
//         contracts::eviction_policy_suite<TestType>();
//     }

#include <marconi/policy/concepts.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

namespace contracts {

using marconi::node_id;
using marconi::tick;

/// A policy and what it was told: the candidates, in no order, and the time.
template <marconi::policy::eviction_policy Policy>
struct eviction_rehearsal {
    struct candidate {
        node_id id;
        typename Policy::history history;
        marconi::policy::candidate_facts facts;
    };

    Policy policy{};
    std::vector<candidate> candidates{};
    tick now{1};
    std::mt19937_64 random{7};
    bool extremes = true;

    std::uint64_t below(std::uint64_t n) { return random() % n; }

    /// Few values, so that many tie; extremes among them, unless they would drown the others.
    marconi::policy::candidate_facts some_facts() {
        double const flops[] = {0, 1, 1, 3, 1e6, 1e7 + double(below(9)), 1e-300, 1e15, 1e300};
        return {.bytes_freed = marconi::byte_count{below(5) * 4096},
                .flops_saved = marconi::flop_count{flops[below(extremes ? 9 : 6)]},
                .page_bytes = marconi::byte_count{4096},
                .depth = marconi::token_count{100},
                .parent_depth = marconi::token_count{50},
                .resume_above = marconi::token_count{0},
                .is_leaf = below(2) == 0,
                .has_checkpoint = true,
                .in_answer = below(2) == 0};
    }

    bool holds(node_id id) const {
        return std::any_of(candidates.begin(), candidates.end(),
                           [id](candidate const& c) { return c.id == id; });
    }
    std::size_t find(node_id id) const {
        std::size_t at = 0;
        while (candidates[at].id != id)
            ++at;
        return at;
    }

    void insert(node_id id, typename Policy::history history) {
        candidates.push_back({id, history, some_facts()});
        policy.insert(id, history, candidates.back().facts);
    }
    void forget(std::size_t at) {
        candidates[at] = candidates.back();
        candidates.pop_back();
    }

    /// One random call, on ids below `ids`; time advances in between, now and then by a lot.
    void step(std::uint32_t ids) {
        if (below(3) == 0) now += tick{extremes && below(50) == 0 ? 1'000'000'000 : below(3)};
        node_id const id{static_cast<std::uint32_t>(below(ids))};
        if (!holds(id)) {
            auto history = policy.created(now);
            if (!candidates.empty() && below(3) == 0) // as after a split, or a pin let go
                history = policy.merged(candidates[below(candidates.size())].history,
                                        candidates[below(candidates.size())].history);
            insert(id, history);
            return;
        }
        std::size_t const at = find(id);
        switch (below(4)) {
        case 0: {
            candidate& c = candidates[at];
            if (below(2) == 0) c.history = policy.used(c.history, now);
            if (below(2) == 0) c.facts = some_facts();
            policy.update(id, c.history, c.facts);
            break;
        }
        case 1:
            policy.erase(id);
            forget(at);
            break;
        case 2:
            evict();
            break;
        default:
            break;
        }
    }

    void evict() {
        auto const victim = policy.victim(now + tick{1});
        if (!victim) return;
        policy.evicted(*victim);
        forget(find(*victim));
    }
};

template <marconi::policy::eviction_policy Policy>
void eviction_policy_suite() {
    eviction_rehearsal<Policy> run;

    SECTION("it begins empty, with no victim") {
        CHECK(run.policy.size() == 0);
        CHECK(run.policy.victim(tick{1}) == std::nullopt);
    }
    SECTION("a single candidate is the victim, whatever its id") {
        for (std::uint32_t id : {0u, 1u, 63u, 4000u}) {
            run.insert(node_id{id}, run.policy.created(tick{1}));
            CHECK(run.policy.victim(tick{2}) == node_id{id});
            run.policy.erase(node_id{id});
            CHECK(run.policy.victim(tick{2}) == std::nullopt);
        }
    }
    SECTION("size and victim agree with what was told, after every call") {
        for (int i = 0; i < 3000; ++i) {
            run.step(40);
            REQUIRE(run.policy.size() == run.candidates.size());
            auto const victim = run.policy.victim(run.now + tick{1});
            REQUIRE(victim.has_value() == !run.candidates.empty());
            if (victim) REQUIRE(run.holds(*victim));
            if (auto const likely = marconi::policy::likely_victim(run.policy))
                REQUIRE(likely == victim);
        }
    }
    SECTION("asking for the victim changes nothing") {
        auto asked = run;
        for (int i = 0; i < 1000; ++i) {
            run.step(30);
            asked.step(30);
            auto const victim = asked.policy.victim(asked.now + tick{1});
            for (std::uint32_t const any : {0u, 30u, 100'000u}) // candidates or not
                marconi::policy::prefetch_rank(asked.policy, node_id{any});
            REQUIRE(asked.policy.victim(asked.now + tick{1}) == victim);
            REQUIRE(asked.policy.victim(asked.now + tick{1'000'000}).has_value() ==
                    victim.has_value());
            REQUIRE(run.policy.victim(run.now + tick{1}) == victim);
        }
    }
    SECTION("a copy is independent and decides alike") {
        for (int i = 0; i < 300; ++i)
            run.step(60);
        auto copy = run;
        auto const before = run.policy.victim(run.now + tick{1});
        while (!copy.candidates.empty())
            copy.evict();
        CHECK(copy.policy.size() == 0);
        CHECK(run.policy.size() == run.candidates.size());
        CHECK(run.policy.victim(run.now + tick{1}) == before);

        auto twin = run;
        for (int i = 0; i < 300; ++i) {
            run.step(60);
            twin.step(60);
            REQUIRE(run.policy.victim(run.now + tick{1}) == twin.policy.victim(run.now + tick{1}));
        }
    }
    SECTION("once all are erased nothing is left to evict") {
        for (int i = 0; i < 500; ++i)
            run.step(100);
        REQUIRE(run.candidates.size() > 10);
        while (!run.candidates.empty()) {
            std::size_t const at = run.below(run.candidates.size());
            run.policy.erase(run.candidates[at].id);
            run.forget(at);
        }
        CHECK(run.policy.size() == 0);
        CHECK(run.policy.victim(run.now + tick{1}) == std::nullopt);
    }
    SECTION("evicting all names each candidate once") {
        for (int i = 0; i < 500; ++i)
            run.step(100);
        auto left = run.candidates.size();
        REQUIRE(left > 10);
        for (; left > 0; --left) {
            auto const victim = run.policy.victim(run.now + tick{1});
            REQUIRE(victim);
            REQUIRE(run.holds(*victim));
            run.evict();
        }
        CHECK(run.policy.size() == 0);
    }
}

} // namespace contracts
