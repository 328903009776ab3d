#include <replay/options.hpp>

#include <marconi/core/error.hpp>
#include <marconi/core/units.hpp>
#include <support/catch.hpp>

#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace marconi::replay;
using namespace marconi::literals;

namespace {

struct parse_result {
    command_line line;
    std::string out;
    std::string err;
};

parse_result parse(std::vector<char const*> arguments) {
    arguments.insert(arguments.begin(), "marconi_replay");
    std::ostringstream out, err;
    command_line line =
        parse_command_line(static_cast<int>(arguments.size()), arguments.data(), out, err);
    return {std::move(line), out.str(), err.str()};
}

options good(std::vector<char const*> arguments) {
    parse_result result = parse(std::move(arguments));
    INFO(result.err);
    REQUIRE(result.line.chosen);
    return *std::move(result.line.chosen);
}

std::string bad(std::vector<char const*> arguments) {
    parse_result const result = parse(std::move(arguments));
    CHECK_FALSE(result.line.chosen);
    CHECK(result.line.exit_code == 2);
    CHECK(result.out.empty());
    return result.err.substr(0, result.err.find('\n'));
}

} // namespace

TEST_CASE("options by default") {
    options const o = good({"--synthetic", "mixed"});
    CHECK(o.traces.empty());
    CHECK(o.synthetic == std::vector{workload::mixed});
    CHECK(o.seed == 1);
    CHECK(o.sessions == 100);
    CHECK(o.policies.size() == 6);
    CHECK(o.capacities.size() == 3);
    CHECK(o.capacities[1].share == 0.1);
    CHECK(o.block_tokens == 16);
    CHECK(o.checkpoint_grid == 1);
    CHECK(o.jobs >= 1);
    CHECK_FALSE(o.whole_prompt);
    CHECK(o.thoughts == 0);
    CHECK(o.before_answer == 0);
    CHECK_FALSE(o.prompts_only);
    CHECK_FALSE(o.out);
}

TEST_CASE("all options") {
    options const o = good({"--trace",
                            "a.jsonl",
                            "--trace",
                            "-",
                            "--synthetic",
                            "chat,agent",
                            "--seed",
                            "9",
                            "--sessions",
                            "5",
                            "--limit",
                            "70",
                            "--policy",
                            "none,marconi:0.5",
                            "--policy",
                            "marconi-artifact",
                            "--capacity",
                            "1GB,10%",
                            "--alpha",
                            "1.5",
                            "--model",
                            "zamba2-7b",
                            "--cost",
                            "paper",
                            "--block-tokens",
                            "1",
                            "--checkpoint-grid",
                            "64",
                            "--whole-prompt",
                            "--ttft",
                            "h200",
                            "--thoughts",
                            "600",
                            "--before-answer",
                            "16",
                            "--prompts-only",
                            "--format",
                            "json",
                            "--jobs",
                            "3",
                            "--out",
                            "r.jsonl"});
    CHECK(o.traces == std::vector<std::string>{"a.jsonl", "-"});
    CHECK(o.synthetic == std::vector{workload::chat, workload::agent});
    CHECK(o.seed == 9);
    CHECK(o.sessions == 5);
    CHECK(o.limit == 70);
    CHECK(o.policies == std::vector<policy_name>{{.kind = "none", .alpha = {}},
                                                 {.kind = "marconi", .alpha = 0.5},
                                                 {.kind = "marconi-artifact", .alpha = 1.5}});
    CHECK(o.capacities.at(0).bytes == 1_GB);
    CHECK(o.capacities.at(1).share == 0.1);
    CHECK(o.model == "zamba2-7b");
    CHECK(o.cost == cost_model::paper);
    CHECK(o.block_tokens == 1);
    CHECK(o.checkpoint_grid == 64);
    CHECK(o.whole_prompt);
    CHECK(o.thoughts == 600);
    CHECK(o.before_answer == 16);
    CHECK(o.prompts_only);
    CHECK(o.ttft == ttft_curve::h200);
    CHECK(o.format == report_format::json);
    CHECK(o.jobs == 3);
    CHECK(o.out == "r.jsonl");
}

TEST_CASE("alpha is for policies that take one and name none") {
    options const o = good(
        {"--synthetic", "chat", "--alpha", "0.2", "--policy", "lru,marconi,marconi:1,marconi:0.2"});
    REQUIRE(o.policies.size() == 3); // marconi:0.2 is there already
    CHECK_FALSE(o.policies[0].alpha);
    CHECK(o.policies[1].text() == "marconi:0.2");
    CHECK(o.policies[2].text() == "marconi:1");
    CHECK(good({"--synthetic", "chat", "--policy", "marconi:-0"}).policies[0].text() ==
          "marconi:0");
    CHECK(bad({"--synthetic", "chat", "--alpha", "0.2", "--policy", "lru,marconi:1"}) ==
          "alpha is 0.2; expected marconi or marconi-artifact among the policies, without an alpha "
          "of its own, to take it");
    CHECK_FALSE(
        good({"--synthetic", "chat", "--alpha", "auto", "--policy", "marconi"}).policies[0].alpha);
}

