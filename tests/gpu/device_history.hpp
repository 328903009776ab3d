#pragma once

// Random histories of several requests at a time, on several streams, on a small cache: requests
// copy or work in place, hop from stream to stream, and nothing waits on the host. Whatever is
// restored, or read in place, is compared with what was computed, when its copy to the host is
// done; engines write over their own memory, and others over freed pages, in the meantime.

#include <gpu/engine_slots.hpp>

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/tune/learning_cache.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace gpu_tests {

using marconi::page_id;
using marconi::token_count;
using support::sequence;

template <class Cache>
class device_history {
    using lease_type = typename Cache::lease;
    struct request {
        lease_type lease;
        sequence tokens; // all that the request will ever have
        std::size_t prompt;
        std::size_t done; // processed so far
        bool in_place;
        bool reads_too; // copies, and reads in place besides
        bool forgets;   // copies, and keeps no rows of what it has committed
        std::size_t stream;
        engine_slot* slot;
    };

public:
    device_history(Cache& cache, std::uint64_t seed, std::size_t streams)
        : cache_{cache},
          model_{cache.store().layout().model()},
          right_{model_},
          random_{seed},
          buffers_{buffer_bytes(cache)},
          streams_(streams) {
        for (std::size_t i = 0; i < most_open; ++i) {
            free_.push_back(&slots_.emplace_back(model_));
            slots_.back().idle = marconi::gpu::cuda_events::create();
        }
        hop_ = marconi::gpu::cuda_events::create();
    }
    device_history(device_history const&) = delete;
    device_history& operator=(device_history const&) = delete;
    ~device_history() {
        open_.clear();
        for (auto const& on : streams_)
            on.synchronize();
        for (engine_slot const& slot : slots_)
            marconi::gpu::cuda_events::destroy(slot.idle);
        marconi::gpu::cuda_events::destroy(hop_);
    }

    void step() {
        std::uint64_t const dice = below(20);
        if (!free_.empty() && (dice < 6 || open_.empty()))
            open_request();
        else if (dice < 15)
            advance(*pick());
        else if (dice < 18)
            drop(pick());
        else if (dice == 18)
            pick()->lease.let_go_checkpoint();
        else
            (void)cache_.evict(marconi::byte_count{1 + below(3000)});
        buffers_.poll();
        if (steps_++ % 50 == 0) REQUIRE(marconi::cache::audit(cache_).empty());
    }
    /// All requests end, and all that is in flight is awaited.
    void finish() {
        while (!open_.empty())
            drop(open_.begin());
        for (auto const& on : streams_)
            on.synchronize();
        REQUIRE(buffers_.all_done());
        REQUIRE(marconi::cache::audit(cache_).empty());
    }

    /// Restores, and reads in place, that were looked at; those that were wrong.
    [[nodiscard]] std::size_t checked() const { return checked_; }
    [[nodiscard]] std::size_t wrong() const { return wrong_; }

private:
    static constexpr std::size_t most_open = 5;
    using iterator = typename std::list<request>::iterator;

    static std::size_t buffer_bytes(Cache const& cache) {
        auto const& layout = cache.store().layout();
        std::size_t bytes = layout.page_bytes().value() * (engine_slot::max_tokens + 1);
        for (auto const& piece : layout.model().state_pieces)
            bytes += piece.bytes_at(1u << 20);
        return bytes;
    }

    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    iterator pick() {
        return std::next(open_.begin(), static_cast<std::ptrdiff_t>(below(open_.size())));
    }
    stream_ref on(request const& r) const { return streams_[r.stream]; }

    sequence invent() {
        sequence tokens;
        if (!past_.empty() && below(4) != 0) {
            tokens = past_[below(past_.size())];
            if (below(3) == 0) tokens.resize(1 + below(tokens.size()));
        }
        std::size_t const longer = tokens.size() + 1 + below(below(3) ? 12 : 60);
        while (tokens.size() < std::min<std::size_t>(longer, 180))
            tokens.push_back(static_cast<std::int32_t>(below(2)));
        return tokens;
    }

    void open_request() {
        sequence tokens = invent();
        std::size_t const prompt = below(3) ? tokens.size() : 1 + below(tokens.size());
        auto const view = std::span<std::int32_t const>{tokens}.first(prompt);
        auto lease = cache_.acquire(cache_.plan(cache_.match({.tenant = below(2)}, view)));
        std::size_t const resume = lease.resume_at().value();
        std::swap(free_[below(free_.size())], free_.back());
        engine_slot* const slot = free_.back();
        free_.pop_back();
        request& r = open_.emplace_back(request{
            std::move(lease), std::move(tokens), prompt, resume, below(2) == 0 && model_.has_kv(),
            below(3) == 0 && model_.has_kv(), below(3) == 0, below(streams_.size()), slot});
        marconi::gpu::cuda_events::wait(on(r), slot->idle);
        cache_.restore(r.lease, r.in_place ? marconi::memory::kv_view{} : slot->kv(), slot->state(),
                       on(r));
        check_restored(r);
        read_in_place(r, /*named=*/r.in_place);
    }

    /// The request goes on on another stream, behind what it has enqueued.
    void hop(request& r) {
        marconi::gpu::cuda_events::record(hop_, on(r));
        r.stream = below(streams_.size());
        marconi::gpu::cuda_events::wait(on(r), hop_);
        if (r.in_place) r.lease.used_on(on(r));
    }

    void advance(request& r) {
        if (below(5) == 0) hop(r);
        std::size_t to = std::min(r.tokens.size(), r.done + 1 + below(40));
        if (r.in_place) {
            to = std::max(
                r.done, std::min(to, static_cast<std::size_t>(
                                         cache_.reserve(r.lease, token_count{to}, on(r)).value())));
            if (below(4) == 0) read_in_place(r, /*named=*/true);
            write_in_place(r, r.done, to);
            if (below(3) == 0) draft(r, to);
        } else {
            compute(r, to);
        }
        std::size_t const from = std::max<std::size_t>(r.done, r.lease.position().value());
        r.done = to;
        std::vector<marconi::cache::captured_state> captured;
        if (model_.has_checkpoints())
            for (std::size_t p = from + 1; p <= to && captured.size() < engine_slot::max_captures;
                 ++p)
                if (r.lease.should_capture(token_count{p}, p == r.tokens.size()) ||
                    (p == to && below(3) == 0)) {
                    captured.push_back({token_count{p}, r.slot->capture(captured.size())});
                    write_state(r, p, captured.back().state);
                }
        marconi::cache::computed brought{.checkpoints = captured};
        if (!r.in_place) brought.kv = r.slot->kv();
        if (!r.in_place && r.forgets) {
            brought.kv_from = r.lease.position();
            write_rows(r, 0, brought.kv_from.value(), row_of(r), /*right=*/false);
        }
        auto const outcome = cache_.commit(
            r.lease, std::span<std::int32_t const>{r.tokens}.first(to), brought, on(r));
        REQUIRE(outcome.position == r.lease.position());
        if (below(2)) remember(r); // others may use it while this one goes on
        if (r.in_place && below(4) == 0) {
            (void)cache_.deduplicate(r.lease);
            r.lease.used_on(on(r));
        }
        read_in_place(r);
    }
    /// Tokens past `from` come to nothing: their pages are written, and given back.
    void draft(request& r, std::size_t from) {
        std::size_t const end = std::min(r.tokens.size(), from + 1 + below(40));
        std::size_t const covered = cache_.reserve(r.lease, token_count{end}, on(r)).value();
        write_in_place(r, from, std::max(from, covered));
        cache_.unreserve(r.lease, token_count{from});
    }
    /// `named`: restore or reserve has named its stream since the last commit.
    void read_in_place(request& r, bool named = false) {
        if (!r.in_place && !r.reads_too) return;
        if (!named || below(2) == 0) r.lease.used_on(on(r));
        check_in_place(r,
                       r.in_place ? r.done : static_cast<std::size_t>(r.lease.position().value()));
    }

    void drop(iterator at) {
        if (below(4) == 0) at->lease.let_go_kv();
        marconi::gpu::cuda_events::record(at->slot->idle, on(*at));
        free_.push_back(at->slot);
        remember(*at);
        open_.erase(at);
    }
    void remember(request const& r) {
        if (r.done == 0) return;
        past_.push_back(r.tokens);
        past_.back().resize(r.done);
        if (past_.size() > 12) past_.erase(past_.begin());
    }

    // ---- the model: hashes of the tokens before, brought from the host ----

    /// Rows are right, or all zeros.
    template <class Place>
    void write_rows(request& r, std::size_t from, std::size_t to, Place&& place,
                    bool right = true) {
        if (from == to) return;
        buffers_.use(on(r), [&](std::byte* memory) {
            for (std::size_t l = 0; l < model_.kv_layers.size(); ++l)
                for (int part : {0, 1})
                    for (std::size_t t = from; t < to; ++t) {
                        auto row = right_.row(r.tokens, t, l, part);
                        if (!right) std::ranges::fill(row, std::byte{});
                        std::copy(row.begin(), row.end(), memory);
                        enqueue_copy(place(t, l, part), memory, row.size(), on(r));
                        memory += row.size();
                    }
        });
    }
    void compute(request& r, std::size_t to) { write_rows(r, r.done, to, row_of(r)); }
    /// Where a row is in the request's own memory.
    auto row_of(request const& r) {
        return [this, &r](std::size_t t, std::size_t l, int part) {
            auto const& layer = r.slot->kv().layers[l];
            auto const& bytes = model_.kv_layers[l];
            return part == 0 ? layer.key + t * bytes.key_bytes
                             : layer.value + t * bytes.value_bytes;
        };
    }
    void write_in_place(request& r, std::size_t from, std::size_t to) {
        auto const& layout = cache_.store().layout();
        auto const table = cache_.block_table(r.lease);
        write_rows(r, from, to, [&](std::size_t t, std::size_t l, int part) {
            std::size_t const row = t % layout.block_tokens();
            return cache_.store().page(table.at(t / layout.block_tokens())).data() +
                   (part == 0 ? layout.key_offset(l, row) : layout.value_offset(l, row));
        });
    }
    void write_state(request& r, std::size_t position, marconi::memory::state_view view) {
        auto const state = right_.state_at(r.tokens, position);
        buffers_.use(on(r), [&](std::byte* memory) {
            for (std::size_t p = 0; p < state.size(); ++p) {
                std::copy(state[p].begin(), state[p].end(), memory);
                enqueue_copy(view.pieces[p], memory, state[p].size(), on(r));
                memory += state[p].size();
            }
        });
    }

    // ---- what must be there: fetched on the request's stream, compared when it has come ----

    struct expectation {
        std::size_t at;
        std::vector<std::byte> bytes;
    };
    void compare_later(request& r, auto&& enqueue, std::vector<expectation> expected) {
        buffers_.use(on(r), enqueue, [this, expected = std::move(expected)](std::byte const* got) {
            ++checked_;
            for (auto const& [at, bytes] : expected)
                if (!std::equal(bytes.begin(), bytes.end(), got + at)) {
                    ++wrong_;
                    return;
                }
        });
    }

    void check_restored(request& r) {
        std::size_t const resume = r.done;
        if (resume == 0) return;
        std::vector<expectation> expected;
        std::vector<std::pair<std::byte*, std::size_t>> pieces;
        std::size_t at = 0;
        auto const expect = [&](std::byte* where, std::vector<std::byte> bytes) {
            pieces.push_back({where, bytes.size()});
            expected.push_back({at, std::move(bytes)});
            at += pieces.back().second;
        };
        if (!r.in_place)
            for (std::size_t l = 0; l < model_.kv_layers.size(); ++l)
                for (int part : {0, 1}) {
                    std::vector<std::byte> rows;
                    for (std::size_t t = 0; t < resume; ++t)
                        for (std::byte const b : right_.row(r.tokens, t, l, part))
                            rows.push_back(b);
                    auto const& layer = r.slot->kv().layers[l];
                    expect(part == 0 ? layer.key : layer.value, std::move(rows));
                }
        if (model_.has_checkpoints()) {
            auto state = right_.state_at(r.tokens, resume);
            for (std::size_t p = 0; p < state.size(); ++p)
                expect(r.slot->state().pieces[p], std::move(state[p]));
        }
        compare_later(
            r,
            [&](std::byte* memory) {
                std::size_t to = 0;
                for (auto const& [where, n] : pieces) {
                    enqueue_copy(memory + to, where, n, on(r));
                    to += n;
                }
            },
            std::move(expected));
    }

    /// The engine's attention reads every token's KV where the block table says.
    void check_in_place(request& r, std::size_t upto) {
        auto const& layout = cache_.store().layout();
        std::size_t const page_bytes = layout.page_bytes().value();
        auto const table = cache_.block_table(r.lease);
        std::vector<expectation> expected;
        for (std::size_t t = 0; t < upto; ++t)
            for (std::size_t l = 0; l < model_.kv_layers.size(); ++l)
                for (int part : {0, 1}) {
                    std::size_t const row = t % layout.block_tokens();
                    expected.push_back(
                        {t / layout.block_tokens() * page_bytes +
                             (part == 0 ? layout.key_offset(l, row) : layout.value_offset(l, row)),
                         right_.row(r.tokens, t, l, part)});
                }
        compare_later(
            r,
            [&](std::byte* memory) {
                for (std::size_t i = 0; i * layout.block_tokens() < upto; ++i)
                    enqueue_copy(memory + i * page_bytes, cache_.store().page(table.at(i)).data(),
                                 page_bytes, on(r));
            },
            std::move(expected));
    }

    Cache& cache_;
    marconi::footprint const& model_;
    support::engine_request right_;
    std::mt19937_64 random_;
    pinned_buffers buffers_;
    std::vector<marconi::gpu::owned_stream> streams_;
    std::list<engine_slot> slots_;
    std::vector<engine_slot*> free_;
    std::list<request> open_;
    std::vector<sequence> past_;
    cudaEvent_t hop_ = nullptr;
    std::size_t steps_ = 0, checked_ = 0, wrong_ = 0;
};

/// A history on a cache that learns; `prepare(store)` comes first.
template <class Store, class Prepare>
void learn_in_four_streams(Prepare&& prepare) {
    marconi::tune::learning_cache<Store> cache{
        Store{support::hybrid_model(), marconi::byte_count{30 << 10},
              marconi::memory::page_options{.block_tokens = marconi::token_count{4}}}};
    prepare(cache.store());
    device_history story{cache, 1, 4};
    for (int i = 0; i < 1000; ++i)
        story.step();
    story.finish();
    CHECK(story.wrong() == 0);
    CHECK(story.checked() > 10);
    CHECK(cache.learning().requests > 100);
}

} // namespace gpu_tests
