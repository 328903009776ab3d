// The pages that events name hold what was committed, and those of removals still do.

#include <support/catch.hpp>
#include <support/engine.hpp>
#include <support/no_memory.hpp>
#include <support/told_paths.hpp>

#include <marconi/cache/audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <random>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace marconi;
using support::cache_event;
using support::engine_request;
using support::sequence;

namespace {

/// Looks into the pages of every event, and copies what goes to where there is always room.
class archivist {
public:
    memory::host_store const* store = nullptr;

    void hear(cache_event const& e) {
        auto const told = paths_.hear(e);
        ++seen_[e.kind];
        memory::page_layout const& layout = store->layout();
        if (e.pages.size() != pages_for(told)) return complain("a wrong number of pages", e);
        for (page_id const page : e.pages)
            if (std::ranges::count(store->pages().free(), page) != 0)
                return complain("a page that is free", e);
        engine_request copy{layout.model()};
        told.copy_by(e.pages, copy, [&](auto const& t) { store->load(t, memory::no_stream{}); });
        if (!told.is_in(copy)) return complain("wrong bytes", e);
        if (e.kind == cache::event_kind::kv_published ||
            e.kind == cache::event_kind::checkpoint_published)
            add(published_, told);
        else if (support::is_removal(e))
            add(archived_, told);
    }

    [[nodiscard]] std::string const& fault() const { return fault_; }
    [[nodiscard]] bool has_all() const { return archived_ == published_; }
    [[nodiscard]] std::size_t size() const { return archived_.size(); }
    [[nodiscard]] std::size_t seen(cache::event_kind kind) const {
        auto const at = seen_.find(kind);
        return at == seen_.end() ? 0 : at->second;
    }

private:
    /// A token's KV, or a state: of which scope, which of the two, after which tokens.
    using piece = std::tuple<std::uint64_t, bool, std::uint64_t>;

    static void add(std::set<piece>& to, support::told_pages const& told) {
        std::size_t const end = told.tokens.size();
        for (std::size_t at = told.state ? end : told.begin + 1; at <= end; ++at)
            to.insert({told.in.tenant, told.state, engine_request::prefix_hash(told.tokens, at)});
    }
    [[nodiscard]] std::size_t pages_for(support::told_pages const& told) const {
        memory::page_layout const& layout = store->layout();
        token_count const end{told.tokens.size()};
        if (told.state) return layout.checkpoint_pages(end);
        std::size_t const block = layout.block_tokens();
        return layout.has_kv() ? (told.tokens.size() - 1) / block + 1 - told.begin / block : 0;
    }
    void complain(std::string const& what, cache_event const& e) {
        if (fault_.empty())
            fault_ = what + " in event " + std::to_string(e.sequence) + ", of kind " +
                     std::to_string(static_cast<int>(e.kind));
    }

    support::told_paths paths_;
    std::set<piece> published_, archived_;
    std::map<cache::event_kind, std::size_t> seen_;
    std::string fault_;
};

struct to_archivist {
    archivist* all;
    void observe(cache_event const& e) noexcept {
        testing::spare_memory(true);
        all->hear(e);
        testing::spare_memory(false);
    }
};
using watched_cache =
    cache::prefix_cache<memory::host_store, policy::branch_and_tail, policy::lru, to_archivist>;

/// Copies of a request's state, as a commit takes them.
class captures {
public:
    void add(engine_request const& of, sequence const& tokens, std::size_t position) {
        bytes_.push_back(of.state_at(tokens, position));
        pieces_.emplace_back();
        for (auto& piece : bytes_.back())
            pieces_.back().push_back(piece.data());
        positions_.push_back(position);
    }
    [[nodiscard]] std::vector<cache::captured_state> all() const {
        std::vector<cache::captured_state> states;
        for (std::size_t i = 0; i < positions_.size(); ++i)
            states.push_back({.position = token_count{positions_[i]}, .state = {pieces_[i]}});
        return states;
    }

private:
    std::vector<std::vector<std::vector<std::byte>>> bytes_;
    std::vector<std::vector<std::byte*>> pieces_;
    std::vector<std::size_t> positions_;
};

/// Random requests that copy or work in place, some of which stay open for a while.
class history {
public:
    history(footprint const& model, std::uint64_t block, std::uint64_t pages, std::uint64_t seed)
        : random_{seed}, right_{model}, cache_{store_of(model, block, pages), {}, {}, {}, {&all_}} {
        all_.store = &cache_.store();
    }

