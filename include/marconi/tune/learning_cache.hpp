#pragma once

#include <marconi/cache/observer.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/learner.hpp>
#include <marconi/tune/learning_report.hpp>

#include <cstdint>
#include <utility>

namespace marconi::tune {

/// A prefix cache that learns from its requests which entries come back, and when. It evicts what
/// is expected to save the least compute for its memory (policy::expected_savings), or by
/// greedy-dual (policy::gdsf) while that would save more. Calls, leases and threads as
/// prefix_cache's. Decisions are a pure function of the calls. It also finds out whether the
/// checkpoints of policy::spaced and those where answers begin are worth making: every 16 requests
/// it sets the policy's `every` and `before_answer` to 0 or to what they were when the cache was
/// made, whatever admission() was set to meanwhile; what was 0 then is not looked into.
///
/// A commit that completes a prompt, or brings the tail of an answer (of states on a grid, one in
/// 1,024 tokens), is repeated in up to three caches that only count: a larger one (reuse_shadow),
/// which shows what comes back, and, unless duel_half_life is 0, two of the same size (duel), which
/// show what either policy saves. For `every`, and for `before_answer`, it is repeated in two more
/// each (admission_trial), which show what these checkpoints save. Each takes O(tokens), about as
/// much as a whole request's commit; see learning_options for the memory. Requests are seen in the
/// order in which their prompts complete. A request whose prompt no commit completes is not seen,
/// nor one that is not counted, nor evict(), forget() of tokens or forget_unused(). What a commit
/// taught takes effect with the next one.
template <memory::store Store, policy::admission_policy Admission = policy::branch_and_tail,
          class Observer = cache::no_observer, token Token = std::int32_t>
class learning_cache : public cache::prefix_cache<Store, Admission, learned_or_gdsf, Observer,
                                                  Token, learner<Admission, Token>> {
    using base = cache::prefix_cache<Store, Admission, learned_or_gdsf, Observer, Token,
                                     learner<Admission, Token>>;

public:
    /// Throws invalid_argument for options out of range.
    explicit learning_cache(Store store, cache::cache_options options = {},
                            learning_options learning = {}, Admission admission = Admission{},
                            Observer observer = Observer{})
        : base{std::move(store),
               options,
               admission,
               learned_or_gdsf{},
               std::move(observer),
               [&](Store const& at) {
                   return learner<Admission, Token>{learning, at, options, admission};
               }} {}

    /// What there was to learn from, and what came of it. O(1).
    [[nodiscard]] learning_report learning() const {
        auto const use = this->threads_.reading("learning");
        return this->attendant_.report();
    }
    /// Whether victims are chosen by what was learned; if not, greedy-dual chooses them.
    [[nodiscard]] bool rules_by_odds() const {
        auto const use = this->threads_.reading("rules_by_odds");
        return this->eviction().in_charge() == policy::rival::first;
    }
};

} // namespace marconi::tune
