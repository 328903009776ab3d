#pragma once

#include <marconi/cache/lease.hpp>
#include <marconi/cache/options.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/policy/concepts.hpp>
#include <marconi/policy/eviction/reuse_odds.hpp>
#include <marconi/tune/learning_report.hpp>
#include <marconi/tune/replay.hpp>
#include <marconi/tune/reuse_shadow.hpp>

#include <cmath>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>

namespace marconi::tune {

/// What a cache takes in, of late: how long it takes to take in as much as it holds.
class turnover {
public:
    /// Bytes taken in since the cache was made, by now.
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
    /// In ticks; many, if nothing was taken in.
    [[nodiscard]] double time(double held) const {
        return bytes_ > 0 ? ticks_ * held / bytes_ : 1e9;
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

    using news = std::optional<replay_request<Token>>;

    /// What a commit means to somebody who watches requests come and go: a prompt that is complete
    /// by it, or more of an answer; nothing, if neither. To be asked before the commit is made.
    [[nodiscard]] static news news_of(cache::lease_record const& lease,
                                      std::span<Token const> tokens, cache::computed const& brought,
                                      bool needs_checkpoint) {
        token_count const size{tokens.size()};
        auto const& states = brought.checkpoints;
        bool const ended =
            size == lease.resume_at || (!states.empty() && states.back().position == size);
        if (lease.offered < lease.prompt.value() && size >= lease.prompt)
            return replay_request<Token>{.in = lease.in,
                                         .tokens = tokens,
                                         .prompt = lease.prompt,
                                         .limit = lease.limit,
                                         .ended = ended};
        bool const more =
            needs_checkpoint ? ended : size.value() / stride != lease.offered / stride;
        if (size <= lease.prompt || !more) return std::nullopt;
        return replay_request<Token>{
            .in = lease.in, .tokens = tokens, .prompt = {}, .limit = {}, .ended = true};
    }

    /// Takes in the news of a commit that was made. True if there are new odds. O(tokens + depth).
    template <class Entries>
    [[nodiscard]] bool hear(news const& of, Entries const& entries) noexcept {
        if (!shadow_ || !of) return false;
        return guarded([&] {
            shadow_->ask(*of, entries.now());
            if (shadow_->observer().failed()) throw std::bad_alloc{};
            if (++requests_ % pace != 0) return false;
            learn(entries);
            return true;
        });
    }
    [[nodiscard]] policy::reuse_odds const& odds() const { return odds_; }

    void clear(scope const& in) noexcept {
        (void)guarded([&] { return shadow_ && (shadow_->clear(in), false); });
    }
    void clear() noexcept {
        (void)guarded([&] { return shadow_ && (shadow_->clear(), false); });
    }

    [[nodiscard]] learning_report report() const {
        learning_report r;
        r.requests = requests_;
        r.horizon = horizon_;
        r.failure = failure_;
        if (!shadow_) return r;
        r.shadow = shadow_->stats();
        r.shadow_now = shadow_->holds();
        r.memory = shadow_->memory();
        return r;
    }

private:
    using shadow = reuse_shadow<Admission, Token>;

    static constexpr std::uint64_t pace = 16; ///< requests from odds to odds
    /// Without checkpoints an answer that grows is told of at multiples of this.
    static constexpr std::size_t stride = 1024;

    [[nodiscard]] static learning_options checked(learning_options options) {
        MARCONI_EXPECT(options.shadow_multiple >= 1 && options.shadow_multiple <= 1000,
                       "shadow_multiple", options.shadow_multiple, "1 to 1000");
        MARCONI_EXPECT(std::isfinite(options.horizon) && options.horizon > 0, "horizon",
                       options.horizon, "finite and more than 0");
        MARCONI_EXPECT(options.half_life >= 1, "half_life", options.half_life, "at least 1");
        return options;
    }

    template <class Entries>
    void learn(Entries const& entries) {
        auto const& store = entries.store();
        double const page = static_cast<double>(store.layout().page_bytes().value());
        double const held = page * static_cast<double>(store.pages().used());
        taken_in_.fade(fade_);
        taken_in_.note(held + static_cast<double>(entries.counts().bytes_evicted.value()),
                       static_cast<double>(entries.now().value()));
        horizon_ = options_.horizon * taken_in_.time(held);
        reuse_statistics& seen = shadow_->observer().statistics();
        odds_ = seen.odds(horizon_);
        seen.fade(fade_);
    }

    /// Runs a step; what it throws ends the learning.
    template <class Step>
    [[nodiscard]] bool guarded(Step step) noexcept {
        try {
            return step();
        } catch (std::bad_alloc const&) {
            failure_ = "no memory";
        } catch (...) {
            failure_ = "policy threw";
        }
        shadow_.reset();
        return false;
    }

    learning_options options_;
    double fade_;
    std::unique_ptr<shadow> shadow_;
    policy::reuse_odds odds_;
    turnover taken_in_;
    double horizon_ = 0;
    std::uint64_t requests_ = 0;
    std::string failure_;
};

} // namespace marconi::tune
