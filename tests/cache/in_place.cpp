// Engines that read and write the arena's pages themselves.

#include <cache/short_requests.hpp>

#include <marconi/memory/host_store.hpp>
#include <marconi/memory/tensors.hpp>
#include <marconi/policy/eviction/scored.hpp>

#include <support/engine.hpp>

#include <algorithm>
#include <array>
#include <limits>

using namespace cache_tests;

namespace {

using host_cache = cache::prefix_cache<memory::host_store, policy::branch_and_tail, policy::lru>;
using page_list = std::vector<page_id>;

/// An engine that has no KV memory of its own.
class in_place_engine {
public:
    explicit in_place_engine(host_cache const& cache)
        : store_{cache.store()}, right_{cache.store().layout().model()} {}

    void compute(page_list const& pages, sequence const& tokens, std::size_t from, std::size_t to) {
        each_row(pages, tokens, from, to,
                 [](auto const& right, auto slot) { std::ranges::copy(right, slot.begin()); });
    }
    [[nodiscard]] bool can_read(page_list const& pages, sequence const& tokens, std::size_t to) {
        bool right = true;
        each_row(pages, tokens, 0, to, [&](auto const& expected, auto slot) {
            right = right && std::ranges::equal(expected, slot);
        });
        return right;
    }

private:
    template <class Visit>
    void each_row(page_list const& pages, sequence const& tokens, std::size_t from, std::size_t to,
                  Visit visit) {
        auto const& layout = store_.layout();
        for (std::size_t t = from; t < to; ++t) {
            auto const row = t % layout.block_tokens();
            auto const page = store_.page(pages.at(t / layout.block_tokens()));
            for (std::size_t l = 0; l < layout.model().kv_layers.size(); ++l) {
                auto const& bytes = layout.model().kv_layers[l];
                visit(right_.row(tokens, t, l, 0),
                      page.subspan(layout.key_offset(l, row), bytes.key_bytes));
                visit(right_.row(tokens, t, l, 1),
                      page.subspan(layout.value_offset(l, row), bytes.value_bytes));
            }
        }
    }

    memory::host_store const& store_;
    support::engine_request right_;
};

memory::host_store host_room(footprint const& model, std::uint64_t pages, std::uint64_t block) {
    memory::page_options const cut = blocks_of(block);
    return {model, memory::page_layout{model, cut}.page_bytes() * pages, cut};
}

/// Worth more than any room.
struct keeps_all {
    double operator()(policy::usage const&, policy::candidate_facts const&, tick) const {
        return std::numeric_limits<double>::infinity();
    }
};

/// Computes in place up to the end of `tokens` and commits.
cache::commit_outcome run_in_place(host_cache& cache, host_cache::lease const& lease,
                                   sequence const& tokens) {
    std::size_t const from = lease.position().value();
    CHECK(cache.reserve(lease, token_count{tokens.size()}) == token_count{tokens.size()});
    in_place_engine{cache}.compute(cache.block_table(lease), tokens, from, tokens.size());
    return cache.commit(lease, tokens);
}

} // namespace

TEST_CASE("a reservation covers what was asked for, or what there is room for") {
    small_cache cache{room_for(hybrid(), 10, 4)};
    auto const lease = acquire(cache, text("0123456789"));
    CHECK(cache.block_table(lease).empty());
    CHECK(cache.reserve(lease, 0_tokens) == 0_tokens);
    CHECK(cache.reserve(lease, 1_tokens) == 1_tokens);
    CHECK(pages_used(cache) == 1);
    CHECK(cache.reserve(lease, 4_tokens) == 4_tokens);
    CHECK(pages_used(cache) == 1);
    CHECK(cache.reserve(lease, 10_tokens) == 10_tokens);
    CHECK(pages_used(cache) == 3);
    CHECK(cache.reserve(lease, 2_tokens) == 2_tokens); // it has more
    CHECK(cache.block_table(lease).size() == 3);
    CHECK(cache.reserve(lease, 41_tokens) == 40_tokens);
    CHECK(pages_used(cache) == 10);
    CHECK(cache.stats().short_reserves == 1);
    CHECK(cache.reserve(lease, 41_tokens) == 40_tokens);
    auto const other = acquire(cache, text("other"));
    CHECK(cache.reserve(other, 5_tokens) == 0_tokens);
    CHECK(cache.stats().short_reserves == 3);
    CHECK_SOUND(cache);
}

