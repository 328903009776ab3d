#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/finite.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/either.hpp>
#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/reuse_odds.hpp>
#include <marconi/tune/admission_trials.hpp>
#include <marconi/tune/duel.hpp>
#include <marconi/tune/failure.hpp>
#include <marconi/tune/learning_report.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/request_shown.hpp>
#include <marconi/tune/reuse_shadow.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace marconi::tune {

/// What a cache takes in, of late.
class intake {
public:
    /// Both since the cache was made. Bytes that were given back unused, as reserved pages are, and
    /// are taken once more, do not count again.
    void note(double bytes, double ticks) {
        bytes_ += std::max(bytes - bytes_seen_, 0.0);
        ticks_ += ticks - ticks_seen_;
        bytes_seen_ = std::max(bytes, bytes_seen_);
        ticks_seen_ = ticks;
    }
    void fade(double factor) {
        bytes_ *= factor;
        ticks_ *= factor;
    }
    /// How long it takes to take in so many bytes; long, if nothing comes.
    [[nodiscard]] double ticks_for(double bytes) const {
        constexpr double longest = 1e9;
        return bytes_ > 0 ? std::min(ticks_ * bytes / bytes_, longest) : longest;
    }

private:
    double bytes_ = 0, ticks_ = 0;
    double bytes_seen_ = 0, ticks_seen_ = 0;
};

/// What a cache that learns evicts by: what was learned, or greedy-dual.
using learned_or_gdsf = policy::either<policy::expected_savings, policy::gdsf>;

/// Tells a shadow of what a cache does, makes odds of what the shadow records, and finds out in a
/// duel whether they or greedy-dual serve better. What goes wrong here (no memory, a policy that
/// throws) ends the learning and is told in the report: it never fails a request.
template <policy::admission_policy Admission, token Token>
class learner {
public:
    /// Throws invalid_argument for options out of range.
    template <memory::store Store>
    learner(learning_options options, Store const& store, cache::cache_options cache_options,
            Admission admission)
        : options_{checked(options)},
          fade_{std::exp2(-static_cast<double>(pace) / static_cast<double>(options.half_life))},
          duel_{options.duel_half_life == 0 ? nullptr
                                            : std::make_unique<odds_against_gdsf>(
                                                  ledger_like(store), cache_options, admission,
                                                  static_cast<double>(options.duel_half_life))},
          trials_{ledger_like(store), cache_options, admission},
          shadow_{std::make_unique<shadow>(ledger_like(store, options.shadow_multiple),
                                           cache_options, trials::unspaced(std::move(admission)),
                                           options.shadow_memory)} {}

    /// What a commit that is to be made shows of its request, if there is anything to learn.
    template <class Entries>
    [[nodiscard]] std::optional<replay_request<Token>>
    before_commit(cache::lease_record const& lease, std::span<Token const> tokens,
                  cache::computed const& brought, Entries const& entries) noexcept {
        std::optional<replay_request<Token>> shown;
        guarded([&] { shown = request_shown(lease, tokens, brought, entries); });
        return shown;
    }

    /// Learns from what a commit showed, once it is made, and tells the policies.
    /// O(tokens + depth).
    template <class Entries>
    void after_commit(std::optional<replay_request<Token>> const& shown, cache::lease_record const&,
                      std::span<Token const>, Entries& entries, Admission& admission) noexcept {
        learned_or_gdsf& rule = entries.eviction();
        guarded([&] {
            if (!shown) return;
            bool const seen = shadow_->ask(*shown, entries.now());
            if (shadow_->observer().failed()) throw std::bad_alloc{};
            bool const is_request = shown->prompt > token_count{};
            requests_ += is_request;
            seen_by_shadow_ += is_request && seen;
            if (duel_) {
                duel_->ask(*shown, entries.now());
                changes_ += rule.in_charge() != duel_->ahead();
                rule.put_in_charge(duel_->ahead());
            }
            trials_.ask(*shown, entries.now());
            if (!is_request || requests_ % pace != 0) return;
            policy::reuse_odds const odds = renewed_odds(entries);
            rule.first().set_odds(odds);
            if (duel_) duel_->first().eviction().set_odds(odds);
            trials_.tell([&](learned_or_gdsf& ghosts) {
                ghosts.first().set_odds(odds);
                ghosts.put_in_charge(rule.in_charge());
            });
            if (trials_.decide(admission) && duel_) duel_->admit_by(admission);
        });
        if (!shadow_) trials_.restore(admission);
    }

