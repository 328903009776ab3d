#pragma once

// Requests whose commits let others in while they copy. The calls that come in between are made by
// the same thread, inside the copy, so that each test says exactly what came when.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/host_store.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace support {

namespace cache = marconi::cache;
namespace memory = marconi::memory;
using marconi::byte_count;
using meanwhile = std::function<void()>;

inline sequence numbers(std::size_t count, std::int32_t from = 0) {
    sequence tokens(count);
    for (std::size_t i = 0; i < count; ++i)
        tokens[i] = from + static_cast<std::int32_t>(i);
    return tokens;
}

/// One request: its lease, and its engine's memory.
template <class Cache>
class request {
public:
    request(Cache& cache, footprint const& model, sequence const& tokens)
        : cache_{&cache}, model_{&model}, tokens_{tokens}, memory_{model} {
        lease_ = cache.open({}, tokens, {.limit = token_count{tokens.size()}});
        if (lease_.resume_at() > token_count{}) {
            cache.restore(lease_, memory_.kv(), memory_.state());
            CHECK(memory_.holds(tokens_, lease_.resume_at().value()));
        }
        memory_.compute(tokens_, lease_.resume_at().value(), tokens_.size());
    }

    /// Commits the first `end` tokens with states at the positions; `others` come while it copies.
    cache::commit_outcome commit(std::size_t end, std::vector<std::size_t> const& positions,
                                 meanwhile const& others, bool in_place = false) {
        std::list<std::vector<std::vector<std::byte>>> states;
        std::list<std::vector<std::byte*>> pieces;
        std::vector<cache::captured_state> captured;
        for (std::size_t const p : positions) {
            pieces.emplace_back();
            for (auto& piece : states.emplace_back(memory_.state_at(tokens_, p)))
                pieces.back().push_back(piece.data());
            captured.push_back({token_count{p}, {pieces.back()}});
        }
        memory::kv_view const kv = in_place ? memory::kv_view{} : memory_.kv();
        return cache_->commit(lease_, std::span{tokens_}.first(end),
                              {.kv = kv, .checkpoints = captured}, memory::no_stream{},
                              [&](auto const& copy) {
                                  copy();
                                  others();
                              });
    }
    cache::commit_outcome commit(meanwhile const& others) {
        bool const states = !model_->state_pieces.empty();
        return commit(tokens_.size(),
                      states ? std::vector{tokens_.size()} : std::vector<std::size_t>{}, others);
    }

    /// The same of KV that the engine has written into reserved pages; false if there is none, or
    /// no room.
    bool write_in_place(std::size_t end) {
        if (!model_->has_kv()) return false;
        std::size_t const from = lease_.position().value();
        if (cache_->reserve(lease_, token_count{end}) < token_count{end}) return false;
        if (from == end) return true;
        auto const table = cache_->block_table(lease_);
        std::size_t const block = cache_->store().layout().block_tokens();
        memory::kv_transfer const rows{
            .begin = token_count{from},
            .end = token_count{end},
            .pages = std::span{table}.subspan(from / block, (end - 1) / block + 1 - from / block),
            .engine = memory_.kv()};
        auto arena = const_cast<memory::host_store*>(&cache_->store()); // as a kernel would
        arena->save({.kv = rows, .checkpoints = {}}, {});
        return true;
    }
    /// Whether the pages that the lease's block table names hold the KV of what it committed.
    bool reads_right() {
        std::size_t const end = lease_.position().value();
        if (end == 0 || !model_->has_kv()) return true;
        auto const table = cache_->block_table(lease_);
        std::size_t const blocks = (end - 1) / cache_->store().layout().block_tokens() + 1;
        if (table.size() < blocks) return false;
        engine_request found{*model_};
        memory::kv_transfer const rows{.begin = {},
                                       .end = token_count{end},
                                       .pages = std::span{table}.first(blocks),
                                       .engine = found.kv()};
        cache_->store().load({.kv = rows, .checkpoints = {}}, {});
        return found.holds_kv(tokens_, end);
    }

    typename Cache::lease& lease() { return lease_; }
    sequence const& tokens() const { return tokens_; }

private:
    Cache* cache_;
    footprint const* model_;
    sequence tokens_;
    engine_request memory_;
    typename Cache::lease lease_;
};

/// A cache of so many bytes, made with what follows after its store.
template <class Cache>
struct set_up {
    footprint model;
    std::uint32_t block;
    Cache cache;

    template <class... Options>
    set_up(footprint m, std::uint32_t block_tokens, byte_count capacity, Options&&... options)
        : model{std::move(m)},
          block{block_tokens},
          cache{memory::host_store{model, capacity, {.block_tokens = token_count{block}}},
                std::forward<Options>(options)...} {}
    void check() const { CHECK(marconi::cache::audit(cache) == std::vector<std::string>{}); }
};

/// Requests that commit inside each other's copies, three deep, copying and in place, in a cache
/// that is too small.
template <class Cache>
class crowd {
public:
    crowd(set_up<Cache>& s, std::uint32_t seed) : s_{s}, random_{seed} {}