TEST_CASE("a reservation evicts what may go") {
    small_cache cache{room_for(hybrid(), 10)};
    serve(cache, "abcdef"); // 8 pages
    auto const lease = acquire(cache, text("0123456789"));
    CHECK(cache.reserve(lease, 2_tokens) == 2_tokens);
    CHECK(cache.stats().evictions() == 0);
    CHECK(cache.reserve(lease, 3_tokens) == 3_tokens);
    CHECK(cache.stats().nodes_evicted[1] == 1); // for a reservation
    CHECK(look(cache, "abcdef") == depths{});
    CHECK_SOUND(cache);
}

TEST_CASE("a reservation covers less where the policy lets nothing go") {
    counting_cache<policy::scored<keeps_all>> cache{room_for(attention_only(), 12)};
    serve(cache, "0123456789");
    auto const lease = acquire(cache, text("abcdefgh"));
    CHECK(cache.reserve(lease, 8_tokens) == 2_tokens);
    CHECK(cache.block_table(lease).size() == 2);
    CHECK(cache.reserve(lease, 8_tokens) == 2_tokens);
    CHECK(cache.stats().evictions() == 0);
    CHECK(look(cache, "0123456789", 10) == depths{10, 10, 0, 0});
    CHECK(commit(cache, lease, text("abcdefgh")).stored_tokens == 2_tokens);
    CHECK_SOUND(cache);
}

TEST_CASE("pages that were reserved and not filled are given back") {
    small_cache cache{room_for(hybrid(), 4, 4)}; // a checkpoint is a page here
    sequence const tokens = text("0123456789");
    std::array const end{cache::captured_state{10_tokens}};
    auto const lease = acquire(cache, tokens);
    REQUIRE(cache.reserve(lease, 40_tokens) == 16_tokens);

    SECTION("else the state of a request that makes way finds no room") {
        CHECK(cache.commit(lease, tokens, {.checkpoints = end}).declined_checkpoints == 1);
    }
    SECTION("past the tokens computed so far") {
        auto const before = cache.block_table(lease);
        cache.unreserve(lease, 10_tokens);
        CHECK(cache.block_table(lease) == page_list{before.begin(), before.begin() + 3});
        CHECK(cache.commit(lease, tokens, {.checkpoints = end}).complete());
    }
    SECTION("but not what was committed") {
        REQUIRE(cache.commit(lease, tokens).complete());
        cache.unreserve(lease, 0_tokens);
        CHECK(cache.block_table(lease).size() == 3);
        CHECK(pages_used(cache) == 3);
    }
    SECTION("all of them") {
        cache.unreserve(lease, 0_tokens);
        CHECK(pages_used(cache) == 0);
        CHECK(cache.block_table(lease).empty());
        CHECK(cache.reserve(lease, 1_tokens) == 1_tokens);
    }
    CHECK_SOUND(cache);
}

TEST_CASE("a lease that gave all its reserved pages back has none to commit in place") {
    host_cache cache{host_room(support::hybrid_model(), 8, 4)};
    sequence const tokens = text("0123456789");
    auto const lease = cache.acquire(cache.plan(cache.match({}, tokens)));
    REQUIRE(cache.reserve(lease, 10_tokens) == 10_tokens);
    cache.unreserve(lease, 0_tokens);
    CHECK_THROWS_AS(cache.commit(lease, tokens), invalid_argument);
    CHECK(run_in_place(cache, lease, tokens).complete());
    CHECK(in_place_engine{cache}.can_read(cache.block_table(lease), tokens, 10));
    CHECK_SOUND(cache);
}

