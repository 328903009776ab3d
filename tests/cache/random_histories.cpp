// Random histories of several requests at a time on small caches: after every step all invariants
// hold, and whatever is restored, copied or read in place, is what was computed.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace marconi;
using support::engine_request;
using support::sequence;

namespace {

template <class Cache>
class history {
    struct request {
        typename Cache::lease lease;
        sequence tokens; // all that the request will ever have
        std::size_t prompt;
        std::size_t done; // processed so far
        bool in_place;
        engine_request memory;
        std::vector<page_id> table; // handed out last; its indices must not change
    };

public:
    history(Cache& cache, std::uint64_t seed) : cache_{cache}, random_{seed} {}

    void step() {
        std::uint64_t const dice = below(20);
        if (open_.size() < 4 && (dice < 6 || open_.empty()))
            open_request();
        else if (open_.empty())
            return;
        else if (dice < 15)
            advance(open_[below(open_.size())]);
        else if (dice < 18)
            drop(below(open_.size()));
        else if (dice == 18)
            open_[below(open_.size())].lease.let_go_checkpoint();
        else if (below(20) == 0)
            below(2) ? cache_.clear() : cache_.clear(scope{.tenant = below(2)});
        else
            (void)cache_.evict(byte_count{1 + below(3000)});
        auto const faults = cache_.holds().leases == open_.size()
                                ? cache::audit(cache_)
                                : std::vector<std::string>{"leases leak"};
        INFO("step " << steps_);
        if (!faults.empty()) UNSCOPED_INFO(faults.front());
        REQUIRE(faults.empty());
        ++steps_;
    }
    void finish() {
        while (!open_.empty())
            drop(open_.size() - 1);
        cache_.clear();
        REQUIRE(cache_.holds().used == 0_B);
        REQUIRE(cache_.holds().nodes == 0);
        REQUIRE(cache_.holds().scopes == 0);
    }
    std::size_t resumed() const { return resumed_; }

private:
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

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
        scope const in{.tenant = below(2)};
        auto const view = std::span<std::int32_t const>{tokens}.first(prompt);
        cache::match_options options;
        if (below(4) == 0) options.limit = token_count{prompt};
        auto const plan = cache_.plan(cache_.match(in, view, options));
        if (below(8) == 0) (void)cache_.evict(500_B); // may make the plan stale
        auto lease = cache_.acquire(plan);
        if (lease.stale()) return;
        engine_request memory{cache_.store().layout().model()};
        std::size_t const resume = lease.resume_at().value();
        bool const in_place = below(2) == 0;
        cache_.restore(lease, memory.kv(), memory.state());
        if (resume != 0) REQUIRE(memory.holds(tokens, resume));
        resumed_ += resume;
        if (in_place) check_table(lease, tokens, resume);
        open_.push_back(
            {std::move(lease), std::move(tokens), prompt, resume, in_place, std::move(memory), {}});
    }

    /// Every token's KV is where the block table says.
    void check_table(typename Cache::lease const& lease, sequence const& tokens, std::size_t upto) {
        auto const& layout = cache_.store().layout();
        auto const table = cache_.block_table(lease);
        if (!layout.model().has_kv()) return;
        engine_request const right{layout.model()};
        for (std::size_t t = 0; t < upto; ++t)
            for (std::size_t l = 0; l < layout.model().kv_layers.size(); ++l)
                for (int part : {0, 1})
                    REQUIRE(
                        std::ranges::equal(slot(table, t, l, part), right.row(tokens, t, l, part)));
    }
    std::span<std::byte> slot(std::vector<page_id> const& table, std::size_t t, std::size_t l,
                              int part) {
        auto const& layout = cache_.store().layout();
        auto const row = t % layout.block_tokens();
        auto const page = cache_.store().page(table.at(t / layout.block_tokens()));
        auto const& bytes = layout.model().kv_layers[l];
        return part == 0 ? page.subspan(layout.key_offset(l, row), bytes.key_bytes)
                         : page.subspan(layout.value_offset(l, row), bytes.value_bytes);
    }

