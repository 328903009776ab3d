#include <marconi/policy/eviction/lru.hpp>

#include <support/catch.hpp>

using namespace marconi;
using policy::lru;
using policy::usage;

TEST_CASE("lru evicts the oldest last use, then the lowest id") {
    lru policy;
    CHECK_FALSE(policy.victim(tick{1}));
    policy.insert(node_id{5}, usage{tick{3}}, {});
    policy.insert(node_id{9}, usage{tick{2}}, {});
    policy.insert(node_id{2}, usage{tick{3}}, {});
    CHECK(policy.victim(tick{10}) == node_id{9});
    CHECK(policy::likely_victim(policy) == node_id{9});
    policy.update(node_id{9}, usage{tick{10}}, {});
    CHECK(policy.victim(tick{11}) == node_id{2});
    policy.evicted(node_id{2});
    CHECK(policy.victim(tick{11}) == node_id{5});
    policy.erase(node_id{5});
    CHECK(policy.victim(tick{11}) == node_id{9});
    policy.erase(node_id{9});
    CHECK_FALSE(policy.victim(tick{11}));
    CHECK(policy.size() == 0);
}

TEST_CASE("usage remembers the last use and counts uses, not the creation") {
    usage const born = lru::created(tick{4});
    CHECK(born == usage{tick{4}, 0});
    CHECK(lru::used(born, tick{6}) == usage{tick{6}, 1});
    CHECK(lru::merged(usage{tick{4}, 5}, usage{tick{9}, 2}) == usage{tick{9}, 5});
    CHECK(lru::merged(usage{tick{9}, 2}, usage{tick{4}, 5}) == usage{tick{9}, 5});
}
