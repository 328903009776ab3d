#pragma once

#include <marconi/cache/options.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/concepts.hpp>

#include <algorithm>
#include <concepts>

namespace marconi::tune {

/// Whether checkpoints at multiples of some step serve requests, or would: a share of the FLOPs
/// saved is what they save beyond the nearest checkpoint elsewhere, or could save where they are
/// missing. What a branch or a tail at such a multiple saves counts as theirs.
class spacing_gain {
public:
    /// A step of 0: there is nothing to find out.
    explicit spacing_gain(token_count step) : step_{step} {}

    /// A request that was matched in `entries`. O(depth).
    template <class Entries>
    void note(Entries const& entries, cache::match_result const& match) {
        if (step_ == token_count{}) return;
        auto const& flops = entries.store().layout().model().flops;
        auto const worth = [&](token_count from, token_count to) {
            return flops.between(from, to).value() * match.weight;
        };
        saved_ += worth({}, match.resumable);
        token_count const last = step_ * (std::min(match.matched, match.limit) / step_);
        if (last > match.resumable)
            gained_ += worth(match.resumable, last);
        else if (match.resumable > token_count{} && is_step(match.resumable))
            gained_ += worth(nearest_elsewhere(entries, match.resume_node.id), match.resumable);
    }
    void fade(double factor) {
        saved_ *= factor;
        gained_ *= factor;
    }

    /// While nothing was seen they do, and it takes more to come back than to stay.
    [[nodiscard]] bool pays(bool so_far) const {
        constexpr double enough_to_stay = 0.02, enough_to_return = 0.05;
        return gained_ >= (so_far ? enough_to_stay : enough_to_return) * saved_;
    }

private:
    [[nodiscard]] bool is_step(token_count position) const { return position % step_ == 0; }

    template <class Entries>
    [[nodiscard]] token_count nearest_elsewhere(Entries const& entries, node_id id) const {
        auto const& tree = entries.tree();
        for (id = tree[id].parent; !tree[id].is_root(); id = tree[id].parent)
            if (entries.has_checkpoint(id) && !is_step(token_count{tree[id].depth}))
                return token_count{tree[id].depth};
        return {};
    }

    token_count step_;
    double saved_ = 0, gained_ = 0; ///< FLOPs, times weights
};

/// Of a policy::spaced, whether it spaces checkpoints. Any other admission policy stays as it is.
template <policy::admission_policy Admission>
class spacing_choice {
    static constexpr bool may_space = std::same_as<Admission, policy::spaced>;

public:
    explicit spacing_choice(Admission const& admission) {
        if constexpr (may_space) every_ = admission.every;
    }

    /// Of the checkpoints whose gain is to be found out; 0 if there are none to decide about.
    template <memory::store Store>
    [[nodiscard]] token_count step(Store const& store, cache::cache_options options) const {
        if (every_ == token_count{} || !store.layout().model().has_checkpoints()) return {};
        return policy::spaced{every_}.step_on(options.checkpoint_grid);
    }
    [[nodiscard]] Admission without(Admission admission) const {
        if constexpr (may_space) admission.every = token_count{};
        return admission;
    }

    /// Decides anew. False if there is nothing to decide.
    bool choose(spacing_gain const& seen, Admission& admission) {
        if constexpr (may_space) {
            pays_ = seen.pays(pays_);
            admission.every = pays_ ? every_ : token_count{};
        }
        return may_space;
    }
    [[nodiscard]] bool pays() const { return pays_; }

private:
    token_count every_;
    bool pays_ = true;
};

} // namespace marconi::tune
