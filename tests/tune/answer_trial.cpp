// Whether the checkpoint where an answer begins pays: what two ghosts say, and what a learning
// cache makes of it.

#include "traces.hpp"

#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/tune/admission_trials.hpp>
#include <marconi/tune/learning_cache.hpp>

#include <support/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::tests;
using policy::branch_and_tail;
using policy::spaced;

namespace {

/// Conversations of ten turns. Each adds a question of 10 tokens, 20 tokens of thoughts and 10 of
/// an answer; later prompts have the thoughts, or leave them out.
class conversation {
public:
    tune::replay_request<std::int32_t> next(bool thoughts_stay) {
        if (turns_++ % 10 == 0) history_.clear();
        add(history_, 10);
        sequence_ = history_;
        token_count const prompt{sequence_.size()};
        std::int32_t const thoughts = next_;
        add(sequence_, 20);
        std::int32_t const answer = next_;
        add(sequence_, 10);
        next_ = thoughts_stay ? thoughts : answer;
        add(history_, thoughts_stay ? 30 : 10);
        return {.in = {}, .tokens = sequence_, .prompt = prompt, .limit = prompt - token_count{1}};
    }

private:
    void add(tokens& to, std::size_t count) {
        for (; count > 0; --count)
            to.push_back(next_++);
    }

    tokens history_, sequence_;
    int turns_ = 0;
    std::int32_t next_ = 1;
};

/// Requests of one who asks whether a checkpoint 2 tokens before the answer would pay.
struct answer_asker {
    explicit answer_asker(std::uint64_t before = 2, cache::cache_options options = {})
        : ghosts{tiny_store(4000), options, branch_and_tail{token_count{before}}} {}

    void converse(int turns, bool thoughts_stay) {
        for (; turns > 0; --turns)
            ghosts.ask(chat.next(thoughts_stay), now += tick{2});
    }
    bool pays() {
        (void)ghosts.decide(chosen);
        CHECK((chosen.before_answer > 0_tokens) == ghosts.pays());
        return ghosts.pays();
    }

    conversation chat;
    tune::admission_trial<tune::answer_states, branch_and_tail, policy::gdsf, std::int32_t> ghosts;
    branch_and_tail chosen{2_tokens};
    tick now{2};
};

template <class Admission>
auto learning(Admission admission, std::uint64_t pages = 2000) {
    return tune::learning_cache<memory::ledger_store, Admission>{
        tiny_store(pages), {}, {}, admission};
}

} // namespace

TEST_CASE("the checkpoint where an answer begins pays where thoughts are left out") {
    answer_asker t;
    t.converse(60, true);
    CHECK(t.pays()); // too early to tell
    t.converse(10, true);
    CHECK_FALSE(t.pays());
    t.converse(100, false);
    CHECK(t.pays());
    t.converse(3000, true); // what it saved before counts a sixtieth now
    CHECK_FALSE(t.pays());
}

TEST_CASE("what the cache at work has captured where answers begin decides nothing") {
    // 2 tokens before the answer, on a grid of 5.
    auto const way = GENERATE(as<std::string>{}, "whole", "in earlier commits", "cut at the state",
                              "after a preemption");
    CAPTURE(way);
    answer_asker t{2, cache::cache_options{.checkpoint_grid = 5_tokens}};
    for (int turn = 0; turn < 100; ++turn) {
        auto request = t.chat.next(false);
        token_count const position = 5_tokens * ((request.prompt - 2_tokens) / 5_tokens);
        std::vector<cache::captured_state> const at_work{{position}};
        if (way == "in earlier commits")
            request.captured_before = {position};
        else
            request.captured = at_work;
        if (way == "cut at the state") {
            request.answer_from = request.prompt;
            request.tokens = request.tokens.first(position.value());
            request.prompt = request.limit = position;
        } else if (way == "after a preemption") {
            request.answer_from = request.prompt;
            request.prompt += 15_tokens;
        }
        t.ghosts.ask(request, t.now += tick{2});
    }
    CHECK(t.pays());
}

TEST_CASE("without a distance there is nothing to decide") {
    answer_asker off{0};
    off.converse(100, true);
    CHECK_FALSE(off.ghosts.decide(off.chosen));
    CHECK(off.ghosts.pays());
    CHECK(off.ghosts.memory() == byte_count{});
}

TEST_CASE("each trial goes on from what the other has decided") {
    spaced admission{16_tokens, {2_tokens}};
    tune::admission_trials<spaced, policy::gdsf, std::int32_t> trials{
        tiny_store(40'000), {}, admission};
    tick now{2};
    auto const candidates = [&] {
        std::vector<std::size_t> of;
        trials.tell([&](policy::gdsf& eviction) { of.push_back(eviction.size()); });
        return of;
    };
    auto const added_by = [&](std::int32_t first) {
        auto const before = candidates();
        tokens const prompt = numbered(first, 110);
        trials.ask({.in = {}, .tokens = prompt, .prompt = 110_tokens, .limit = 109_tokens},
                   now += tick{2});
        auto more = candidates();
        for (std::size_t i = 0; i < more.size(); ++i)
            more[i] -= before[i];
        return more;
    };
    // The tail, the answer's start, and six states between: with and without these, with and
    // without the answer's start.
    CHECK(added_by(1) == std::vector<std::size_t>{8, 2, 8, 7});

    conversation chat;
    for (int turn = 0; turn < 100; ++turn)
        trials.ask(chat.next(true), now += tick{2});
    CHECK(trials.decide(admission));
    CHECK(admission.every == 0_tokens);
    CHECK(admission.base.before_answer == 0_tokens);
    CHECK(added_by(2) == std::vector<std::size_t>{7, 1, 2, 1});
}

TEST_CASE("a learning cache captures where answers begin while that pays") {
    auto cache = learning(branch_and_tail{2_tokens});
    conversation chat;
    for (int turn = 0; turn < 100; ++turn)
        (void)tune::replay(cache, chat.next(true));
    CHECK_FALSE(cache.learning().before_answer_pays);
    CHECK(cache.learning().spacing_pays);
    CHECK(cache.admission().before_answer == 0_tokens);

    for (int turn = 0; turn < 200; ++turn)
        (void)tune::replay(cache, chat.next(false));
    CHECK(cache.learning().before_answer_pays);
    CHECK(cache.admission().before_answer == 2_tokens);
    (void)tune::replay(cache, chat.next(false));
    auto const request = chat.next(false); // a prompt, an answer, a question more than the last
    CHECK(tune::replay(cache, request).match.resumable == request.prompt - 22_tokens);
    CHECK(cache::audit(cache).empty());
}

TEST_CASE("of spaced checkpoints and answers' starts each may pay without the other") {
    auto cache = learning(spaced{16_tokens, {2_tokens}});
    conversation chat;
    for (int turn = 0; turn < 100; ++turn)
        (void)tune::replay(cache, chat.next(false));
    CHECK_FALSE(cache.learning().spacing_pays);
    CHECK(cache.learning().before_answer_pays);
    CHECK(cache.admission().every == 0_tokens);
    CHECK(cache.admission().base.before_answer == 2_tokens);
}