    void advance(request& r) {
        std::size_t to = std::min(r.tokens.size(), r.done + 1 + below(40));
        if (r.in_place && cache_.store().layout().model().has_kv()) {
            std::size_t const covered = cache_.reserve(r.lease, token_count{to}).value();
            to = std::min(to, std::max(covered, r.done));
            auto const table = cache_.block_table(r.lease);
            for (std::size_t i = 0; i < std::min(table.size(), r.table.size()); ++i)
                if (i * cache_.store().layout().block_tokens() >= r.lease.resume_at().value())
                    REQUIRE(table[i] == r.table[i]);
            r.table = table;
            for (std::size_t t = r.done; t < to; ++t)
                for (std::size_t l = 0; l < cache_.store().layout().model().kv_layers.size(); ++l)
                    for (int part : {0, 1})
                        std::ranges::copy(r.memory.row(r.tokens, t, l, part),
                                          slot(table, t, l, part).begin());
        }
        r.memory.compute(r.tokens, r.done, to);
        std::size_t const from = std::max<std::size_t>(r.done, r.lease.position().value());
        r.done = to;
        std::vector<std::vector<std::vector<std::byte>>> states;
        std::vector<std::size_t> positions;
        if (cache_.store().layout().model().has_checkpoints())
            for (std::size_t p = from + 1; p <= to; ++p)
                if (r.lease.should_capture(token_count{p}, p == r.tokens.size()) ||
                    (p == to && below(3) == 0)) {
                    positions.push_back(p);
                    states.push_back(r.memory.state_at(r.tokens, p));
                }
        std::vector<std::vector<std::byte*>> pointers(states.size());
        std::vector<cache::captured_state> captured;
        for (std::size_t i = 0; i < states.size(); ++i) {
            for (auto& piece : states[i])
                pointers[i].push_back(piece.data());
            captured.push_back({token_count{positions[i]}, {pointers[i]}});
        }
        cache::computed brought{.checkpoints = captured};
        if (!r.in_place) brought.kv = r.memory.kv();
        auto const outcome =
            cache_.commit(r.lease, std::span<std::int32_t const>{r.tokens}.first(to), brought);
        REQUIRE(outcome.position == r.lease.position());
        REQUIRE(outcome.position.value() + outcome.declined_tokens.value() <= to);
        if (r.in_place) check_table(r.lease, r.tokens, r.done);
    }

    void drop(std::size_t i) {
        if (below(4) == 0) open_[i].lease.let_go_kv();
        if (open_[i].done != 0) {
            past_.push_back(open_[i].tokens);
            past_.back().resize(open_[i].done);
        }
        if (past_.size() > 12) past_.erase(past_.begin());
        open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
    }

    Cache& cache_;
    std::mt19937_64 random_;
    std::vector<request> open_;
    std::vector<sequence> past_;
    std::size_t steps_ = 0, resumed_ = 0;
};

template <class Admission, class Eviction>
struct policies {
    using admission = Admission;
    using eviction = Eviction;
};

} // namespace

using combinations = std::tuple<
    policies<policy::branch_and_tail, policy::lru>, policies<policy::branch_and_tail, policy::gdsf>,
    policies<policy::branch_and_tail, policy::flop_aware>, policies<policy::always, policy::lru>>;

TEMPLATE_LIST_TEST_CASE("random histories keep every invariant and every byte", "", combinations) {
    std::size_t resumed = 0;
    for (auto const& model :
         {support::hybrid_model(), support::attention_model(), support::recurrent_model()})
        for (unsigned block : {1u, 2u, 16u, 17u})
            for (std::uint64_t pages : {7u, 40u, 200u}) {
                CAPTURE(model.model, block, pages);
                memory::page_options const cut{token_count{block}, 256_B};
                byte_count const page = memory::page_layout{model, cut}.page_bytes();
                cache::prefix_cache<memory::host_store, typename TestType::admission,
                                    typename TestType::eviction>
                    cache{memory::host_store{model, page * pages, cut}};
                history story{cache, 1000 * block + pages};
                for (int i = 0; i < 400; ++i)
                    story.step();
                resumed += story.resumed();
                story.finish();
            }
    CHECK(resumed > 4'000);
}
