// What a plan names, and that an engine which follows it can resume there.

#include <cache/short_requests.hpp>

#include <marconi/policy/admission/always.hpp>

#include <algorithm>

using namespace cache_tests;

namespace {

std::vector<std::uint64_t> positions(std::span<token_count const> named) {
    std::vector<std::uint64_t> plain;
    for (token_count const t : named)
        plain.push_back(t.value());
    return plain;
}

/// What the plan names for a prompt that leaves a stored one after `shared` tokens.
std::vector<std::uint64_t> branch_of(std::uint64_t block, std::uint64_t grid, std::size_t shared) {
    small_cache cache{room_for(hybrid(), 10'000, block), {.checkpoint_grid = token_count{grid}}};
    sequence const stored = numbered(1, 600);
    serve(cache, stored);
    auto const plan = cache.plan(cache.match({}, first(stored, shared) + numbered(2, 50)));
    CHECK(plan.captures.tail);
    return positions(plan.captures.at);
}

using named = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("a plan names the branch point, if it lies far enough past what is resumable") {
    CHECK(branch_of(1, 1, 0) == named{});
    CHECK(branch_of(1, 1, 1) == named{1});
    CHECK(branch_of(1, 1, 599) == named{599});
    CHECK(branch_of(4, 1, 3) == named{});
    CHECK(branch_of(4, 1, 4) == named{4});
    CHECK(branch_of(4, 1, 5) == named{5});
    CHECK(branch_of(16, 1, 15) == named{});
    CHECK(branch_of(16, 1, 16) == named{16});
    CHECK(branch_of(16, 1, 21) == named{21}); // inside a block
    CHECK(branch_of(256, 1, 15) == named{});
    CHECK(branch_of(256, 1, 16) == named{16}); // not the block, but 16 tokens
    CHECK(branch_of(256, 1, 300) == named{300});
}

TEST_CASE("a plan names positions where the engine can stop") {
    CHECK(branch_of(16, 8, 21) == named{16});
    CHECK(branch_of(16, 8, 23) == named{16});
    CHECK(branch_of(16, 8, 24) == named{24});
    CHECK(branch_of(16, 8, 15) == named{}); // 8 gains less than a block
    CHECK(branch_of(16, 256, 255) == named{});
    CHECK(branch_of(16, 256, 256) == named{256});
    CHECK(branch_of(16, 256, 599) == named{512});
    CHECK(branch_of(1, 3, 2) == named{});
    CHECK(branch_of(1, 3, 5) == named{3});
}

TEST_CASE("the branch of a repeat is where the limit is") {
    small_cache cache{room_for(hybrid(), 1000, 16)};
    sequence const stored = numbered(1, 100);
    serve(cache, stored);
    auto const named_for = [&](std::optional<token_count> limit) {
        return positions(cache.plan(cache.match({}, stored, {.limit = limit})).captures.at);
    };
    CHECK(named_for({}) == named{99});
    CHECK(named_for(50_tokens) == named{50});
    CHECK(named_for(15_tokens) == named{});
    CHECK(named_for(100_tokens) == named{}); // its end can be resumed from
}

TEST_CASE("a branch is measured from what is resumable") {
    small_cache cache{room_for(hybrid(), 1000, 16)};
    sequence const stored = numbered(1, 100);
    serve(cache, first(stored, 60));
    serve(cache, stored);
    auto const at = [&](std::size_t shared) {
        auto const prompt = first(stored, shared) + numbered(2, 9);
        return positions(cache.plan(cache.match({}, prompt)).captures.at);
    };
    CHECK(at(75) == named{});   // 15 past the checkpoint at 60
    CHECK(at(76) == named{76}); // 16
    CHECK(at(59) == named{59});
    CHECK(at(60) == named{});
}

namespace {

/// Turns of a conversation with a reasoning model: what each could resume. Thoughts begin an answer
/// and are left out of later prompts; each prompt ends with two tokens that later ones lack.
named resumed_in_turns(token_count before_answer) {
    counting_cache<policy::lru> cache{room_for(hybrid(), 1000), {}, {before_answer}};
    sequence const opening = numbered(99, 2);
    sequence history = numbered(0, 50);
    named resumed;
    for (std::int32_t turn = 1; turn <= 4; ++turn) {
        sequence const prompt = history + opening;
        resumed.push_back(look(cache, prompt).resumable);
        serve_answer(cache, prompt, numbered(100 + turn, 30) + numbered(turn, 20));
        history = history + numbered(turn, 20) + numbered(200 + turn, 10);
    }
    return resumed;
}

} // namespace

TEST_CASE("turns whose thoughts are left out go on from where the answer began") {
    // Prompts, without the opening, end at 50, 80, 110 and 140.
    CHECK(resumed_in_turns(0_tokens) == named{0, 0, 50, 80}); // a turn late
    CHECK(resumed_in_turns(2_tokens) == named{0, 50, 80, 110});
    CHECK(resumed_in_turns(8_tokens) == named{0, 44, 74, 104});
    CHECK(resumed_in_turns(1_tokens) == named{0, 0, 50, 80}); // past where they part
}

TEST_CASE("where the answer begins may be told, if a part of it is there already") {
    counting_cache<policy::lru> cache{room_for(hybrid(), 1000), {}, {8_tokens}};
    sequence const tokens = numbered(0, 80);
    auto const at = [&](cache::match_options options) {
        return positions(cache.plan(cache.match({}, tokens, options)).captures.at);
    };
    CHECK(at({}) == named{72});
    CHECK(at({.answer_from = 80_tokens}) == named{72});
    CHECK(at({.answer_from = 60_tokens}) == named{52});
    CHECK(at({.answer_from = 85_tokens}) == named{77}); // more of the prompt is to come
    CHECK(at({.answer_from = 99_tokens}) == named{});   // past the limit
    CHECK(at({.answer_from = 7_tokens}) == named{});
    CHECK(at({.answer_from = 0_tokens}) == named{});
}

TEST_CASE("a lease repeats its plan") {
    small_cache cache{room_for(hybrid(), 1000)};
    serve(cache, "the quick brown fox");
    auto const lease = acquire(cache, text("the quick red hen"));
    CHECK(positions(lease.capture_at()) == named{10});
    CHECK(lease.should_capture(10_tokens));
    CHECK_FALSE(lease.should_capture(9_tokens));
    CHECK_FALSE(lease.should_capture(17_tokens));
    CHECK(lease.should_capture(17_tokens, true));
    CHECK(lease.should_capture(40_tokens, true)); // after decode
}

TEST_CASE("a model without states is asked for none, whatever the plan was made to say") {
    small_cache cache{room_for(attention_only(), 1000)};
    cache::request_plan plan = cache.plan(cache.match({}, text("the quick red hen")));
    plan.captures = {.at = {10_tokens}, .every = 4_tokens, .tail = true};
    auto const lease = cache.acquire(plan);
    CHECK(lease.capture_at().empty());
    CHECK_FALSE(lease.should_capture(10_tokens));
    CHECK_FALSE(lease.should_capture(12_tokens));
    CHECK_FALSE(lease.should_capture(17_tokens, true));
}

TEST_CASE("an engine may add positions of its own to a plan, in any order") {
    small_cache cache{room_for(hybrid(), 100)};
    auto plan = cache.plan(cache.match({}, text("0123456789")));
    for (token_count const at : {7_tokens, 3_tokens, 5_tokens})
        plan.captures.at.push_back(at);
    auto const lease = cache.acquire(plan);
    CHECK(std::ranges::equal(lease.capture_at(), std::vector{3_tokens, 5_tokens, 7_tokens}));
    for (token_count const at : {7_tokens, 3_tokens, 5_tokens})
        CHECK(lease.should_capture(at));
    CHECK(!lease.should_capture(4_tokens));
}

TEST_CASE("of positions of one's own a lease keeps those that its prefill passes, each once") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, text("0123"));
    sequence const prompt = text("0123456789");
    auto plan = cache.plan(cache.match({}, prompt));
    CHECK(plan.resume_at() == 4_tokens);
    for (token_count const at : {10_tokens, 4_tokens, 9_tokens, 2_tokens, 6_tokens, 9_tokens})
        plan.captures.at.push_back(at);
    auto const lease = cache.acquire(plan);
    CHECK(positions(lease.capture_at()) == named{6, 9});
    CHECK(commit(cache, lease, prompt, {6, 9}).stored_checkpoints == 2);
}

TEST_CASE("always names every so many tokens") {
    counting_cache<policy::lru, policy::always> cache{
        room_for(hybrid(), 1000), {}, policy::always{.every = 4_tokens}};
    auto const ask = [&](std::size_t tokens) {
        return positions(cache.plan(cache.match({}, numbered(1, tokens))).captures.at);
    };
    CHECK(ask(3) == named{});
    CHECK(ask(4) == named{}); // 4 lies past the limit
    CHECK(ask(13) == named{4, 8, 12});
    serve(cache, numbered(1, 13));
    CHECK(cache.holds().checkpoint_count == 3);
    CHECK(look(cache, numbered(1, 13)) == depths{13, 12, 1, 0});
    CHECK(ask(22) == named{16, 20});
    auto const lease = acquire(cache, numbered(1, 22));
    CHECK(lease.should_capture(24_tokens)); // decode
    CHECK_FALSE(lease.should_capture(23_tokens, true));
    CHECK(acquire(cache, numbered(1, 24)).should_capture(24_tokens)); // the prompt's last
}

TEST_CASE("of every so many tokens a plan names those on the grid, in time for a few") {
    counting_cache<policy::lru, policy::always> cache{
        room_for(hybrid(), 1000), {.checkpoint_grid = 6_tokens}, policy::always{.every = 4_tokens}};
    auto const ask = [&](std::size_t tokens, std::uint64_t every) {
        cache.admission().every = token_count{every};
        return positions(cache.plan(cache.match({}, numbered(1, tokens))).captures.at);
    };
    CHECK(ask(40, 4) == named{12, 24, 36});
    CHECK(ask(40, 7) == named{});
    CHECK(ask(43, 7) == named{42});
    CHECK(ask(40, 18) == named{18, 36});
    CHECK(ask(40, ~0ull) == named{});
    CHECK(ask(40, ~0ull / 2 + 1) == named{});

    std::vector<token_count> few;
    cache::add_multiples(few, 1, 1 << 10, 5 << 10, 1 << 20);
    CHECK(few.size() == 1020);
    CHECK(few.front() == token_count{5 << 10});
    CHECK(few.back() == token_count{1 << 20});
}

namespace {

/// Names whatever it is told to, sensible or not.
struct careless {
    std::vector<token_count> at{};
    policy::capture_rule captures(policy::request_facts const&) const {
        return {.at = at, .every = {}, .tail = false};
    }
};

} // namespace

TEST_CASE("a plan keeps of a policy's wishes what the engine can do") {
    careless const wishes{{9_tokens, 3_tokens, 0_tokens, 12_tokens, 6_tokens, 7_tokens, 9_tokens,
                           15_tokens, 18_tokens, 1000_tokens}};
    counting_cache<policy::lru, careless> cache{
        room_for(hybrid(), 100), {.checkpoint_grid = 3_tokens}, wishes};
    sequence const stored = numbered(1, 6);
    auto const lease = acquire(cache, stored);
    commit(cache, lease, stored, {6});
    auto const plan = cache.plan(cache.match({}, stored + numbered(2, 10))); // limit 15
    CHECK(positions(plan.captures.at) == named{9, 12, 15});
}

TEST_CASE("an admission policy is told what the match found") {
    struct curious {
        policy::request_facts* told;
        policy::capture_rule captures(policy::request_facts const& facts) const {
            *told = facts;
            return {};
        }
    };
    policy::request_facts told;
    counting_cache<policy::lru, curious> cache{
        room_for(hybrid(), 100, 4), {.checkpoint_grid = 2_tokens}, curious{&told}};
    auto const lease = acquire(cache, text("the quick"));
    commit(cache, lease, text("the quick"), {4});
    (void)cache.plan(cache.match({}, text("the quiet"), {.limit = 8_tokens}));
    CHECK(told.tokens == 9_tokens);
    CHECK(told.limit == 8_tokens);
    CHECK(told.matched == 7_tokens);
    CHECK(told.resumable == 4_tokens);
    CHECK(told.block_tokens == 4_tokens);
    CHECK(told.checkpoint_grid == 2_tokens);
}