    /// The counting caches forget, too. What was learned stays.
    void cleared(scope const& in) noexcept {
        guarded([&] {
            shadow_->clear(in);
            trials_.clear(in);
            if (duel_) duel_->clear(in);
        });
    }
    void cleared() noexcept {
        guarded([&] {
            shadow_->clear();
            trials_.clear();
            if (duel_) duel_->clear();
        });
    }

    [[nodiscard]] learning_report report() const {
        learning_report r;
        r.requests = requests_;
        r.horizon_ticks = horizon_;
        r.changes = changes_;
        r.spacing_pays = trials_.spacing_pays();
        r.before_answer_pays = trials_.before_answer_pays();
        r.failure = failure_;
        if (!shadow_) return r;
        r.reuses = shadow_->observer().statistics().reuses();
        r.shadow = shadow_->stats();
        r.shadow.requests = seen_by_shadow_; // and no answers
        r.shadow_now = shadow_->holds();
        r.memory = shadow_->memory() + trials_.memory();
        if (!duel_) return r;
        r.by_odds = duel_->first().stats();
        r.by_gdsf = duel_->second().stats();
        r.by_odds.requests = r.by_gdsf.requests = requests_;
        r.memory += duel_->memory();
        return r;
    }

private:
    using shadow = reuse_shadow<Admission, Token>;
    using trials = admission_trials<Admission, learned_or_gdsf, Token>;
    using odds_against_gdsf = duel<Admission, policy::expected_savings, policy::gdsf, Token>;

    static constexpr std::uint64_t pace = 16; ///< requests from odds to odds

    [[nodiscard]] static learning_options checked(learning_options options) {
        MARCONI_EXPECT(options.shadow_multiple >= 1 && options.shadow_multiple <= 1000,
                       "shadow_multiple", options.shadow_multiple, "1 to 1000");
        MARCONI_EXPECT(is_finite(options.horizon) && options.horizon > 0, "horizon",
                       options.horizon, "finite and more than 0");
        MARCONI_EXPECT(options.half_life >= 1, "half_life", options.half_life, "at least 1");
        return options;
    }

    template <class Entries>
    [[nodiscard]] policy::reuse_odds renewed_odds(Entries const& entries) {
        auto const& store = entries.store();
        double const page = static_cast<double>(store.layout().page_bytes().value());
        double const held = page * static_cast<double>(store.pages().used());
        taken_in_.fade(fade_);
        taken_in_.note(held + static_cast<double>(entries.counts().bytes_evicted.value()),
                       static_cast<double>(entries.now().value()));
        horizon_ = options_.horizon * taken_in_.ticks_for(held);
        reuse_statistics& seen = shadow_->observer().statistics();
        policy::reuse_odds const odds = seen.odds(horizon_);
        seen.fade(fade_);
        return odds;
    }

    /// Runs a step, while there is learning; what it throws ends that.
    template <class Step>
    void guarded(Step step) noexcept {
        if (!shadow_) return;
        failure_ = failure_of(step);
        if (failure_.empty()) return;
        shadow_.reset();
        trials_.end();
        duel_.reset();
    }

    learning_options options_;
    double fade_;
    std::unique_ptr<odds_against_gdsf> duel_;
    trials trials_;
    std::unique_ptr<shadow> shadow_;
    intake taken_in_;
    double horizon_ = 0;
    std::uint64_t requests_ = 0;
    std::uint64_t seen_by_shadow_ = 0;
    std::uint64_t changes_ = 0;
    std::string failure_;
};

} // namespace marconi::tune