TEST_CASE("requests of one prompt that ran beside each other can hold it once") {
    host_cache cache{host_room(support::hybrid_model(), 100, 4)};
    sequence const prompt = numbered(1, 42); // ten blocks and half of one
    std::array<host_cache::lease, 3> leases;
    for (auto& lease : leases)
        lease = cache.acquire(cache.plan(cache.match({}, prompt)));
    for (auto const& lease : leases)
        REQUIRE(run_in_place(cache, lease, prompt).complete());
    CHECK(pages_used(cache) == 3 * 11);

    byte_count const page = cache.store().layout().page_bytes();
    CHECK(cache.deduplicate(leases[0]) == byte_count{}); // who was first
    CHECK(cache.deduplicate(leases[1]) == 10 * page);
    CHECK(cache.deduplicate(leases[2]) == 10 * page);
    CHECK(cache.deduplicate(leases[2]) == byte_count{});
    CHECK(pages_used(cache) == 10 + 3);
    CHECK_SOUND(cache);

    // They go on, each in a page of its own; what they share outlives the first.
    leases[0].release();
    in_place_engine engine{cache};
    for (std::size_t i : {std::size_t{1}, std::size_t{2}}) {
        sequence longer = prompt;
        longer.resize(50, static_cast<std::int32_t>(900 + i));
        REQUIRE(run_in_place(cache, leases[i], longer).complete());
        CHECK(engine.can_read(cache.block_table(leases[i]), longer, 50));
        (void)cache.deduplicate(leases[i]);
        CHECK(engine.can_read(cache.block_table(leases[i]), longer, 50));
        CHECK_SOUND(cache);
    }
    for (auto& lease : leases)
        lease.release();
    CHECK_SOUND(cache);
    cache.clear();
    CHECK(pages_used(cache) == 0);
}

TEST_CASE("a lease whose own pages were all given back reserves again before it goes on") {
    host_cache cache{host_room(support::hybrid_model(), 100, 4)};
    sequence const tokens = numbered(1, 48);
    sequence const half{tokens.begin(), tokens.begin() + 24};
    auto const lease = cache.acquire(cache.plan(cache.match({}, tokens)));
    REQUIRE(run_in_place(cache, lease, half).complete());
    CHECK(cache.deduplicate(lease) == byte_count{});
    CHECK(cache.block_table(lease).size() == 6);
    CHECK_THROWS_AS(cache.commit(lease, tokens), invalid_argument); // nothing is reserved
    REQUIRE(run_in_place(cache, lease, tokens).complete());
    CHECK(in_place_engine{cache}.can_read(cache.block_table(lease), tokens, 48));
    CHECK_SOUND(cache);
}

TEST_CASE("pages that only older block tables name are given back with duplicates") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789----"));
    REQUIRE(lease.resume_at() == 10_tokens);
    lease.let_go_checkpoint();
    (void)cache.reserve(lease, 14_tokens); // goes on in a copy of the block it resumed in
    cache.clear();
    REQUIRE(commit(cache, lease, text("0123456789----")).complete());
    CHECK(pages_used(cache) == 5); // three blocks of the path, the copy and one more
    CHECK(cache.deduplicate(lease) == cache.store().layout().page_bytes());
    CHECK(pages_used(cache) == 4);
    CHECK_SOUND(cache);
}

TEST_CASE("pages that only older block tables name are given back, even inside the first block") {
    small_cache cache{room_for(attention_only(), 100, 16)};
    serve(cache, "0123456789");
    auto const lease = acquire(cache, text("01234567----"));
    REQUIRE(lease.resume_at() == 8_tokens);
    (void)cache.reserve(lease, 12_tokens); // goes on in a copy of the only block
    cache.clear();
    REQUIRE(cache.commit(lease, text("01234567----")).complete());
    CHECK(pages_used(cache) ==
          2); // its path goes on in the copy, and it may still read the old one
    CHECK(cache.deduplicate(lease) == cache.store().layout().page_bytes());
    CHECK(pages_used(cache) == 1);
    CHECK_SOUND(cache);
}