TEST_CASE("lists may have blanks, and - is standard output") {
    options const o = good(
        {"--synthetic", "chat", "--policy", "lru, gdsf", "--capacity", "1GB, 10 %", "--out", "-"});
    CHECK(o.policies.size() == 2);
    CHECK(o.capacities.at(1).share == 0.1);
    CHECK_FALSE(o.out);
    CHECK(good({"--synthetic", "chat", "--capacity", "1GB,5%,1000MB,5.0%"}).capacities.size() == 2);
    for (char const* text : {"lru, ", "lru,,gdsf", ",lru", ","})
        CHECK(bad({"--synthetic", "chat", "--policy", text}) ==
              "policy is '" + std::string{text} + "'; expected a list separated by single commas");
    CHECK(bad({"--synthetic", "chat", "--capacity", ""}) ==
          "capacity is empty; expected a list separated by single commas");
    CHECK(good({"--synthetic", "chat,agent", "--synthetic", "mixed"}).synthetic.size() == 3);
}

TEST_CASE("help tells of policies, estimates and examples") {
    parse_result const result = parse({"--help"});
    CHECK_FALSE(result.line.chosen);
    CHECK(result.line.exit_code == 0);
    for (known_policy const& policy : known_policies)
        CHECK(result.out.find("\n  " + std::string{policy.kind} + " ") != std::string::npos);
    for (char const* const part :
         {"--whole-prompt", "0.0530 ms", "989e12", "hash_ids", "Examples:"})
        CHECK(result.out.find(part) != std::string::npos);
}

TEST_CASE("numbers are decimal, whatever they begin with") {
    options const o = good({"--synthetic", "chat", "--sessions", "010", "--seed", "08",
                            "--block-tokens", "0256", "--limit", "0100"});
    CHECK(o.sessions == 10);
    CHECK(o.seed == 8);
    CHECK(o.block_tokens == 256);
    CHECK(o.limit == 100);
}

TEST_CASE("models can be listed without a trace") { CHECK(good({"--list-models"}).list_models); }

TEST_CASE("statistics and models are text") {
    CHECK(good({"--synthetic", "chat", "--describe", "--format", "table"}).describe);
    for (char const* const what : {"--describe", "--list-models"})
        CHECK(bad({"--synthetic", "chat", what, "--format", "json"}) ==
              "format is json; expected table: models and statistics are printed as text");
}

TEST_CASE("wrong options") {
    CHECK(bad({}) == "no trace; expected --trace FILE or --synthetic KIND");
    CHECK(bad({"--synthetic", "web"}) ==
          "synthetic is web; expected chat, agent, fewshot or mixed");
    CHECK(bad({"--trace", "-", "--trace", "-"}) ==
          "trace is '-' twice; expected standard input at most once");
    CHECK(bad({"--synthetic", "chat", "--nonsense"}) ==
          "The following argument was not expected: --nonsense");
    CHECK(bad({"--trace", "t", "--seed", "2"}) == "--seed requires --synthetic");
    CHECK(bad({"--trace", "t", "--sessions", "2"}) == "--sessions requires --synthetic");
    auto const [option, value, message] = GENERATE(table<char const*, char const*, char const*>({
        {"--seed", "-1", "--seed: is '-1'; expected a whole number from 0 to 18446744073709551615"},
        {"--sessions", "0", "--sessions: is '0'; expected a whole number from 1 to 100000"},
        {"--limit", "0", "--limit: is '0'; expected a whole number from 1 to 18446744073709551615"},
        {"--limit", "1.5",
         "--limit: is '1.5'; expected a whole number from 1 to 18446744073709551615"},
        {"--block-tokens", "257",
         "--block-tokens: is '257'; expected a whole number from 1 to 256"},
        {"--checkpoint-grid", "x",
         "--checkpoint-grid: is 'x'; expected a whole number from 1 to 1048576"},
        {"--jobs", "0", "--jobs: is '0'; expected a whole number from 1 to 1024"},
        {"--cost", "real", "--cost: is 'real'; expected one of paper, shape"},
        {"--ttft", "tpu", "--ttft: is 'tpu'; expected one of a100x4, h100, h200"},
        {"--format", "xml", "--format: is 'xml'; expected one of table, csv, json"},
        {"--alpha", "-1", "alpha is '-1'; expected a number, at least 0"},
        {"--capacity", "0GB", "capacity is '0GB'; expected at least 1 byte"},
        {"--policy", "fifo",
         "policy is 'fifo'; expected one of none, vllm+, sglang+, marconi, marconi-artifact, lru, "
         "gdsf, learned, oracle, infinite"},
    }));
    CHECK(bad({"--synthetic", "chat", option, value}) == message);
}

TEST_CASE("policy names") {
    CHECK(parse_policy("marconi:0.50").text() == "marconi:0.5");
    CHECK(parse_policy("marconi").text() == "marconi");
    CHECK(parse_policy("learned:0512").text() == "learned:512");
    CHECK(parse_policy("lru:1").checkpoint_every == 1);
    CHECK_THROWS_WITH(parse_policy("none:1"),
                      "policy is 'none:1'; expected none without an argument");
    CHECK_THROWS_WITH(parse_policy("lru:0"), "tokens between checkpoints is '0'; expected a number "
                                             "from 1 to 2^31");
    for (char const* const text : {"gdsf:", "gdsf:-1", "gdsf:1.5", "gdsf:1k", "gdsf:2147483649"})
        CHECK_THROWS_AS(parse_policy(text), marconi::invalid_argument);
    for (char const* const text : {"marconi:", "marconi:-1", "marconi:x", "marconi:inf",
                                   "marconi:nan", "marconi:1,5", "marconi:1e999"})
        CHECK_THROWS_AS(parse_policy(text), marconi::invalid_argument);
    CHECK_THROWS_AS(parse_policy("Marconi"), marconi::invalid_argument);
}
