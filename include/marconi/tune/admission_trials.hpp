#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/tune/admission_trial.hpp>
#include <marconi/tune/replay.hpp>

#include <concepts>
#include <tuple>
#include <utility>

namespace marconi::tune {

/// On trial: the checkpoints between branch point and tail that policy::spaced makes, every
/// `every` tokens.
struct spaced_states {
    template <class Admission>
    static constexpr bool may_be_in = std::same_as<Admission, policy::spaced>;
    static token_count& parameter(policy::spaced& admission) { return admission.every; }

    /// At the end of a request there is a tail, unless it was cut short of its answer.
    template <token Token>
    static bool makes(token_count every, token_count position, replay_request<Token> const& request,
                      token_count grid) {
        token_count const end{request.tokens.size()};
        return position % policy::spaced{every}.step_on(grid) == 0 &&
               (position != end || request.answer_from.value_or(end) > end);
    }
};

/// On trial: the checkpoint where an answer begins, branch_and_tail::before_answer.
struct answer_states {
    template <class Admission>
    static constexpr bool may_be_in =
        std::same_as<Admission, policy::branch_and_tail> || spaced_states::may_be_in<Admission>;
    static token_count& parameter(policy::branch_and_tail& admission) {
        return admission.before_answer;
    }
    static token_count& parameter(policy::spaced& admission) { return parameter(admission.base); }

    template <token Token>
    static bool makes(token_count before, token_count position,
                      replay_request<Token> const& request, token_count grid) {
        token_count const from = request.answer_from.value_or(request.prompt);
        return before <= from && position == grid * ((from - before) / grid);
    }
};

/// The trials of all parts that Marconi's admission policies have. Each goes on from what the
/// others have decided.
template <policy::admission_policy Admission, policy::eviction_policy Eviction, token Token>
class admission_trials {
public:
    admission_trials(memory::ledger_store const& blank, cache::cache_options options,
                     Admission const& admission)
        : trials_{spaced_trial{blank, options, admission},
                  answer_trial{blank, options, admission}} {}

    void ask(replay_request<Token> const& request, tick now) {
        each([&](auto& trial) { trial.ask(request, now); });
    }
    template <class Tell>
    void tell(Tell const& what) {
        each([&](auto& trial) { trial.tell(what); });
    }
    /// Decides anew which parts the policy has. False if there is nothing to decide.
    bool decide(Admission& admission) {
        bool any = false;
        each([&](auto& trial) { any |= trial.decide(admission); });
        if (any) each([&](auto& trial) { trial.admit_by(admission); });
        return any;
    }

    [[nodiscard]] bool spacing_pays() const { return std::get<0>(trials_).pays(); }
    [[nodiscard]] bool before_answer_pays() const { return std::get<1>(trials_).pays(); }
    /// The same policy without spaced checkpoints.
    [[nodiscard]] static Admission unspaced(Admission admission) {
        return spaced_trial::without(std::move(admission));
    }

    void clear(scope const& in) {
        each([&](auto& trial) { trial.clear(in); });
    }
    void clear() {
        each([](auto& trial) { trial.clear(); });
    }
    void end() noexcept {
        each([](auto& trial) { trial.end(); });
    }
    /// Puts back what was left out.
    void restore(Admission& admission) {
        each([&](auto& trial) { trial.restore(admission); });
    }
    /// Bytes of memory on the host.
    [[nodiscard]] byte_count memory() const {
        return std::get<0>(trials_).memory() + std::get<1>(trials_).memory();
    }

private:
    using spaced_trial = admission_trial<spaced_states, Admission, Eviction, Token>;
    using answer_trial = admission_trial<answer_states, Admission, Eviction, Token>;

    template <class Call>
    void each(Call const& call) {
        std::apply([&](auto&... trial) { (call(trial), ...); }, trials_);
    }

    std::tuple<spaced_trial, answer_trial> trials_;
};

} // namespace marconi::tune
