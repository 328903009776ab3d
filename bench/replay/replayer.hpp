#pragma once

// One request after another through one cache, with measurements.

#include "options.hpp"
#include "percentile.hpp"
#include "progress.hpp"
#include "request.hpp"
#include "result.hpp"
#include "ttft.hpp"

#include <marconi/cache/outcome.hpp>
#include <marconi/cache/plan.hpp>
#include <marconi/cache/stats.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/tune/replay.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace marconi::replay {

/// Sums up requests as they come.
class measurements {
public:
    measurements(footprint const& model, ttft_curve curve) : model_{model}, curve_{curve} {}

    void add(token_count prompt, token_count resumed, double microseconds) {
        flop_count const asked = model_.flops.up_to(prompt);
        flop_count const saved = model_.flops.up_to(resumed);
        asked_ += asked;
        saved_ += saved;
        input_ += prompt;
        resumed_ += resumed;
        hits_ += resumed > token_count{};
        ttft_.push_back(prefill_ms(curve_, prompt - resumed, asked - saved));
        request_us_.push_back(microseconds);
    }
    void write(result& r) {
        auto const requests = static_cast<double>(std::max<std::size_t>(1, ttft_.size()));
        r.requests = ttft_.size();
        r.input_tokens = input_.value();
        r.resumed_tokens = resumed_.value();
        r.token_hit_rate = input_ == token_count{} ? 0
                                                   : static_cast<double>(resumed_.value()) /
                                                         static_cast<double>(input_.value());
        r.request_hit_rate = static_cast<double>(hits_) / requests;
        r.flops_asked = asked_.value();
        r.flops_saved = saved_.value();
        r.ttft_p50_ms = percentile(ttft_, 50);
        r.ttft_p95_ms = percentile(ttft_, 95);
        r.ttft_percentiles_ms.clear();
        for (int percent = 0; percent <= 100; percent += 5)
            r.ttft_percentiles_ms.push_back(percentile(ttft_, percent));
        r.request_us_p50 = percentile(request_us_, 50);
        r.request_us_p99 = percentile(request_us_, 99);
    }

private:
    footprint const& model_;
    ttft_curve curve_;
    flop_count asked_, saved_;
    token_count input_, resumed_;
    std::size_t hits_ = 0;
    std::vector<double> ttft_, request_us_;
};

/// What happens if a request does not fit.
enum class when_full {
    stores_what_fits, ///< the library: it knows beforehand how much will fit, and evicts for that
    empties,          ///< engines: they find out after they have evicted everything
    /// The paper's artifact: room for a whole request is made in one piece, before any of it is
    /// stored. Nothing that the request uses is evicted for it.
    makes_room_first
};

/// Evicts what stands in the way of a request's KV and states, and leaves out the states at
/// branches of which the other side went.
template <class Cache>
void make_room(Cache& cache, cache::match_result const& found, std::span<std::int32_t const> prompt,
               token_count end, std::vector<cache::captured_state>& states) {
    memory::page_layout const& layout = cache.store().layout();
    std::uint64_t pages = layout.blocks_touched(found.matched.value(), end.value());
    for (cache::captured_state const& state : states)
        pages += layout.checkpoint_pages(state.position);
    cache::occupancy const holds = cache.holds();
    byte_count const needed = layout.page_bytes() * pages;
    byte_count const room = holds.capacity - holds.used;
    if (needed <= room) return;
    cache.evict(needed - room);
    token_count const left = cache.match({}, prompt, {.limit = found.limit}).matched;
    std::erase_if(states, [&](cache::captured_state const& state) {
        return state.position > left && state.position != end;
    });
}

/// Replays a trace, in order, one request at a time; `before(i)` is called before request i.
template <class Cache, class Before>
void replay_trace(Cache& cache, trace const& requests, options const& chosen,
                  measurements& measured, progress& shown, when_full full, Before const& before) {
    using clock = std::chrono::steady_clock;
    stepper steps{shown};
    for (std::size_t i = 0; i < requests.requests.size(); ++i) {
        request const& r = requests.requests[i];
        before(i);
        token_count const prompt{r.prompt_tokens};
        cache::match_options match;
        if (chosen.whole_prompt) match.limit = prompt;
        // The last token that was sampled has no KV yet; the artifact counts it all the same.
        std::size_t const unprocessed = !chosen.whole_prompt && !r.output().empty() ? 1 : 0;
        std::size_t const committed =
            chosen.prompts_only ? r.prompt_tokens : r.tokens.size() - unprocessed;
        auto const whole = std::span{r.tokens}.first(committed);

        clock::time_point const start = clock::now();
        auto plan = cache.plan(cache.match({}, r.input(), match));
        if (chosen.prompts_only) plan.captures.tail = false;
        auto lease = cache.acquire(plan);
        lease.let_go_checkpoint(); // restored
        auto states = tune::captures_of(plan, token_count{whole.size()});
        if (full == when_full::makes_room_first)
            make_room(cache, plan.match, r.input(), token_count{whole.size()}, states);
        cache::commit_outcome const outcome = cache.commit(lease, whole, {.checkpoints = states});
        lease.release();
        if (full == when_full::empties && !outcome.complete()) cache.clear();
        std::chrono::duration<double, std::micro> const took = clock::now() - start;
        measured.add(prompt, plan.resume_at(), took.count());
        steps.step();
    }
}

} // namespace marconi::replay