TEST_CASE("a reservation that cannot be met evicts nothing, and covers what was free") {
    small_cache cache{room_for(attention_only(), 20)};
    serve(cache, numbered(1, 12));
    auto const lease = acquire(cache, numbered(2, 30));
    CHECK(cache.reserve(lease, 21_tokens) == 8_tokens);
    CHECK(cache.stats().evictions() == 0);
    CHECK(cache.reserve(lease, 20_tokens) == 20_tokens);
    CHECK(cache.stats().evictions() > 0);
    CHECK_SOUND(cache);
}

TEST_CASE("a reservation leaves others what it is asked to spare") {
    small_cache cache{room_for(hybrid(), 10, 4)}; // a checkpoint is a page here
    byte_count const page = cache.store().layout().page_bytes();
    CHECK(cache.store().layout().largest_checkpoint() == page);
    auto const lease = acquire(cache, numbered(1, 40));
    auto const reserve = [&](std::uint64_t tokens, byte_count spare) {
        return cache.reserve(lease, token_count{tokens}, {}, spare);
    };
    SECTION("free pages") {
        CHECK(reserve(28, page * 3) == 28_tokens);
        CHECK(reserve(29, page * 3) == 28_tokens);
        CHECK(reserve(40, page * 2 + byte_count{1}) == 28_tokens);
        CHECK(reserve(40, page) == 36_tokens);
        CHECK(reserve(34, page * 100) == 34_tokens); // there are pages for these
        CHECK(reserve(40, byte_count{} - byte_count{1}) == 36_tokens);
        CHECK(cache.stats().short_reserves == 4);
        CHECK(pages_used(cache) == 9);
    }
    SECTION("what can be evicted") {
        serve(cache, numbered(2, 12)); // three pages, and one of states
        CHECK(reserve(40, page) == 24_tokens);
        CHECK(cache.stats().evictions() == 0);
        CHECK(reserve(36, page) == 36_tokens);
        CHECK(cache.stats().evictions() > 0);
        CHECK(cache.obtainable(page) == page);
    }
    SECTION("so that a request that makes way can leave its state") {
        auto const late = acquire(cache, numbered(2, 40));
        std::array const end{cache::captured_state{16_tokens}};
        CHECK(reserve(20, page) == 20_tokens);
        CHECK(cache.reserve(late, 16_tokens, {}, page) == 16_tokens);
        CHECK(reserve(24, page) == 20_tokens);
        CHECK(cache.commit(late, numbered(2, 16), {.checkpoints = end}).complete());
        CHECK(look(cache, numbered(2, 40)).resumable == 16);
    }
    CHECK_SOUND(cache);
}

TEST_CASE("KV in the lease's own pages is published even if no state finds room") {
    footprint model = hybrid();
    model.state_pieces = {{.fixed_bytes = 4096}}; // four pages
    auto const committed = [&](std::uint64_t pages, std::vector<std::uint64_t> const& at) {
        small_cache cache{room_for(model, pages, 4)};
        auto const lease = acquire(cache, numbered(1, 41));
        REQUIRE(cache.reserve(lease, 40_tokens) == 40_tokens); // ten pages
        auto const states = states_at(at);
        auto const outcome = cache.commit(lease, numbered(1, 40), {.checkpoints = states});
        CHECK(outcome.position == 40_tokens);
        CHECK(outcome.declined_tokens == 0_tokens);
        CHECK(cache.match({}, numbered(1, 41)).matched == 40_tokens);
        CHECK_SOUND(cache);
        return outcome.stored_checkpoints;
    };
    CHECK(committed(13, {20, 40}) == 0);
    CHECK(committed(14, {20, 40}) == 1);
    CHECK(committed(17, {20, 40}) == 1);
    CHECK(committed(18, {20, 40}) == 2);
}

TEST_CASE("and so is what of a sequence lies in such pages") {
    small_cache cache{room_for(hybrid(), 3, 4)};
    auto const lease = acquire(cache, numbered(1, 11));
    REQUIRE(cache.reserve(lease, 8_tokens) == 8_tokens);
    auto const states = states_at({10});
    // Room for a third block, or for the state.
    auto const outcome = cache.commit(lease, numbered(1, 10), {.checkpoints = states});
    CHECK(outcome.position == 8_tokens);
    CHECK(outcome.declined_tokens == 2_tokens);
    CHECK(outcome.declined_checkpoints == 1);
    CHECK_SOUND(cache);
}