    void act(int depth) {
        std::uint32_t const dice = pick(24);
        if (dice < 7 && open_.size() < 7)
            open_.push_back({request<Cache>{s_.cache, s_.model, some_tokens()}});
        else if (dice < 9)
            drop();
        else if (dice == 9)
            s_.cache.evict(byte_count{pick(2'000)});
        else if (dice == 10 && pick(8) == 0)
            pick(2) == 0 ? s_.cache.clear() : s_.cache.clear(marconi::scope{});
        else if (dice == 10 && pick(3) == 0)
            forget();
        else if (dice < 13)
            change_pages();
        else
            commit(depth);
        check();
    }
    void end() {
        open_.clear();
        s_.check();
        s_.cache.clear();
        CHECK(s_.cache.holds().used == byte_count{});
    }
    std::size_t overtaken() const { return overtaken_; }

private:
    struct opened {
        request<Cache> r;
        std::size_t committed = 0;
        bool busy = false;
        bool may_be_forgotten = false; ///< what it commits
    };
    std::uint32_t pick(std::size_t below) { return static_cast<std::uint32_t>(random_() % below); }
    opened* some_idle() {
        for (int tries = 0; tries < 4 && !open_.empty(); ++tries)
            if (auto at = std::next(open_.begin(), pick(open_.size())); !at->busy) return &*at;
        return nullptr;
    }
    /// Up to 60 tokens of a text that changes now and then; some prompts leave it.
    sequence some_tokens() {
        if (pick(6) == 0) ++text_;
        sequence tokens = numbers(1 + pick(60));
        for (std::size_t t = 5 * (text_ % 3); t < tokens.size(); ++t)
            tokens[t] += 1000 * static_cast<std::int32_t>(text_ % 50);
        if (pick(5) == 0)
            for (std::size_t t = pick(tokens.size()); t < tokens.size(); ++t)
                tokens[t] += 100;
        return tokens;
    }
    void forget() {
        sequence const tokens = some_tokens();
        s_.cache.forget({}, std::span<std::int32_t const>{tokens},
                        token_count{pick(tokens.size())});
        for (opened& o : open_)
            o.may_be_forgotten = true;
    }
    void drop() {
        opened* const gone = some_idle();
        open_.remove_if([&](opened const& o) { return &o == gone; });
    }
    void change_pages() {
        opened* const o = some_idle();
        if (!o) return;
        switch (pick(4)) {
        case 0:
            s_.cache.deduplicate(o->r.lease());
            break;
        case 1:
            s_.cache.unreserve(o->r.lease(), token_count{pick(80)});
            break;
        case 2:
            o->r.lease().let_go_checkpoint();
            break;
        default:
            s_.cache.reserve(o->r.lease(),
                             std::max(o->r.lease().position(), token_count{pick(80)}));
        }
        read(*o);
    }
    void commit(int depth) {
        opened* const o = some_idle();
        if (!o) return;
        std::size_t const size = o->r.tokens().size();
        std::size_t const position = o->r.lease().position().value();
        std::size_t const from = std::max(position, o->committed);
        std::size_t const end = pick(2) == 0 ? size : from + pick(size - from + 1);
        bool const in_place = pick(4) == 0 && o->r.write_in_place(end);
        std::vector<std::size_t> states;
        if (!s_.model.state_pieces.empty())
            for (std::size_t p = std::max<std::size_t>(position, o->committed + 1); p <= end; ++p)
                if (p == end || pick(10) == 0) states.push_back(p);
        auto const matched = [&] {
            return s_.cache.match({}, std::span{o->r.tokens()}.first(end)).matched.value();
        };
        o->busy = true;
        std::size_t const known = matched();
        std::size_t known_later = known;
        auto const others = [&] {
            for (std::uint32_t i = pick(6); depth < 3 && i-- > 0;)
                act(depth + 1);
            known_later = matched();
            if (s_.cache.holds().peak < s_.cache.holds().used) FAIL("a peak below what is used");
        };
        auto const outcome = o->r.commit(end, states, others, in_place);
        o->busy = false;
        o->committed = end;
        overtaken_ += known_later > known;
        check();
        read(*o);
        CHECK(outcome.position == o->r.lease().position());
        CHECK(outcome.position.value() >= position);
        CHECK((o->may_be_forgotten || matched() >= outcome.position.value()));
        if (s_.model.has_kv()) CHECK((outcome.position + outcome.declined_tokens).value() == end);
        CHECK(outcome.stored_checkpoints + outcome.known_checkpoints +
                  outcome.declined_checkpoints ==
              states.size());
    }
    void check() {
        auto const faults = cache::audit(s_.cache);
        if (!faults.empty()) FAIL(faults.front());
    }
    void read(opened& o) {
        if (!o.r.reads_right()) FAIL("a block table names a page that holds something else");
    }

    set_up<Cache>& s_;
    std::mt19937 random_;
    std::list<opened> open_;
    std::uint32_t text_ = 0;
    std::size_t overtaken_ = 0;
};

} // namespace support
