// An insertion that finds no memory has changed nothing. This program's operator new can be told
// to fail, here and nowhere else.

#include <marconi/policy/eviction/either.hpp>
#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/policy/eviction/scored.hpp>

#include <support/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <tuple>
#include <vector>

namespace {

int allocations_left = -1; // before one fails, once; negative: none fails

void* allocate(std::size_t size) {
    if (allocations_left == 0) {
        allocations_left = -1;
        throw std::bad_alloc{};
    }
    if (allocations_left > 0) --allocations_left;
    if (void* p = std::malloc(size)) return p;
    throw std::bad_alloc{};
}

} // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::nothrow_t const&) noexcept { return std::malloc(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using namespace marconi;
using namespace marconi::policy;

template <eviction_policy Policy>
std::vector<node_id> evict_all(Policy policy) {
    std::vector<node_id> order;
    while (auto const victim = policy.victim(tick{1000})) {
        order.push_back(*victim);
        policy.evicted(*victim);
    }
    return order;
}

struct fewest_uses {
    double operator()(usage const& h, candidate_facts const&, tick) const {
        return static_cast<double>(h.uses);
    }
};

} // namespace

using all_policies = std::tuple<lru, gdsf, flop_aware, expected_savings, scored<fewest_uses>,
                                either<lru, flop_aware>, either<flop_aware, lru>>;

TEMPLATE_LIST_TEST_CASE("an insertion that finds no memory changes nothing", "", all_policies) {
    int failures = 0;
    for (std::uint32_t held = 0; held < 20; ++held) {
        TestType policy;
        for (std::uint32_t i = 0; i < held; ++i)
            policy.insert(node_id{i * 7 % 20}, policy.created(tick{1 + i % 3}), {});
        auto const before = evict_all(policy);
        for (int survived = 0;; ++survived) {
            auto trial = policy;
            allocations_left = survived;
            bool threw = false;
            try {
                trial.insert(node_id{50}, trial.created(tick{2}), {});
            } catch (std::bad_alloc const&) {
                threw = true;
            }
            allocations_left = -1;
            REQUIRE(trial.size() == before.size() + (threw ? 0 : 1));
            if (!threw) break;
            ++failures;
            REQUIRE(evict_all(trial) == before);
            trial.insert(node_id{50}, trial.created(tick{2}), {});
            REQUIRE(evict_all(trial).size() == before.size() + 1);
        }
    }
    CHECK(failures >= 20);
}