TEST_CASE("reserved pages are adopted, and indices handed out never change") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    auto lease = acquire(cache, text("0123456789abcdef"));
    (void)cache.reserve(lease, 10_tokens);
    auto const before = cache.block_table(lease);
    CHECK(commit(cache, lease, text("012345"), {6}).stored_tokens == 6_tokens);
    CHECK(cache.block_table(lease) == before);
    CHECK(pages_used(cache) == 3 + 1);
    serve(cache, "0123-");      // cuts the node in two, inside a block
    serve(cache, "012345----"); // goes another way from inside a block
    cache.clear();              // the node is whole again
    CHECK(cache.holds().nodes == 1);
    CHECK(cache.block_table(lease) == before);
    (void)cache.reserve(lease, 14_tokens);
    CHECK(commit(cache, lease, text("0123456789abcd"), {14}).stored_tokens == 8_tokens);
    auto const after = cache.block_table(lease);
    CHECK(after.size() == 4);
    CHECK(std::equal(before.begin(), before.end(), after.begin()));
    CHECK_SOUND(cache);
    lease.release();
    auto const reader = acquire(cache, text("0123456789abcdef"));
    CHECK(cache.block_table(reader) == after);
}

TEST_CASE("a block table goes on from any block") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789abcdef");
    serve(cache, "01234567----"); // cuts the first at a block's end
    auto const lease = acquire(cache, text("0123456789abcdef--"));
    REQUIRE(lease.resume_at() == 16_tokens);
    (void)cache.reserve(lease, 22_tokens);
    auto const whole = cache.block_table(lease);
    REQUIRE(whole.size() == 6);
    for (std::ptrdiff_t first = 0; first <= std::ssize(whole); ++first)
        CHECK(cache.block_table(lease, static_cast<std::size_t>(first)) ==
              page_list{whole.begin() + first, whole.end()});
    CHECK(cache.block_table(lease, 7).empty());
    CHECK(cache.block_table(lease, std::size_t{1} << 40).empty());
}

TEST_CASE("pages of what another request published first stay the lease's until release") {
    small_cache cache{room_for(hybrid(), 100)};
    auto const one = acquire(cache, text("0123456789"));
    auto other = acquire(cache, text("0123456789"));
    (void)cache.reserve(one, 10_tokens);
    (void)cache.reserve(other, 10_tokens);
    auto const pages = cache.block_table(other);
    CHECK(pages_used(cache) == 20);
    (void)commit(cache, one, text("0123456789"), {10});
    CHECK(pages_used(cache) == 22);
    auto const outcome = commit(cache, other, text("0123456789"), {10});
    CHECK(outcome.stored_tokens == 0_tokens);
    CHECK(outcome.known_checkpoints == 1);
    CHECK(pages_used(cache) == 22);
    CHECK(cache.block_table(other) == pages);
    CHECK(cache.block_table(one) != pages);
    CHECK_SOUND(cache);
    other.release();
    CHECK(pages_used(cache) == 12);
    CHECK_SOUND(cache);
}

TEST_CASE("KV written in place is read by later requests") {
    for (std::uint64_t const block : {1u, 4u, 7u, 16u}) {
        CAPTURE(block);
        host_cache cache{host_room(support::attention_model(), 200, block)};
        in_place_engine engine{cache};
        sequence const tokens = text("the quick brown fox jumps over the lazy dog");

        auto const lease = acquire(cache, tokens);
        CHECK(run_in_place(cache, lease, first(tokens, 10)).stored_tokens == 10_tokens);
        CHECK(run_in_place(cache, lease, first(tokens, 13)).stored_tokens == 3_tokens);
        CHECK(run_in_place(cache, lease, tokens).stored_tokens == 30_tokens);
        CHECK(engine.can_read(cache.block_table(lease), tokens, tokens.size()));

        // From inside a block: the first of it is copied, for this lease alone to go on.
        sequence const branch = first(tokens, 14) + text("ad road");
        auto const fork = acquire(cache, branch);
        CHECK(fork.resume_at() == 14_tokens);
        CHECK(engine.can_read(cache.block_table(fork), branch, 14));
        CHECK(run_in_place(cache, fork, branch).stored_tokens == 7_tokens);
        CHECK(engine.can_read(cache.block_table(fork), branch, branch.size()));
        CHECK(engine.can_read(cache.block_table(lease), tokens, tokens.size()));

        // An engine with memory of its own may restore it.
        support::engine_request copy{cache.store().layout().model()};
        auto const reader = acquire(cache, branch + text("s"));
        CHECK(reader.resume_at() == token_count{branch.size()});
        cache.restore(reader, copy.kv(), copy.state());
        CHECK(copy.holds(branch, branch.size()));
        CHECK_SOUND(cache);
    }
}

