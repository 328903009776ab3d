// What tiny_engine's serve makes of a trace. Times are not tested: what was done in them is.

#include <tiny_engine/measure.hpp>

#include <replay/synthetic.hpp>

#include <support/catch.hpp>

using namespace tiny;
namespace replay = marconi::replay;

namespace {

replay::trace agents() {
    return shrunk(replay::make_synthetic({.kind = replay::workload::agent, .sessions = 4}), 64, 64);
}

std::vector<measured_policy> measured(replay::trace const& trace, kv_memory memory,
                                      std::vector<std::string> const& policies,
                                      char const* capacity) {
    measure_options options;
    options.shape.layers = "MSA";
    options.memory = memory;
    for (std::string const& name : policies)
        options.policies.push_back(parse_served_policy(name));
    options.capacity = replay::parse_capacity(capacity);
    options.chunk = 32;
    options.passes = 2;
    return measure(trace, options, replay::progress::unseen());
}

} // namespace

TEST_CASE("a shrunk trace keeps what requests share") {
    replay::trace const whole{
        .name = "t",
        .requests = {{.tokens = {0, 1, 2, 3, 4, 5, 6, 7}, .prompt_tokens = 5},
                     {.tokens = {0, 1, 2, 3, 4, 5, 6, 7, 8, 19, 110, -1}, .prompt_tokens = 10}}};
    auto const made = shrunk(whole, 3, 10);
    CHECK(made.name == "t");
    CHECK(made.requests[0].tokens == std::vector<std::int32_t>{0, 3, 6});
    CHECK(made.requests[0].prompt_tokens == 2);
    CHECK(made.requests[1].tokens == std::vector<std::int32_t>{0, 3, 6, 9});
    CHECK(made.requests[1].prompt_tokens == 4); // the whole: nothing is left of the output
    CHECK(shrunk(whole, 1, 10).requests[1].tokens.back() == 9);
    CHECK(shrunk(whole, 1000, 10).requests[0].prompt_tokens == 1);
}

TEST_CASE("every policy serves the trace, and skips what marconi_replay says it would") {
    auto const trace = agents();
    for (kv_memory const memory : {kv_memory::copy, kv_memory::in_place}) {
        auto const results = measured(
            trace, memory,
            {"none", "vllm+", "sglang+", "lru", "marconi", "marconi:1", "gdsf", "learned"}, "100%");
        REQUIRE(results.size() == 8);
        for (measured_policy const& m : results) {
            CAPTURE(m.policy);
            CHECK(m.requests == trace.requests.size());
            CHECK(m.ttft_ms.size() == trace.requests.size());
            CHECK(*std::ranges::min_element(m.ttft_ms) > 0);
            CHECK((m.resumed_tokens > 0) == (m.policy != "none"));
            if (m.policy == "vllm+") continue; // floods its cache: what is evicted when, differs
            CHECK(m.resumed_tokens == m.replay_resumed_tokens);
            CHECK((m.flops_saved > 0) == (m.policy != "none"));
        }
    }
}

TEST_CASE("what cannot be measured is said") {
    auto const trace = agents();
    for (char const* const policy : {"fifo", "oracle", "infinite", "marconi-artifact"})
        CHECK_THROWS_AS(parse_served_policy(policy), marconi::invalid_argument);
    CHECK_THROWS_AS(measured(trace, kv_memory::in_place, {"lru"}, "10KB"), marconi::error);
}
