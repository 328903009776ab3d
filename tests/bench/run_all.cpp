#include <replay/run_all.hpp>

#include <replay/progress.hpp>
#include <replay/synthetic.hpp>
#include <support/catch.hpp>

#include <sstream>
#include <string>

using namespace marconi::replay;

TEST_CASE("progress counts each run once, also of policies that no capacity limits") {
    trace const chats = make_synthetic({.kind = workload::chat, .sessions = 2});
    options chosen;
    for (char const* policy : {"none", "lru", "infinite"})
        chosen.policies.push_back(parse_policy(policy));
    for (char const* capacity : {"1GB", "10%", "20%"})
        chosen.capacities.push_back(parse_capacity(capacity));
    double now = 0;
    std::ostringstream to;
    progress shown{to, true, [&] { return now += 10; }};
    CHECK(run_all(chats, chosen, shown, "trace 1 of 2").size() == 2 + 3);
    // And one to see what an infinite cache holds.
    std::string const all = std::to_string(6 * chats.requests.size());
    CHECK(to.str().find(all + " of " + all + " requests of trace 1 of 2, 100 %") !=
          std::string::npos);
    CHECK(to.str().find("\r" + std::to_string(5 * chats.requests.size()) + " of " + all) !=
          std::string::npos);
}
