// Commits that let others in while they copy. The calls that come in between are made by the same
// thread, inside the copy, so that each test says exactly what came when.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/cache/unlocked.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <random>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using support::engine_request;
using support::sequence;

namespace {

using host_cache = cache::prefix_cache<memory::host_store>;
using meanwhile = std::function<void()>;

sequence numbers(std::size_t count, std::int32_t from = 0) {
    sequence tokens(count);
    for (std::size_t i = 0; i < count; ++i)
        tokens[i] = from + static_cast<std::int32_t>(i);
    return tokens;
}

/// One request: its lease, and its engine's memory.
class request {
public:
    request(host_cache& cache, footprint const& model, sequence const& tokens)
        : cache_{&cache}, model_{&model}, tokens_{tokens}, memory_{model} {
        sequence longer = tokens;
        longer.push_back(-1); // so that all of the tokens may be resumed
        lease_ = cache.open({}, longer);
        if (lease_.resume_at() > 0_tokens) {
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

    host_cache::lease& lease() { return lease_; }
    sequence const& tokens() const { return tokens_; }

private:
    host_cache* cache_;
    footprint const* model_;
    sequence tokens_;
    engine_request memory_;
    host_cache::lease lease_;
};

/// Whether the cache gives back all of a sequence that it says it has, and how much that is.
std::size_t resumable(host_cache& cache, footprint const& model, sequence const& tokens) {
    return request{cache, model, tokens}.lease().resume_at().value();
}

struct set_up {
    footprint model;
    std::uint32_t block;
    host_cache cache;
    set_up(footprint m, std::uint32_t block_tokens, byte_count capacity = 1_MiB)
        : model{std::move(m)},
          block{block_tokens},
          cache{memory::host_store{model, capacity, {.block_tokens = token_count{block}}}} {}
    void check() const { CHECK(cache::audit(cache) == std::vector<std::string>{}); }
};

std::vector<footprint> const models{support::hybrid_model(), support::attention_model(),
                                    support::recurrent_model()};

} // namespace

TEST_CASE("others publish all of it while a commit copies: theirs stays, its pages go back") {
    auto const which = GENERATE(0u, 1u, 2u);
    auto const block = GENERATE(1u, 4u, 7u);
    set_up s{models[which], block};
    request slow{s.cache, s.model, numbers(23)}, fast{s.cache, s.model, numbers(23)};
    byte_count after_fast;
    auto const outcome = slow.commit([&] {
        s.check();
        CHECK(fast.commit([] {}).complete());
        s.check();
        fast.lease().release();
        after_fast = s.cache.holds().used;
    });
    s.check();
    CHECK(outcome.complete());
    CHECK(outcome.position == 23_tokens);
    CHECK(outcome.stored_tokens == 0_tokens);
    CHECK(outcome.stored_checkpoints == 0);
    CHECK(outcome.known_checkpoints == (which == 1 ? 0 : 1));
    slow.lease().release();
    s.check();
    CHECK(s.cache.holds().used < after_fast); // the pages that it had filled
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    s.cache.clear();
    CHECK(s.cache.holds().used == 0_B);
}

TEST_CASE("others publish a part while a commit copies, or go another way in the middle of it") {
    auto const which = GENERATE(0u, 1u, 2u);
    auto const block = GENERATE(1u, 4u, 7u);
    auto const shared = GENERATE(1u, 4u, 8u, 13u, 22u);
    CAPTURE(which, block, shared);
    set_up s{models[which], block};
    bool const forks = GENERATE(false, true);
    sequence theirs = numbers(shared);
    if (forks)
        for (std::int32_t i = 0; i < 9; ++i)
            theirs.push_back(1000 + i);
    request slow{s.cache, s.model, numbers(23)}, fast{s.cache, s.model, theirs};
    auto const outcome = slow.commit([&] {
        CHECK(fast.commit([] {}).complete());
        s.check();
    });
    s.check();
    CHECK(outcome.complete());
    // A model without KV stores the tokens up to a checkpoint: as an edge, in either order.
    CHECK(outcome.stored_tokens == token_count{23 - shared});
    CHECK(outcome.stored_checkpoints == (which == 1 ? 0 : 1));
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    CHECK(resumable(s.cache, s.model, theirs) == theirs.size());
    slow.lease().release();
    fast.lease().release();
    s.check();
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    s.cache.clear();
    CHECK(s.cache.holds().used == 0_B);
}

TEST_CASE("of several checkpoints others publish some while a commit copies") {
    auto const block = GENERATE(1u, 4u, 7u);
    set_up s{models[0], block};
    request slow{s.cache, s.model, numbers(40)}, fast{s.cache, s.model, numbers(40)};
    auto const outcome = slow.commit(40, {5, 12, 20, 33, 40}, [&] {
        CHECK(fast.commit(35, {6, 12, 33}, [] {}).complete());
        s.check();
    });
    s.check();
    CHECK(outcome.complete());
    CHECK(outcome.stored_tokens == 5_tokens);
    CHECK(outcome.stored_checkpoints == 3);
    CHECK(outcome.known_checkpoints == 2);
    slow.lease().release();
    fast.lease().release();
    for (std::size_t const at : {5u, 6u, 12u, 20u, 33u, 40u})
        CHECK(resumable(s.cache, s.model, numbers(at)) == at);
    s.check();
}

TEST_CASE("what a commit fills and stands on is nobody's to evict while it copies") {
    auto const which = GENERATE(0u, 1u, 2u);
    set_up s{models[which], 4, which == 2 ? 64_KiB : 9'000_B};
    request before{s.cache, s.model, numbers(12)};
    CHECK(before.commit([] {}).complete());
    before.lease().release();
    // It stands at 12, where the first one's commit ended, without a lease on it.
    request slow{s.cache, s.model, numbers(30)};
    slow.lease().let_go_kv();
    slow.lease().let_go_checkpoint();
    byte_count obtainable;
    auto const outcome = slow.commit([&] {
        obtainable = s.cache.obtainable(byte_count{1'000'000});
        s.cache.clear();
        s.check();
        CHECK(s.cache.holds().used > 0_B);
        CHECK(s.cache.holds().used + obtainable == s.cache.holds().capacity); // it was exact
        request greedy{s.cache, s.model, numbers(350, 5000)};
        CHECK_FALSE(greedy.commit([] {}).complete());
        s.check();
    });
    s.check();
    CHECK(outcome.complete());
    CHECK(outcome.position == 30_tokens);
    slow.lease().release();
    CHECK(resumable(s.cache, s.model, numbers(30)) == 30);
    s.check();
}

TEST_CASE("a lease with reserved pages follows no further than it has filled them") {
    footprint const model = support::hybrid_model();
    memory::page_layout const layout{model, {.block_tokens = 4_tokens}};
    REQUIRE(layout.checkpoint_pages(40_tokens) == 1);
    // Twelve reserved pages, eleven of the other one's and its checkpoint, and one for another.
    set_up s{model, 4, layout.page_bytes() * (12 + 11 + 1 + 1)};
    sequence const tokens = numbers(50);
    request slow{s.cache, s.model, tokens}, fast{s.cache, s.model, tokens};
    REQUIRE(s.cache.reserve(slow.lease(), 48_tokens) == 48_tokens);
    auto greedy = s.cache.open(scope{1}, tokens);
    REQUIRE(s.cache.reserve(greedy, 48_tokens) == 48_tokens);
    auto const outcome = slow.commit(42, {20, 42}, [&] { // room for one of its two checkpoints
        greedy.release();
        CHECK(fast.commit(42, {42}, [] {}).complete());
    });
    s.check();
    CHECK(outcome.position == 20_tokens);
    CHECK(outcome.declined_tokens == 22_tokens);
    CHECK(slow.reads_right());
    fast.lease().release();
    CHECK(slow.commit(50, {50}, [] {}).position == 50_tokens);
    CHECK(slow.reads_right());
    slow.lease().release();
    CHECK(resumable(s.cache, s.model, tokens) == 50);
}

TEST_CASE("a copy that fails when others have called leaves what they did, and no more") {
    auto const which = GENERATE(0u, 1u, 2u);
    set_up s{models[which], 4};
    request slow{s.cache, s.model, numbers(23)}, fast{s.cache, s.model, numbers(14)};
    CHECK_THROWS_WITH(slow.commit([&] {
        CHECK(fast.commit([] {}).complete());
        throw std::runtime_error{"the copy failed"};
    }),
                      "the copy failed");
    s.check();
    CHECK(slow.lease().position() == 0_tokens);
    CHECK(slow.commit([] {}).stored_tokens == 9_tokens); // and may be made again
    CHECK(resumable(s.cache, s.model, numbers(23)) == 23);
    s.check();
}

TEST_CASE("a commit with nothing to copy does not stop for others") {
    set_up s{models[0], 4};
    request first{s.cache, s.model, numbers(23)};
    CHECK(first.commit([] {}).complete());
    bool stopped = false;
    CHECK(first.commit([&] { stopped = true; }).complete());
    CHECK_FALSE(stopped);
}

TEST_CASE("a lock is let go of for the copy, and had again, be it that the copy threw") {
    struct counted_lock {
        int held = 1;
        void lock() { ++held; }
        void unlock() { --held; }
    } lock;
    int held_meanwhile = 9;
    cache::without_lock{lock}([&] { held_meanwhile = lock.held; });
    CHECK(held_meanwhile == 0);
    CHECK(lock.held == 1);
    CHECK_THROWS_AS(cache::without_lock{lock}([] { throw std::runtime_error{"no copy"}; }),
                    std::runtime_error);
    CHECK(lock.held == 1);
    cache::until_copying{lock}([&] { held_meanwhile = lock.held; });
    CHECK(held_meanwhile == 0);
    CHECK(lock.held == 0);
}

namespace {

/// Requests that commit inside each other's copies, three deep, copying and in place, in a cache
/// that is too small.
class crowd {
public:
    crowd(set_up& s, std::uint32_t seed) : s_{s}, random_{seed} {}

    void act(int depth) {
        std::uint32_t const dice = pick(24);
        if (dice < 7 && open_.size() < 7)
            open_.push_back({request{s_.cache, s_.model, some_tokens()}});
        else if (dice < 9)
            drop();
        else if (dice == 9)
            s_.cache.evict(byte_count{pick(2'000)});
        else if (dice == 10 && pick(8) == 0)
            pick(2) == 0 ? s_.cache.clear() : s_.cache.clear(scope{});
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
        CHECK(s_.cache.holds().used == 0_B);
    }
    std::size_t overtaken() const { return overtaken_; }

private:
    struct opened {
        request r;
        std::size_t committed = 0;
        bool busy = false;
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
        CHECK(matched() >= outcome.position.value());
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

    set_up& s_;
    std::mt19937 random_;
    std::list<opened> open_;
    std::uint32_t text_ = 0;
    std::size_t overtaken_ = 0;
};

} // namespace

TEST_CASE("commits inside the copies of commits: all that is resumed is right") {
    auto const which = GENERATE(0u, 1u, 2u);
    auto const block = GENERATE(1u, 4u, 7u);
    CAPTURE(which, block);
    byte_count const capacity = which == 2 ? 2_MiB : 10'000_B; // 32 states, or 300 tokens
    set_up s{models[which], block, capacity};
    crowd requests{s, 10 * which + block};
    for (int i = 0; i < 12'000; ++i)
        requests.act(0);
    CHECK(requests.overtaken() > 20);
    CHECK(s.cache.stats().evictions() > 0);
    requests.end();
}
