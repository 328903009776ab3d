#pragma once

// A small engine: a queue, several requests in flight, a batch made of a chunk of each one's prompt
// or one token of its answer, and a prefix cache.
//
//     submit ──► waiting ──admit──► running ──step, step, ...──► finished
//                   ▲    open, restore   │   commit after the
//                   │                    │   prefill and at the end
//                   └──────preempt───────┘
//
// One thread runs all of it. The lines that call the cache are those that say `cache_`.

#include "engine_options.hpp"
#include "model.hpp"
#include "sequence.hpp"

#include <marconi/marconi.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace tiny {

template <class Cache>
class engine {
public:
    using running_request = running<typename Cache::lease>;

    /// Without a cache the engine computes everything, and keeps KV in memory of its own. Model and
    /// cache must outlive it.
    engine(model& runs, Cache* cache, engine_options options)
        : model_{runs},
          cache_{cache},
          options_{options},
          geometry_{in_place() ? block_geometry::of_pages(cache->store().layout())
                               : block_geometry::of_slots(runs.footprint(), options.block_tokens)} {
        if (in_place()) return;
        std::size_t const slot = options.longest * geometry_.token_bytes;
        slots_.resize(slot * options.batch + 1); // no slot is null, though a model may have no KV
        for (std::size_t i = 0; i < options.batch; ++i)
            free_slots_.push_back(slots_.data() + i * slot);
    }
    virtual ~engine() = default;

    /// Takes a request in and returns its number. Throws marconi::invalid_argument for a request
    /// without a prompt, or longer than the engine was made for.
    std::uint64_t submit(request asked) {
        MARCONI_EXPECT(!asked.prompt.empty(), "prompt", "empty", "a token at least");
        MARCONI_EXPECT(asked.answer_tokens > 0, "answer_tokens", 0, "at least 1");
        MARCONI_EXPECT(asked.prompt.size() + asked.answer_tokens <= options_.longest, "tokens",
                       asked.prompt.size() + asked.answer_tokens,
                       "at most " + std::to_string(options_.longest));
        std::vector<token> tokens = asked.prompt;
        waiting_.push_back({.id = ++last_id_, .asked = std::move(asked), .tokens = tokens});
        return last_id_;
    }

    /// Drops a request wherever it is. What it committed stays in the cache; dropping its lease
    /// undoes all else.
    void abort(std::uint64_t id) {
        auto const queued = std::ranges::find(waiting_, id, &sequence::id);
        if (queued != waiting_.end()) {
            end(std::move(*queued), ending::aborted);
            waiting_.erase(queued);
        } else if (auto const at = find_running(id); at != running_.end()) {
            stop(at, ending::aborted);
        }
    }

    /// Sends a running request back to the queue, with its work so far committed.
    void preempt(std::uint64_t id) {
        if (auto const at = find_running(id); at != running_.end()) preempt(at);
    }

    /// Puts one batch through the model. False if there is nothing to do.
    bool step() {
        admit();
        find_room();
        if (running_.empty()) return !waiting_.empty();
        std::vector<batch_item> batch;
        for (auto const& r : running_)
            batch.push_back({std::span{r->of.tokens}.subspan(r->computed, tokens_next(*r)),
                             r->computed, r->of.asked.in.adapter, &r->state, &r->kv});
        auto logits = model_.forward(batch, options_.record ? wanted::all : wanted::last);
        std::vector<running_request*> ran; // some of them end here
        for (auto const& r : running_)
            ran.push_back(r.get());
        for (std::size_t i = 0; i < ran.size(); ++i) {
            std::size_t const rows = options_.record ? batch[i].tokens.size() : 1;
            std::size_t const size = rows * model_.shape().vocabulary;
            advance(*ran[i], batch[i].tokens.size(), logits.first(size));
            logits = logits.subspan(size);
        }
        return true;
    }

    /// Requests that have ended since the last call.
    [[nodiscard]] std::vector<sequence> take_finished() { return std::exchange(finished_, {}); }

    /// How many tokens of its answer there are so far; 0 for a request that is not running.
    [[nodiscard]] std::size_t answered(std::uint64_t id) {
        auto const at = find_running(id);
        return at == running_.end() ? 0 : (*at)->of.answered();
    }
    /// How many of its tokens have KV, those resumed included; 0 for a request that is not running.
    [[nodiscard]] std::size_t computed(std::uint64_t id) {
        auto const at = find_running(id);
        return at == running_.end() ? 0 : (*at)->computed;
    }
    /// The running requests, in the order of their admission.
    [[nodiscard]] std::vector<std::uint64_t> running_ids() const {
        std::vector<std::uint64_t> ids;
        for (auto const& r : running_)
            ids.push_back(r->of.id);
        return ids;
    }
    [[nodiscard]] std::uint64_t preemptions() const { return preemptions_; }

protected:
    // ---- what a request needs of the cache; virtual, so that the proof can get them wrong ----

