#include <replay/describe.hpp>
#include <replay/percentile.hpp>

#include <support/catch.hpp>

#include <cstdint>
#include <numeric>
#include <sstream>
#include <utility>
#include <vector>

using namespace marconi::replay;

namespace {

request make(std::uint32_t session, double seconds, std::vector<std::int32_t> input,
             std::vector<std::int32_t> const& output) {
    request r;
    r.session = session;
    r.seconds = seconds;
    r.prompt_tokens = static_cast<std::uint32_t>(input.size());
    r.tokens = std::move(input);
    r.tokens.insert(r.tokens.end(), output.begin(), output.end());
    return r;
}

std::vector<std::int32_t> counting(std::int32_t from, std::size_t tokens) {
    std::vector<std::int32_t> result(tokens);
    std::iota(result.begin(), result.end(), from);
    return result;
}

/// Session 1 continues itself, session 2 repeats 40 of its tokens.
trace three_requests() {
    trace t{.name = "small", .requests = {}};
    t.requests.push_back(make(1, 10, counting(0, 64), counting(64, 16)));
    t.requests.push_back(make(2, 11, counting(0, 40), {7, 7}));
    t.requests.push_back(make(1, 14, counting(0, 100), {9}));
    return t;
}

} // namespace

TEST_CASE("percentiles are values of the samples, by nearest rank") {
    std::vector<int> none;
    CHECK(percentile(none, 50) == 0);
    std::vector<int> samples;
    for (int i = 20; i > 0; --i)
        samples.push_back(100 * i);
    CHECK(percentile(samples, 0) == 100);
    CHECK(percentile(samples, 50) == 1000);
    CHECK(percentile(samples, 95) == 1900);
    CHECK(percentile(samples, 96) == 2000);
    CHECK(percentile(samples, 100) == 2000);
    std::vector<int> two{7, 3};
    CHECK(percentile(two, 50) == 3);
    CHECK(percentile(two, 51) == 7);
}

TEST_CASE("statistics of a trace") {
    trace_statistics const s = describe(three_requests());
    CHECK(s.requests == 3);
    CHECK(s.sessions == 2);
    CHECK(s.input_tokens == 204);
    CHECK(s.turns.mean == 1.5);
    CHECK(s.turns.max == 2);
    CHECK(s.input.mean == 68);
    CHECK(s.input.median == 64);
    CHECK(s.input.p95 == 100);
    CHECK(s.output.max == 16);
    CHECK(s.seconds == 4);
    CHECK(s.requests_per_second == 0.75);
    // 32 of 40, whole steps of 16, and the 80 of session 1's first input and output.
    CHECK(s.repeated_share == Approx((32.0 + 80.0) / 204));
    CHECK(s.growth_per_turn == 36);
    CHECK(s.continued_share == 1);
}

TEST_CASE("a prefix counts only from the start, and only of the input") {
    trace t;
    t.requests.push_back(make(1, 0, counting(0, 32), {}));
    t.requests.push_back(make(2, 0, counting(16, 32), {})); // repeats, but not from the start
    t.requests.push_back(make(3, 0, counting(0, 16), counting(16, 16))); // half of it an output
    trace_statistics const s = describe(t);
    CHECK(s.repeated_share == Approx(16.0 / 80));
    CHECK(s.requests_per_second == 0);
    CHECK(describe(trace{}).requests == 0);
}

TEST_CASE("prompts of zeros share no more than they have") {
    for (std::int32_t const first : {0, 1}) {
        std::vector<std::int32_t> short_one(64, 0), long_one(640, 0);
        short_one.front() = long_one.front() = first;
        trace t;
        t.requests.push_back(make(1, 0, short_one, {}));
        t.requests.push_back(make(2, 0, long_one, {}));
        CHECK(describe(t).repeated_share == Approx(64.0 / 704));
    }
}

TEST_CASE("statistics are printed a column a trace") {
    std::vector<trace_statistics> const both = {describe(three_requests()), trace_statistics{}};
    std::ostringstream text;
    print_statistics(both, text);
    CHECK(text.str() == R"(trace                           small
requests                            3       0
sessions                            2       0
turns of a session, mean          1.5     0.0
  median                            1       0
  95th percentile                   2       0
  maximum                           2       0
input tokens                      204       0
input of a request, mean           68       0
  median                           64       0
  95th percentile                 100       0
  maximum                         100       0
output of a request, mean           6       0
  median                            2       0
  95th percentile                  16       0
  maximum                          16       0
seconds                           4.0     0.0
requests a second                0.75    0.00
input that repeats a prefix   54.90 %  0.00 %
input growth per turn              36       0
turns that keep all history  100.00 %  0.00 %
)");
}