    void step() {
        serve();
        if (below(3) == 0) deduplicate_one();
        if (below(4) == 0) in_short_memory([&] { drop_one(); });
        if (below(10) == 0) in_short_memory([&] { (void)cache_.evict(byte_count{below(2000)}); });
        if (below(30) == 0) forget_some();
        if (below(200) == 0) in_short_memory([&] { cache_.clear({.tenant = below(2)}); });
    }
    void finish() {
        while (!held_.empty())
            drop_one();
        cache_.clear();
    }
    [[nodiscard]] archivist const& all() const { return all_; }
    [[nodiscard]] watched_cache const& cache() const { return cache_; }
    [[nodiscard]] std::size_t put_off() const { return put_off_; }

private:
    /// Freed pages are zeroed, so that whoever reads them too late finds no right bytes there.
    static memory::host_store store_of(footprint const& model, std::uint64_t block,
                                       std::uint64_t pages) {
        memory::page_options const cut{.block_tokens = token_count{block},
                                       .page_bytes = byte_count{256},
                                       .zero_freed_pages = true};
        return {model, memory::page_layout{model, cut}.page_bytes() * pages, cut};
    }
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    sequence invent(std::uint64_t most) {
        sequence tokens;
        for (std::uint64_t n = 1 + below(most); tokens.size() < n;)
            tokens.push_back(static_cast<std::int32_t>(below(2)));
        return tokens;
    }
    void serve() {
        sequence const tokens = invent(below(4) ? 30 : 60);
        auto lease = cache_.open({.tenant = below(2)}, tokens);
        bool const in_place = below(2) == 0 && right_.kv().layers.size() != 0;
        for (std::size_t done = lease.resume_at().value(); done < tokens.size();)
            done = advance(lease, tokens, done, in_place);
        if (below(3) == 0) held_.push_back(std::move(lease));
        if (held_.size() > 4) drop_one();
    }
    /// The next part of a request; returns where it ends.
    std::size_t advance(watched_cache::lease const& lease, sequence const& tokens, std::size_t done,
                        bool in_place) {
        std::size_t end = done + 1 + below(tokens.size() - done);
        if (in_place) {
            token_count const covered = cache_.reserve(lease, token_count{end});
            end = std::clamp(static_cast<std::size_t>(covered.value()), done, end);
            write_in_place(lease, tokens, done, end);
        }
        captures states;
        if (cache_.store().layout().model().has_checkpoints())
            for (std::size_t at = done + 1; at <= end; ++at)
                if (below(6) == 0 || lease.should_capture(token_count{at}, at == tokens.size()))
                    states.add(right_, tokens, at);
        auto const captured = states.all();
        cache::computed brought{.checkpoints = captured};
        if (!in_place) {
            right_.compute(tokens, 0, end);
            brought.kv = right_.kv();
        }
        (void)cache_.commit(lease, std::span{tokens}.first(end), brought);
        return end == done ? tokens.size() : end; // no room: the rest is not served
    }
    void write_in_place(watched_cache::lease const& lease, sequence const& tokens, std::size_t from,
                        std::size_t to) {
        auto const& layout = cache_.store().layout();
        auto const table = cache_.block_table(lease);
        for (std::size_t t = from; t < to; ++t)
            for (std::size_t l = 0; l < layout.model().kv_layers.size(); ++l)
                for (int const part : {0, 1}) {
                    auto const row = right_.row(tokens, t, l, part);
                    std::size_t const slot = t % layout.block_tokens();
                    std::ranges::copy(
                        row, cache_.store().page(table.at(t / layout.block_tokens())).data() +
                                 (part == 0 ? layout.key_offset(l, slot)
                                            : layout.value_offset(l, slot)));
                }
    }
    /// Often of what leases hold.
    void forget_some() {
        sequence const tokens = invent(8);
        token_count const from{below(tokens.size())};
        in_short_memory([&] { (void)cache_.forget({.tenant = below(2)}, tokens, from); });
    }
    void deduplicate_one() {
        if (!held_.empty()) (void)cache_.deduplicate(held_[below(held_.size())]);
    }
    void drop_one() {
        if (held_.empty()) return;
        std::swap(held_[below(held_.size())], held_.back());
        if (below(3) == 0) held_.back().let_go_kv();
        held_.pop_back();
    }
    /// Now and then nothing can be allocated meanwhile: merges are put off.
    template <class Call>
    void in_short_memory(Call&& call) {
        if (below(2)) return call();
        {
            testing::no_memory const none{below(3)};
            try {
                call();
            } catch (std::bad_alloc const&) {
            }
        }
        put_off_ += cache_.internals().merges_put_off();
    }

    std::mt19937_64 random_;
    engine_request right_;
    archivist all_;
    watched_cache cache_;
    std::vector<watched_cache::lease> held_;
    std::size_t put_off_ = 0;
};

} // namespace

TEST_CASE("pages that events name hold what they should, and who copies what goes has all of it") {
    std::size_t copied = 0, put_off = 0;
    footprint const models[] = {support::hybrid_model(), support::attention_model(),
                                support::recurrent_model()};
    for (footprint const& model : models)
        for (std::uint64_t const block : {1u, 4u, 7u}) {
            CAPTURE(model.model, block);
            history story{model, block, 40, block};
            for (int i = 0; i < 600 && story.all().fault().empty(); ++i) {
                story.step();
                if (i % 50 == 0) REQUIRE(cache::audit(story.cache()).empty());
            }
            story.finish();
            REQUIRE(story.all().fault() == "");
            CHECK(story.cache().holds().nodes == 0);
            CHECK(story.all().has_all());
            using enum cache::event_kind;
            for (auto const kind : {kv_published, removed, split, merged})
                CHECK(story.all().seen(kind) > 50);
            CHECK((story.all().seen(checkpoint_removed) > 50) == model.has_checkpoints());
            copied += story.all().size();
            put_off += story.put_off();
        }
    CHECK(copied > 10'000);
    CHECK(put_off > 10);
}

TEST_CASE("a snapshot names the pages of what is here") {
    footprint const model = support::hybrid_model();
    history story{model, 4, 60, 3};
    for (int i = 0; i < 100; ++i)
        story.step();
    archivist late;
    late.store = &story.cache().store();
    struct listener {
        archivist* to;
        void observe(cache_event const& e) { to->hear(e); }
    };
    (void)story.cache().snapshot(listener{&late});
    CHECK(late.fault() == "");
    CHECK(late.seen(cache::event_kind::kv_published) == story.cache().holds().nodes);
    CHECK(late.seen(cache::event_kind::checkpoint_published) ==
          story.cache().holds().checkpoint_count);
    CHECK(story.cache().holds().checkpoint_count > 0);
}