    [[nodiscard]] virtual marconi::scope scope_of(sequence const& s) const { return s.asked.in; }

    /// How far a chunk may go: prefill stops at every position whose state is to be copied.
    [[nodiscard]] virtual std::size_t next_stop(running_request const& r) const {
        auto const at = r.lease.capture_at();
        auto const next = std::ranges::upper_bound(at, marconi::token_count{r.computed});
        return next == at.end() ? r.of.tokens.size() : next->value();
    }
    /// Copies the state if it is wanted; `from` is where the last chunk began.
    virtual void capture_state(running_request& r, [[maybe_unused]] std::size_t from) {
        if (r.lease.should_capture(marconi::token_count{r.computed})) copy_state(r, r.computed);
    }
    void copy_state(running_request& r, std::size_t position) {
        r.captured.push_back({position, r.state.checkpoint(position)});
    }

    /// Brings the block table up to date after pages were reserved: it has grown, and a partly
    /// filled block that others share has become a copy. Whole blocks before that stay.
    virtual void take_table(running_request& r) {
        r.kv.blocks.resize(r.settled_blocks);
        for (marconi::page_id const page : cache_->block_table(r.lease, r.settled_blocks))
            r.kv.blocks.push_back(cache_->store().page(page).data());
        r.settled_blocks = r.lease.position().value() / geometry_.block_tokens;
    }
    /// Whether there are pages for the tokens up to `until`, and room for the state of a request
    /// that makes way, and for one where two requests part. If not, they are given back.
    virtual bool reserve(running_request& r, std::size_t until) {
        if (!in_place()) return true;
        auto const end = marconi::token_count{until};
        auto const state = cache_->store().layout().largest_checkpoint();
        auto const spare = running_.size() > 1 ? state * 2 : marconi::byte_count{};
        auto const covered = cache_->reserve(r.lease, end, {}, spare);
        if (covered.value() < until) give_back_unwritten(r);
        take_table(r);
        return covered.value() >= until;
    }
    void give_back_unwritten(running_request& r) {
        if (in_place()) cache_->unreserve(r.lease, marconi::token_count{r.computed});
    }

    /// Publishes what is new. In place, the KV is where it belongs; otherwise it is copied from the
    /// slot.
    virtual void publish(running_request& r) { publish(r, r.slot); }
    void publish(running_request& r, std::byte* slot) {
        std::vector<marconi::captured_state> states;
        for (capture const& c : r.captured)
            states.push_back({marconi::token_count{c.position}, c.state.view()});
        auto const layers = views(slot);
        cache_->commit(r.lease, std::span{r.of.tokens}.first(r.computed),
                       {.kv = {layers}, .checkpoints = states});
        r.captured.clear();
        if (in_place()) hold_once(r);
    }
    /// From now on the request reads what another one computed at the same time, and published
    /// first, where that one wrote it.
    void hold_once(running_request& r) {
        (void)cache_->deduplicate(r.lease);
        r.settled_blocks = 0;
    }
    virtual void after_prefill(running_request&) {}
    virtual void give_back_slot(running_request& r) {
        if (r.slot) free_slots_.push_back(std::exchange(r.slot, nullptr));
    }

    [[nodiscard]] bool in_place() const { return cache_ && options_.memory == kv_memory::in_place; }
    /// A slot as the cache sees it: none for an engine that works in place.
    [[nodiscard]] std::vector<marconi::kv_layer_view> views(std::byte* slot) const {
        std::vector<marconi::kv_layer_view> made;
        if (!slot) return made;
        for (auto const& rows : geometry_.layers)
            made.push_back({slot + rows.key, static_cast<std::ptrdiff_t>(rows.key_stride),
                            slot + rows.value, static_cast<std::ptrdiff_t>(rows.value_stride)});
        return made;
    }

    model& model_;
    Cache* cache_;
    engine_options options_;
    block_geometry geometry_;
    std::vector<std::byte> slots_;
    std::vector<std::byte*> free_slots_;

private:
    using running_list = std::vector<std::unique_ptr<running_request>>;

    void admit() {
        while (!waiting_.empty() && running_.size() < options_.batch &&
               (running_.empty() || !short_of_room_)) {
            start(waiting_.front());
            waiting_.pop_front();
        }
    }

    /// Takes a request from where it waits. If it cannot begin (memory has run out, say), it waits
    /// on.
    void start(sequence& waiting) {
        running_.push_back(std::make_unique<running_request>(running_request{
            .of = {}, .state = recurrent_state{model_.footprint()}, .kv = paged_kv{geometry_}}));
        running_request& r = *running_.back();
        r.of = std::move(waiting);
        try {
            if (!in_place()) take_slot(r);
            if (cache_) resume(r);
        } catch (...) {
            waiting = take(running_.end() - 1);
            throw;
        }
    }