TEST_CASE("KV that a copying request committed is read in place") {
    host_cache cache{host_room(support::attention_model(), 200, 4)};
    sequence const tokens = text("the quick brown fox");
    support::engine_request engine{cache.store().layout().model()};
    engine.compute(tokens, 0, tokens.size());
    auto lease = acquire(cache, tokens);
    (void)cache.commit(lease, first(tokens, 6), {.kv = engine.kv()});
    (void)cache.commit(lease, tokens, {.kv = engine.kv()});
    CHECK(in_place_engine{cache}.can_read(cache.block_table(lease), tokens, tokens.size()));
    // From here on the same lease works in place.
    sequence const more = tokens + text(" jumps");
    CHECK(run_in_place(cache, lease, more).stored_tokens == 6_tokens);
    CHECK(in_place_engine{cache}.can_read(cache.block_table(lease), more, more.size()));
    CHECK_SOUND(cache);
}

TEST_CASE("who has the first rows restores the others") {
    host_cache cache{host_room(support::hybrid_model(), 200, 4)};
    sequence const tokens = text("the quick brown fox");
    support::engine_request engine{cache.store().layout().model()};
    engine.compute(tokens, 0, tokens.size());
    auto state = engine.state_at(tokens, tokens.size());
    std::vector<std::byte*> pieces;
    for (auto& piece : state)
        pieces.push_back(piece.data());
    std::array const states{
        cache::captured_state{.position = token_count{tokens.size()}, .state = {pieces}}};
    (void)cache.commit(acquire(cache, tokens), tokens, {.kv = engine.kv(), .checkpoints = states});

    auto const lease = acquire(cache, tokens + text(" jumps"));
    CHECK(lease.resume_at() == token_count{tokens.size()});
    for (std::size_t const from : {1u, 7u, 8u, 18u, 19u}) {
        support::engine_request copy{cache.store().layout().model()};
        copy.compute(tokens, 0, from);
        cache.restore(lease, copy.kv(), copy.state(), {}, token_count{from});
        CHECK(copy.holds(tokens, tokens.size()));
    }
    support::engine_request copy{cache.store().layout().model()};
    cache.restore(lease, copy.kv(), copy.state(), {}, 1_tokens);
    CHECK_FALSE(copy.holds(tokens, tokens.size()));
    CHECK_THROWS_WITH(cache.restore(lease, copy.kv(), copy.state(), {}, 20_tokens),
                      "from is 20; expected at most resume_at, 19");
}

TEST_CASE("what another cache holds is restored into pages that a lease has reserved") {
    host_cache slow{host_room(support::attention_model(), 200, 16)};
    host_cache fast{host_room(support::attention_model(), 200, 4)};
    sequence const tokens = text("the quick brown fox jumps over the lazy dog");
    support::engine_request engine{slow.store().layout().model()};
    engine.compute(tokens, 0, tokens.size());
    (void)slow.commit(acquire(slow, tokens), tokens, {.kv = engine.kv()});
    (void)fast.commit(acquire(fast, tokens), first(tokens, 10), {.kv = engine.kv()});

    sequence const prompt = first(tokens, 37) + text(" cat");
    auto const better = acquire(slow, prompt);
    auto const lease = acquire(fast, prompt);
    CHECK(lease.resume_at() == 10_tokens);
    CHECK(better.resume_at() == 37_tokens);
    CHECK(fast.reserve(lease, token_count{prompt.size()}) == token_count{prompt.size()});
    auto const table = fast.block_table(lease);
    auto const layers =
        memory::layers_in_pages(fast.store().layout(), fast.store().page(page_id{0}).data());
    auto const blocks = memory::as_blocks(table);
    slow.restore(better, {layers, blocks, 4}, {}, {}, lease.resume_at());
    CHECK(in_place_engine{fast}.can_read(table, prompt, 37));
    CHECK(fast.commit(lease, first(prompt, 37)).stored_tokens == 27_tokens);
    CHECK(run_in_place(fast, lease, prompt).stored_tokens == 4_tokens);
    CHECK_SOUND(fast);
}

