#pragma once

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/policy/concepts.hpp>

#include <algorithm>

namespace marconi::policy {

/// Marconi's judicious admission (arXiv 2411.19379, §4.1): at most two checkpoints a request.
///
/// - The branch point, where this request leaves what is cached: the prefix above it is shared by
///   two requests, so a third is likely. It is found by the second and first used by the third.
/// - The tail, from which the next turn of a conversation goes on.
///
/// And a third if `before_answer` asks for it: where the answer begins. Reasoning models need it,
/// whose chat templates leave the thoughts of an answer out of later prompts. The next turn then
/// leaves what is cached at the first thought: the tail after it is of no use, and the branch
/// point helps only the turn after next.
///
/// ```
/// a = answer_from - before_answer, rounded down to the checkpoint grid; none if past the limit
/// c = min(matched, limit, a), rounded down likewise
/// captured: c where c - resumable >= g,      g = min(block_tokens, 16)
///           a where it lies as far past c, or past resumable if c is not captured
/// ```
/// With `a`, g is at least before_answer + 1: the next turn leaves what is cached up to so far past
/// the answer's start, where it resumes, and that is no branch point. (On a coarser grid it
/// may lie up to a step farther, and is taken for one.)
struct branch_and_tail {
    /// How far before the answer its start is captured: as many tokens as the chat template puts
    /// after the last message, or a few more, which the next turn computes again. 16 is enough for
    /// most. 0: it is not captured. A tune::learning_cache asks for it only while that pays.
    token_count before_answer{0};

    /// A checkpoint that saves fewer tokens than this is not worth cutting a prefill in two for,
    /// however large the blocks.
    static constexpr token_count largest_least_gain{16};
    [[nodiscard]] static token_count least_gain(request_facts const& facts) {
        return std::min(facts.block_tokens, largest_least_gain);
    }

    /// O(1). Throws invalid_argument for a checkpoint grid of 0.
    [[nodiscard]] capture_rule captures(request_facts const& facts) const {
        capture_rule rule = branch(facts);
        add(rule, answer(facts), facts);
        return rule;
    }

    // The parts of it, for policies that name positions in between.

    /// The branch point, if it is worth a checkpoint, and the tail.
    [[nodiscard]] capture_rule branch(request_facts const& facts) const {
        token_count const end = answer(facts) > token_count{} ? answer(facts) : facts.limit;
        capture_rule rule{.at = {}, .tail = true};
        add(rule, on_grid(std::min(facts.matched, end), facts), facts);
        return rule;
    }
    /// Where the answer begins; 0 if that is not to be captured.
    [[nodiscard]] token_count answer(request_facts const& facts) const {
        if (before_answer == token_count{} || before_answer > facts.answer_from) return {};
        token_count const start = on_grid(facts.answer_from - before_answer, facts);
        return start <= facts.limit ? start : token_count{};
    }
    /// How far branch point and answer's start have to lie past what comes before them.
    [[nodiscard]] token_count distance(request_facts const& facts) const {
        token_count const least = least_gain(facts);
        bool const has_answer = answer(facts) > token_count{};
        return has_answer ? std::max(least, before_answer + token_count{1}) : least;
    }
    /// Adds one of them, if it does.
    void add(capture_rule& rule, token_count position, request_facts const& facts) const {
        token_count const from = rule.at.empty() ? facts.resumable : rule.at.back();
        if (position > from && position - from >= distance(facts)) rule.at.push_back(position);
    }

private:
    [[nodiscard]] static token_count on_grid(token_count position, request_facts const& facts) {
        MARCONI_EXPECT(facts.checkpoint_grid > token_count{}, "checkpoint_grid",
                       facts.checkpoint_grid.value(), "at least 1 token");
        return facts.checkpoint_grid * (position / facts.checkpoint_grid);
    }
};

static_assert(admission_policy<branch_and_tail>);

} // namespace marconi::policy