    void resume(running_request& r) {
        marconi::match_options options;
        if (r.of.starts_over) options.limit = marconi::token_count{};
        options.answer_from = marconi::token_count{r.of.asked.prompt.size()};
        r.lease = cache_->open(scope_of(r.of), r.of.tokens, options);
        cache_->restore(r.lease, {views(r.slot)}, r.state.view());
        r.lease.let_go_checkpoint(); // the model goes on in its copy
        r.computed = r.of.resumed = r.lease.resume_at().value();
        r.state.roll(r.computed);
    }

    void take_slot(running_request& r) {
        r.slot = free_slots_.back();
        free_slots_.pop_back();
        std::size_t const bytes = geometry_.block_tokens * geometry_.token_bytes;
        for (std::size_t t = 0; t < options_.longest; t += geometry_.block_tokens)
            r.kv.blocks.push_back(r.slot + t / geometry_.block_tokens * bytes);
    }

    /// Finds pages for what each request is about to compute. If none are left, the request
    /// admitted last waits until others are done, so the first always gets on.
    void find_room() {
        for (std::size_t i = 0; i < running_.size(); ++i)
            while (i < running_.size() &&
                   !reserve(*running_[i], running_[i]->computed + tokens_next(*running_[i])))
                if (running_.size() == 1)
                    start_over(running_.begin());
                else
                    preempt(running_.end() - 1);
    }

    /// A request that has the cache to itself may still hold pages twice: its own, beside those
    /// that it resumed from or committed. It tries again without those, in an empty cache; if it
    /// fails then, it is too large.
    void start_over(typename running_list::iterator at) {
        if ((*at)->of.starts_over) return stop(at, ending::no_room);
        sequence s = take(at);
        s.starts_over = true;
        (void)cache_->evict(cache_->holds().capacity);
        short_of_room_ = true;
        waiting_.push_front(std::move(s));
    }

    /// A chunk of the prompt, which ends at a multiple of the chunk size, at a position to copy the
    /// state at, or with the prompt; or the last token of the answer so far.
    [[nodiscard]] std::size_t tokens_next(running_request const& r) const {
        std::size_t const chunk_end = (r.computed / options_.chunk + 1) * options_.chunk;
        std::size_t const stop = cache_ ? next_stop(r) : r.of.tokens.size();
        return std::min({r.of.tokens.size(), chunk_end, stop}) - r.computed;
    }

    void advance(running_request& r, std::size_t tokens, std::span<float const> logits) {
        std::size_t const from = std::exchange(r.computed, r.computed + tokens);
        if (options_.record) {
            for (std::size_t p = from; p < r.computed; ++p)
                r.of.positions.push_back(p);
            r.of.logits.insert(r.of.logits.end(), logits.begin(), logits.end());
        }
        if (cache_) capture_state(r, from);
        if (r.computed < r.of.tokens.size()) return;

        std::size_t const answered = r.of.answered();
        bool const last = answered + 1 == r.of.asked.answer_tokens;
        if (!std::exchange(r.prefilled, true) && !last && cache_ && !r.of.starts_over) {
            publish(r);
            after_prefill(r);
        }
        r.of.tokens.push_back(answered < r.of.asked.answer.size()
                                  ? r.of.asked.answer[answered]
                                  : model::most_likely(logits.last(model_.shape().vocabulary)));
        if (!last) return;
        publish_all(r); // all but the token just sampled, which has no KV
        stop(find_running(r.of.id), ending::answered);
    }

    /// Publishes all that was computed, with the state at its end if that is wanted.
    void publish_all(running_request& r) {
        if (!cache_ || r.computed <= r.of.resumed) return;
        bool const copied = !r.captured.empty() && r.captured.back().position == r.computed;
        if (!copied && r.lease.should_capture(marconi::token_count{r.computed}, /*last=*/true))
            copy_state(r, r.computed);
        publish(r);
    }

    void preempt(typename running_list::iterator at) {
        give_back_unwritten(**at);
        publish_all(**at);
        short_of_room_ = true;
        ++preemptions_;
        waiting_.push_front(take(at));
    }
    void stop(typename running_list::iterator at, ending how) {
        short_of_room_ = false;
        end(take(at), how);
    }
    sequence take(typename running_list::iterator at) {
        give_back_slot(**at);
        sequence s = std::move((*at)->of);
        running_.erase(at);
        return s;
    }
    void end(sequence s, ending how) {
        s.end = how;
        finished_.push_back(std::move(s));
    }
    [[nodiscard]] typename running_list::iterator find_running(std::uint64_t id) {
        return std::ranges::find_if(running_, [&](auto const& r) { return r->of.id == id; });
    }

    std::deque<sequence> waiting_;
    running_list running_; ///< the first admitted first
    std::vector<sequence> finished_;
    bool short_of_room_ = false; ///< until a running request is done
    std::uint64_t last_id_ = 0;
    std::uint64_t preemptions_ = 0;
};

} // namespace tiny