TEST_CASE("a recurrent model has no pages to hand out") {
    small_cache cache{room_for(recurrent_only(), 10)};
    auto const lease = acquire(cache, text("0123456789"));
    CHECK(cache.reserve(lease, 1000_tokens) == 1000_tokens);
    CHECK(cache.block_table(lease).empty());
    CHECK(pages_used(cache) == 0);
}

TEST_CASE("the same calls hand out the same pages") {
    auto const play = [] {
        small_cache cache{room_for(hybrid(), 60, 4)};
        std::vector<std::uint32_t> pages;
        std::uint64_t state = 1;
        auto const below = [&](std::uint64_t n) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            return (state >> 33) % n;
        };
        for (int i = 0; i < 500; ++i) {
            auto const tokens =
                first(numbered(static_cast<std::int32_t>(below(9)), 30), 1 + below(20)) +
                numbered(static_cast<std::int32_t>(below(3)), below(9));
            auto const lease = acquire(cache, tokens);
            if (below(2)) (void)cache.reserve(lease, token_count{tokens.size()});
            if (tokens.size() > lease.position().value())
                (void)commit(cache, lease, tokens, {tokens.size()});
            for (page_id const page : cache.block_table(lease))
                pages.push_back(page.value());
        }
        CHECK(cache.stats().evictions() > 100);
        return std::pair{pages, inventory(cache)};
    };
    auto const first_time = play();
    CHECK(first_time.first.size() > 1000);
    CHECK(play() == first_time);
}

TEST_CASE("a lease that let go of its KV has no pages to hand out") {
    small_cache cache{room_for(hybrid(), 100, 4)};
    serve(cache, "0123456789");
    auto lease = acquire(cache, text("0123456789abcdef"));
    (void)cache.reserve(lease, 16_tokens);
    CHECK(cache.block_table(lease).size() == 4);
    lease.let_go_kv();
    CHECK(cache.block_table(lease).empty());
    CHECK(pages_used(cache) == 4);
    // Once it has committed again, it has those.
    CHECK(commit(cache, lease, text("0123456789abcd"), {14}).stored_tokens == 4_tokens);
    CHECK(cache.block_table(lease).size() == 4);
    CHECK(cache.reserve(lease, 18_tokens) == 18_tokens);
    CHECK(cache.block_table(lease).size() == 5);
    CHECK_SOUND(cache);
}

TEST_CASE("a reservation after a commit that went past the one before") {
    host_cache cache{host_room(support::attention_model(), 200, 16)};
    auto const& model = cache.store().layout().model();
    sequence const tokens = numbered(1, 100);
    support::engine_request engine{model};
    engine.compute(tokens, 0, tokens.size());
    auto lease = acquire(cache, tokens);
    CHECK(cache.reserve(lease, 32_tokens) == 32_tokens);
    (void)cache.commit(lease, first(tokens, 60), {.kv = engine.kv()});
    CHECK(run_in_place(cache, lease, first(tokens, 80)).stored_tokens == 20_tokens);
    CHECK(in_place_engine{cache}.can_read(cache.block_table(lease), tokens, 80));
    lease.release();

    support::engine_request copy{model};
    auto const reader = acquire(cache, tokens);
    CHECK(reader.resume_at() == 80_tokens);
    cache.restore(reader, copy.kv(), copy.state());
    CHECK(copy.holds(tokens, 80));
    CHECK_SOUND(cache);
}
