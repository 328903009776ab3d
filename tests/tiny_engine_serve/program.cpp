// tiny_engine's command line: what it refuses, in which words, and how it ends.

#include <tiny_engine/program.hpp>

#include <bench/temporary_file.hpp>
#include <support/catch.hpp>

#include <ostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <vector>

using namespace tiny;

namespace {

struct run_result {
    int code;
    std::string out;
    std::string err;

    [[nodiscard]] std::string first_line() const { return err.substr(0, err.find('\n')); }
};

int run_into(std::ostream& out, std::ostream& err, std::vector<std::string> const& arguments) {
    std::vector<char const*> argv{"tiny_engine"};
    for (std::string const& a : arguments)
        argv.push_back(a.c_str());
    return run_program(static_cast<int>(argv.size()), argv.data(), out, err);
}

run_result run(std::vector<std::string> const& arguments) {
    std::ostringstream out, err;
    int const code = run_into(out, err, arguments);
    return {code, out.str(), err.str()};
}

/// What a command line is refused with.
std::string refused(std::vector<std::string> const& arguments) {
    run_result const r = run(arguments);
    CHECK(r.code == exit_code::refused);
    CHECK(r.out.empty());
    return r.first_line();
}

/// Takes what it is given, and loses it when it is to be kept: a disk that is full.
struct full_disk : std::streambuf {
    int_type overflow(int_type c) override { return traits_type::not_eof(c); }
    int sync() override { return -1; }
};

std::vector<std::string> served(std::vector<std::string> const& more) {
    std::vector<std::string> all{"serve",    "--synthetic", "agent",      "--sessions", "2",
                                 "--shrink", "64",          "--requests", "5",          "--layers",
                                 "MSA",      "--width",     "16",         "--format",   "json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

std::size_t count(std::string const& text, std::string const& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

} // namespace

TEST_CASE("numbers are read as marconi_replay reads them") {
    auto const [command, option, value, range] =
        GENERATE(table<char const*, char const*, char const*, char const*>({
            {"prove", "--requests", "-1", "1 to 18446744073709551615"},
            {"prove", "--requests", "0", "1 to 18446744073709551615"},
            {"prove", "--requests", "99999999999999999999", "1 to 18446744073709551615"},
            {"prove", "--requests", "", "1 to 18446744073709551615"},
            {"prove", "--seed", "-1", "0 to 18446744073709551615"},
            {"prove", "--width", "-32", "1 to 65536"},
            {"prove", "--vocabulary", "-1", "1 to 1048576"},
            {"prove", "--mlp-width", "-1", "1 to 65536"},
            {"prove", "--taps", "1", "2 to 1024"},
            {"serve", "--taps", "1", "2 to 1024"},
            {"serve", "--requests", "0", "1 to 18446744073709551615"},
            {"serve", "--passes", "-1", "1 to 1000"},
            {"serve", "--chunk", "-1", "1 to 16777216"},
            {"serve", "--sessions", "-1", "1 to 100000"},
            {"serve", "--shrink", "0", "1 to 1048576"},
            {"serve", "--block-tokens", "257", "1 to 256"},
        }));
    CAPTURE(command, option, value);
    std::vector<std::string> arguments{command, option, value};
    if (arguments[0] == "serve") arguments.insert(arguments.end(), {"--synthetic", "chat"});
    CHECK(refused(arguments) ==
          std::string{option} + ": is '" + value + "'; expected a whole number from " + range);
}

TEST_CASE("a number is decimal, whatever it begins with") {
    run_result const r = run({"prove", "--requests", "010", "--seed", "08"});
    CHECK(r.err.empty());
    CHECK(r.out.starts_with("10 requests, in-place, seed 8: "));
}

TEST_CASE("a shape that makes no model is refused before anything is done") {
    CHECK(refused({"prove", "--head-dim", "3"}) ==
          "tiny_engine: head_dim is 3; expected even, for rotary positions");
    CHECK(refused({"serve", "--trace", "/no/such", "--kv-heads", "3"}) ==
          "tiny_engine: kv_heads is 3; expected a divisor of heads");
}

TEST_CASE("policies are those that serve has, each once, with blanks around them") {
    std::string const all = "none, vllm+, sglang+, marconi, lru, gdsf, learned";
    for (std::string const policy : {"fifo", "oracle", "infinite", "marconi-artifact"})
        CHECK(refused(served({"--policy", policy})) ==
              "tiny_engine: policy is '" + policy + "'; expected one of " + all);
    CHECK(refused(served({"--policy", ""})) ==
          "tiny_engine: policy is empty; expected a list separated by single commas");
    CHECK(refused(served({"--policy", "lru,,gdsf"})) ==
          "tiny_engine: policy is 'lru,,gdsf'; expected a list separated by single commas");
    run_result const r = run(served({"--policy", "lru, gdsf,lru", "--capacity", "100%"}));
    CHECK(r.code == exit_code::good);
    CHECK(r.err.empty());
    CHECK(count(r.out, R"("policy":"lru")") == 1);
    CHECK(count(r.out, R"("policy":"gdsf")") == 1);
    CHECK(count(r.out, R"("policy")") == 2);
}

TEST_CASE("options that would do nothing are refused, and so is no trace") {
    CHECK(refused({"serve", "--trace", "t", "--seed", "2"}) == "--seed requires --synthetic");
    CHECK(refused({"serve", "--trace", "t", "--sessions", "2"}) ==
          "--sessions requires --synthetic");
    CHECK(refused({"serve", "--trace", "t", "--synthetic", "chat"}).find("excludes") !=
          std::string::npos);
    CHECK(refused({"serve"}) == "tiny_engine: no trace; expected --trace FILE or --synthetic KIND");
    CHECK(refused({"serve", "--synthetic", "web"}) ==
          "tiny_engine: synthetic is web; expected chat, agent, fewshot or mixed");
    CHECK(refused({"serve", "--synthetic", "chat", "--capacity", "much"}) ==
          "tiny_engine: capacity is 'much'; expected a size such as 5GB, 512MiB or 10%");
    CHECK(refused({"serve", "--synthetic", "chat", "--nonsense"}) ==
          "The following argument was not expected: --nonsense");
    CHECK(refused({}) == "A subcommand is required");
}

TEST_CASE("a cache that memory does not hold is named") {
    // More than a process can address, wherever memory is promised and not yet there.
    run_result const r =
        run(served({"--policy", "lru", "--capacity", "500TB", "--block-tokens", "256"}));
    CHECK(r.code == exit_code::failed);
    CHECK(r.first_line() == "tiny_engine: no memory for lru with 500 TB, beside 0 other policies; "
                            "try a smaller --capacity, or fewer of them");
}

TEST_CASE("where a trace cannot be read, an earlier report stays") {
    temporary_file const results{"earlier results"};
    run_result const r = run({"serve", "--trace", "/no/such", "--out", results.path()});
    CHECK(r.code == exit_code::failed);
    CHECK(r.first_line().starts_with("tiny_engine: '/no/such' cannot be"));
    CHECK(results.contents() == "earlier results");
}

TEST_CASE("a report that is lost is no good end") {
    for (std::vector<std::string> const& arguments :
         {std::vector<std::string>{"prove", "--requests", "60"},
          served({"--policy", "lru", "--capacity", "100%"}),
          std::vector<std::string>{"prove", "--help"}}) {
        full_disk disk;
        std::ostream out{&disk};
        std::ostringstream err;
        CAPTURE(arguments);
        CHECK(run_into(out, err, arguments) == exit_code::failed);
    }
}

TEST_CASE("a proof ends well, or with what it found") {
    run_result const good = run({"prove", "--requests", "100"});
    CHECK(good.code == exit_code::good);
    CHECK(good.out.find(", 0 differ\n") != std::string::npos);
    run_result const wrong = run({"prove", "--requests", "300", "--plant", "late-capture"});
    CHECK(wrong.code == exit_code::differs);
    CHECK(wrong.out.find("first difference after ") != std::string::npos);
    run_result const nothing = run({"prove", "--requests", "1"});
    CHECK(nothing.code == exit_code::refused);
    CHECK(nothing.out.find("this proves nothing\n") != std::string::npos);
}
