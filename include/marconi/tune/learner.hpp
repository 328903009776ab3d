#pragma once

#include <marconi/cache/lease.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/reuse_odds.hpp>
#include <marconi/tune/failure.hpp>
#include <marconi/tune/learning_report.hpp>
#include <marconi/tune/replay.hpp>
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
    /// Both since the cache was made.
    void note(double bytes, double ticks) {
        bytes_ += bytes - bytes_seen_;
        ticks_ += ticks - ticks_seen_;
        bytes_seen_ = bytes;
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

/// Tells a shadow of what a cache does, and makes odds of what the shadow records. What goes wrong
/// here (no memory, a policy that throws) ends the learning and is told in the report: it never
/// fails a request.
template <policy::admission_policy Admission, token Token>
class learner {
public:
    /// Throws invalid_argument for options out of range.
    template <memory::store Store>
    learner(learning_options options, Store const& store, cache::cache_options cache_options,
            Admission admission)
        : options_{checked(options)},
          fade_{std::exp2(-static_cast<double>(pace) / static_cast<double>(options.half_life))},
          shadow_{std::make_unique<shadow>(ledger_like(store, options.shadow_multiple),
                                           cache_options, std::move(admission),
                                           options.shadow_memory)} {}

    /// A request, or more of its answer (with an empty prompt), as the shadow is to see it.
    using sight = std::optional<replay_request<Token>>;

    /// What a commit means to somebody who watches requests come and go: a prompt that is complete
    /// by it, but for a block that is not full; more of an answer, if that can be resumed; or
    /// nothing. To be asked before the commit is made.
    template <class Entries>
    [[nodiscard]] static sight sight_of(cache::lease_record const& lease,
                                        std::span<Token const> tokens,
                                        cache::computed const& brought, Entries const& entries) {
        token_count const size{tokens.size()};
        auto const& states = brought.checkpoints;
        std::uint64_t const block = entries.store().layout().block_tokens();
        auto const completes = [&](std::uint64_t offered) {
            return offered > 0 && offered + block > lease.prompt.value();
        };
        if (!completes(size.value())) return std::nullopt;
        if (!completes(lease.offered))
            return replay_request<Token>{.in = lease.in,
                                         .tokens = tokens,
                                         .prompt = std::min(size, lease.prompt),
                                         .limit = std::min(size, lease.limit),
                                         .ended = !states.empty() && states.back().position == size,
                                         .captured = states};
        auto const passes = [&](std::uint64_t position, std::uint64_t before) {
            return before <= lease.prompt.value() || position / stride != before / stride;
        };
        bool const more = entries.needs_checkpoint()
                              ? !states.empty() && passes(size.value(), lease.captured)
                              : passes(size.value(), lease.offered);
        if (size.value() <= lease.offered || !more) return std::nullopt;
        return replay_request<Token>{.in = lease.in,
                                     .tokens = tokens,
                                     .prompt = {},
                                     .limit = {},
                                     .ended = false,
                                     .captured = states};
    }

    /// Shows the shadow what a commit that was made had to show. True if there are new odds.
    /// O(tokens + depth).
    template <class Entries>
    [[nodiscard]] bool learn_from(sight const& of, Entries const& entries) noexcept {
        bool renewed = false;
        if (!shadow_ || !of) return renewed;
        guarded([&] {
            shadow_->ask(*of, entries.now());
            if (shadow_->observer().failed()) throw std::bad_alloc{};
            if (of->prompt == token_count{} || ++requests_ % pace != 0) return;
            renew_odds(entries);
            renewed = true;
        });
        return renewed;
    }
    [[nodiscard]] policy::reuse_odds const& odds() const { return odds_; }

    void clear(scope const& in) noexcept {
        if (shadow_) guarded([&] { shadow_->clear(in); });
    }
    void clear() noexcept {
        if (shadow_) guarded([&] { shadow_->clear(); });
    }

    [[nodiscard]] learning_report report() const {
        learning_report r;
        r.requests = requests_;
        r.horizon_ticks = horizon_;
        r.failure = failure_;
        if (!shadow_) return r;
        r.reuses = shadow_->observer().statistics().reuses();
        r.shadow = shadow_->stats();
        r.shadow.requests = requests_; // and no answers
        r.shadow_now = shadow_->holds();
        r.memory = shadow_->memory();
        return r;
    }

private:
    using shadow = reuse_shadow<Admission, Token>;

    static constexpr std::uint64_t pace = 16; ///< requests from odds to odds
    /// An answer that grows is seen at its first commit and where it passes a multiple of this.
    static constexpr std::uint64_t stride = 1024;

    [[nodiscard]] static learning_options checked(learning_options options) {
        MARCONI_EXPECT(options.shadow_multiple >= 1 && options.shadow_multiple <= 1000,
                       "shadow_multiple", options.shadow_multiple, "1 to 1000");
        MARCONI_EXPECT(std::isfinite(options.horizon) && options.horizon > 0, "horizon",
                       options.horizon, "finite and more than 0");
        MARCONI_EXPECT(options.half_life >= 1, "half_life", options.half_life, "at least 1");
        return options;
    }

    template <class Entries>
    void renew_odds(Entries const& entries) {
        auto const& store = entries.store();
        double const page = static_cast<double>(store.layout().page_bytes().value());
        double const held = page * static_cast<double>(store.pages().used());
        taken_in_.fade(fade_);
        taken_in_.note(held + static_cast<double>(entries.counts().bytes_evicted.value()),
                       static_cast<double>(entries.now().value()));
        horizon_ = options_.horizon * taken_in_.ticks_for(held);
        reuse_statistics& seen = shadow_->observer().statistics();
        odds_ = seen.odds(horizon_);
        seen.fade(fade_);
    }

    /// Runs a step; what it throws ends the learning.
    template <class Step>
    void guarded(Step step) noexcept {
        failure_ = failure_of(step);
        if (!failure_.empty()) shadow_.reset();
    }

    learning_options options_;
    double fade_;
    std::unique_ptr<shadow> shadow_;
    policy::reuse_odds odds_;
    intake taken_in_;
    double horizon_ = 0;
    std::uint64_t requests_ = 0;
    std::string failure_;
};

} // namespace marconi::tune
