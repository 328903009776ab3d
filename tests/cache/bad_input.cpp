// Arguments that contradict the contract are refused in words, and the cache is as it was.

#include <cache/short_requests.hpp>

#include <marconi/memory/host_store.hpp>

#include <support/brought.hpp>
#include <support/engine.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include <sys/mman.h>

using namespace cache_tests;
using support::brought;

namespace {

using host_cache = cache::prefix_cache<memory::host_store, policy::branch_and_tail, policy::lru>;

footprint const& engine_model() {
    static footprint const model = support::hybrid_model();
    return model;
}

host_cache small_host_cache(footprint const& model = engine_model()) {
    memory::page_options const cut = blocks_of(4);
    return host_cache{
        memory::host_store{model, memory::page_layout{model, cut}.page_bytes() * 100, cut}};
}

/// The call throws Error with a message, and changes nothing.
template <class Error, class Cache, class Call>
std::string refusal(Cache& cache, Call&& call) {
    std::string const before = inventory(cache, false);
    auto const commits = cache.stats().commits;
    auto const requests = cache.stats().requests;
    auto const evictions = cache.stats().evictions();
    std::string const message = message_of<Error>(call);
    CHECK(inventory(cache, false) == before);
    CHECK(cache.stats().commits == commits);
    CHECK(cache.stats().requests == requests);
    CHECK(cache.stats().evictions() == evictions);
    CHECK_SOUND(cache);
    return message;
}

template <class Call>
std::string invalid(Call&& call) {
    return message_of<invalid_argument>(call);
}

template <class Quantity>
concept takes_minus_one = requires {
    Quantity{-1};
};

constexpr std::uint64_t minus_one = ~std::uint64_t{0}; // as it comes out of a cast

} // namespace

TEST_CASE("no sizes below zero, cast or not") {
    STATIC_REQUIRE_FALSE(takes_minus_one<token_count>);
    STATIC_REQUIRE_FALSE(takes_minus_one<byte_count>);
    CHECK(invalid([] { room_for(hybrid(), 10, minus_one); }) ==
          "block_tokens is 18446744073709551615; expected 1 to 256");
    CHECK(invalid([] {
              memory::ledger_store{hybrid(), byte_count{minus_one}, blocks_of(1)};
          }) == "capacity in bytes is 18446744073709551615; expected at most 4294967294 pages of "
                "this model, 256 each");
    small_cache cache{room_for(hybrid(), 10)};
    serve(cache, "abc");
    CHECK(refusal<invalid_argument>(cache, [&] {
              (void)cache.match({}, text("abcd"), {.limit = token_count{minus_one}});
          }) == "limit is 18446744073709551615; expected at most the prompt's length, 4");
}

TEST_CASE("an empty prompt has a life, too, and leaves nothing behind") {
    small_cache cache{room_for(hybrid(), 10)};
    serve(cache, "abc");
    std::string const before = inventory(cache, false);
    sequence const empty;
    auto const match = cache.match({}, empty);
    CHECK(match.matched == 0_tokens);
    CHECK(match.resumable == 0_tokens);
    CHECK(cache.plan(match).captures.at.empty());
    {
        auto lease = cache.open({}, empty);
        CHECK(lease.resume_at() == 0_tokens);
        CHECK_FALSE(lease.should_capture(0_tokens, true));
        cache::commit_outcome const outcome = cache.commit(lease, empty, {});
        CHECK(outcome.complete());
        CHECK(outcome.stored_tokens == 0_tokens);
    }
    CHECK(inventory(cache, false) == before);
    CHECK_SOUND(cache);
}

TEST_CASE("blocks of 1 to 256 tokens") {
    CHECK(invalid([] { room_for(hybrid(), 10, 0); }) == "block_tokens is 0; expected 1 to 256");
    CHECK(invalid([] { room_for(hybrid(), 10, 257); }) == "block_tokens is 257; expected 1 to 256");
    CHECK_NOTHROW(room_for(hybrid(), 10, 256));
}

TEST_CASE("a capacity of one page or more, and of no more than can be numbered") {
    std::string const beyond = "capacity in bytes is 9223372036854775808; expected at most "
                               "4294967294 pages of this model, 256 each";
    CHECK(invalid([] {
              memory::ledger_store{hybrid(), 255_B, blocks_of(1)};
          }) == "capacity in bytes is 255; expected at least one page of this model, 256");
    CHECK(invalid([] {
              memory::host_store{hybrid(), 0_B, blocks_of(1)};
          }) == "capacity in bytes is 0; expected at least one page of this model, 256");
    CHECK(invalid([] {
              memory::ledger_store{hybrid(), byte_count{1ull << 63}, blocks_of(1)};
          }) == beyond);
    CHECK(invalid([] {
              memory::host_store{hybrid(), byte_count{1ull << 63}, blocks_of(1)};
          }) == beyond);
    CHECK(invalid([] { memory::page_pool{1ull << 60}; }) ==
          "capacity in pages is 1152921504606846976; expected 1 to 4294967294");
}

TEST_CASE("a cache of one page works, and holds next to nothing") {
    small_cache smallest{room_for(hybrid(), 1)};
    CHECK(serve(smallest, "a").stored_tokens == 0_tokens);
    CHECK(smallest.holds().capacity == 256_B);
    CHECK_SOUND(smallest);
}

TEST_CASE("footprints whose sizes do not fit 64 bits") {
    auto const overflow = [](footprint model, std::uint64_t block) {
        return message_of<size_overflow>([&] {
            memory::ledger_store{std::move(model), 1_GiB, blocks_of(block)};
        });
    };
    CHECK(overflow({.kv_layers = {{1ull << 62, 0}}}, 16) ==
          "KV block: 4611686018427387904 * 16 does not fit 64 bits");
    CHECK(overflow({.kv_layers = {{1ull << 63, 1ull << 63}}}, 1) ==
          "KV block: 9223372036854775808 + 9223372036854775808 does not fit 64 bits");
    CHECK(overflow({.kv_layers = {{256, 0}}, .state_pieces = {{0, 1ull << 40, 1ull << 40}}}, 1) ==
          "window: 1099511627776 * 1099511627776 does not fit 64 bits");
    CHECK(overflow({.kv_layers = {{256, 0}}, .state_pieces = {{1ull << 63}, {1ull << 63}}}, 1)
              .find("checkpoint: ") == 0);
}

TEST_CASE("FLOPs of 0 or more, and finite") {
    auto const refused = [](flop_curve flops) {
        footprint model = hybrid();
        model.flops = std::move(flops);
        return invalid([&] { memory::ledger_store{model, 1_GiB}; });
    };
    double const infinite = std::numeric_limits<double>::infinity();
    CHECK(refused({.per_token = -1}) == "flops.per_token is -1; expected 0 or more, and finite");
    CHECK(refused({.per_token = -1e-9}) ==
          "flops.per_token is -1e-09; expected 0 or more, and finite");
    CHECK(refused({.per_pair = infinite}).find("flops.per_pair is inf") == 0);
    CHECK(refused({.per_pair = 1e300}).find("flops of the longest sequence is inf") == 0);
    CHECK(refused({.per_token = 1e192}).find("; expected at most 1e200") != std::string::npos);
    CHECK(refused({.windows = {{16, std::nan("")}}}).find("per_pair of a window in flops is ") ==
          0);
}

TEST_CASE("a footprint of something, and a page size of some multiple of 256") {
    CHECK(invalid([] {
              memory::ledger_store{footprint{}, 1_GiB};
          }) == "footprint is empty; expected a model with KV, or checkpoints, or both");
    CHECK(invalid([] {
              memory::ledger_store{recurrent_only(), 1_GiB, {.page_bytes = 0_B}};
          }) == "page_bytes is 0; expected a multiple of 256, at least 256");
    CHECK(invalid([] {
              memory::ledger_store{recurrent_only(), 1_GiB, {.page_bytes = 300_B}};
          }) == "page_bytes is 300; expected a multiple of 256, at least 256");
}

TEST_CASE("a checkpoint grid of 1 or more") {
    CHECK(invalid([] {
              small_cache{room_for(hybrid(), 10), {.checkpoint_grid = 0_tokens}};
          }) == "checkpoint_grid is 0; expected at least 1");
}

TEST_CASE("a policy and a store that are nobody else's") {
    counting_cache<policy::lru> one{room_for(hybrid(), 100)};
    serve(one, "0123456789");
    REQUIRE(one.eviction().size() == 1);
    CHECK(invalid([&] {
              counting_cache<policy::lru>{room_for(hybrid(), 100), {}, {}, one.eviction()};
          }) == "eviction.size() is 1; expected 0: a policy of its own, not another cache's");
    CHECK(invalid([&] { counting_cache<policy::lru>{one.store()}; }) ==
          "store.pages().used() is 12; expected 0: a store of its own");
}

TEST_CASE("a commit that is refused is no tick of the clock") {
    small_cache cache{room_for(hybrid(), 100)}, other{room_for(hybrid(), 100)};
    auto const lease = acquire(cache, text("0123456789"));
    auto const foreign = acquire(other, text("0123456789"));
    commit(cache, lease, text("01234567"));
    tick const before = cache.internals().now();
    CHECK_THROWS_AS(cache.commit(lease, text("0123")), invalid_argument);
    CHECK_THROWS_AS(commit(cache, lease, text("0123456789"), {11}), invalid_argument);
    CHECK_THROWS_AS(cache.commit(lease, text("abcdefgh")), contract_violation);
    CHECK_THROWS_AS(cache.commit(foreign, text("01234567")), contract_violation);
    CHECK_THROWS_AS(cache.commit({}, text("01234567")), contract_violation);
    CHECK(cache.internals().now() == before);
    commit(cache, lease, text("0123456789"));
    CHECK(cache.internals().now() == before + tick{1});
}

TEST_CASE("a limit within the prompt") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "abc");
    CHECK(refusal<invalid_argument>(cache, [&] {
              (void)cache.match({}, text("abc"), {.limit = 4_tokens});
          }) == "limit is 4; expected at most the prompt's length, 3");
    CHECK(refusal<invalid_argument>(cache, [&] {
              (void)cache.match({}, {}, {.limit = 1_tokens});
          }) == "limit is 1; expected at most the prompt's length, 0");
}

TEST_CASE("a sequence at least as long as what the lease has committed, and with its tokens") {
    small_cache cache{room_for(hybrid(), 100)};
    auto lease = acquire(cache, text("0123456789"));
    commit(cache, lease, text("012345"), {6});
    CHECK(refusal<invalid_argument>(cache, [&] { commit(cache, lease, text("01234")); }) ==
          "tokens.size() is 5; expected at least the lease's position, 6");
    CHECK(refusal<invalid_argument>(cache, [&] { commit(cache, lease, {}); }) ==
          "tokens.size() is 0; expected at least the lease's position, 6");
    CHECK(refusal<contract_violation>(cache, [&] { commit(cache, lease, text("01234-6789")); }) ==
          "commit: the tokens before position 6 are not those that the lease stands on");
    CHECK(refusal<invalid_argument>(cache, [&] {
              (void)cache.commit(lease, text("0123456789"), {.kv_from = 7_tokens});
          }) == "kv_from is 7; expected at most the lease's position, 6");
    // It goes on as if nothing had been.
    CHECK(commit(cache, lease, text("0123456789"), {10}).stored_tokens == 4_tokens);
}

TEST_CASE("the tokens that a lease stands on, however short its last edge") {
    small_cache cache{room_for(hybrid(), 100)};
    commit(cache, acquire(cache, text("012345")), text("012345"), {5, 6});
    auto const lease = acquire(cache, text("012345678"));
    REQUIRE(lease.resume_at() == 6_tokens);
    for (char const* other : {"-12345678", "0123-5678", "01234-678"})
        CHECK(refusal<contract_violation>(cache, [&] { commit(cache, lease, text(other)); }) ==
              "commit: the tokens before position 6 are not those that the lease stands on");
    CHECK(commit(cache, lease, text("012345678"), {9}).stored_tokens == 3_tokens);
}

TEST_CASE("the tokens that a lease stood on when it let go of its KV") {
    small_cache cache{room_for(hybrid(), 1000)};
    sequence const whole = numbered(1, 100);
    commit(cache, acquire(cache, whole), first(whole, 70), {30, 70});
    auto lease = acquire(cache, whole);
    REQUIRE(lease.resume_at() == 70_tokens);
    lease.let_go_kv();
    for (std::size_t const other : {6u, 29u, 30u, 69u}) { // of the last 64
        sequence changed = whole;
        changed[other] = -1;
        CHECK(refusal<contract_violation>(cache, [&] { commit(cache, lease, changed); }) ==
              "commit: the tokens before position 70 are not those that the lease stands on");
    }
    sequence swapped = whole;
    std::swap(swapped[40], swapped[41]);
    CHECK_THROWS_AS(commit(cache, lease, swapped), contract_violation);
    // What is new alone, as if the rest were known.
    CHECK_THROWS_AS(commit(cache, lease, numbered(2, 100)), contract_violation);
    lease.let_go_kv(); // twice is once
    CHECK(commit(cache, lease, first(whole, 90), {90}).stored_tokens == 20_tokens);
    lease.let_go_kv();
    CHECK_THROWS_AS(commit(cache, lease, first(whole, 89) + numbered(3, 1)), contract_violation);
    CHECK(commit(cache, lease, whole, {100}).stored_tokens == 10_tokens);
}

TEST_CASE("checkpoints from the lease's position on, within the tokens, ascending") {
    small_cache cache{room_for(hybrid(), 100)};
    auto const lease = acquire(cache, text("0123456789"));
    commit(cache, lease, text("0123"), {4});
    auto const refused = [&](std::vector<std::uint64_t> const& positions) {
        return refusal<invalid_argument>(
            cache, [&] { commit(cache, lease, text("01234567"), positions); });
    };
    std::string const early = "; expected at least the lease's position, 4, and more than 0 (what "
                              "lies before it is stored)";
    CHECK(refused({0}) == "checkpoint position is 0" + early);
    CHECK(refused({3}) == "checkpoint position is 3" + early);
    CHECK(refused({9}) == "checkpoint position is 9; expected at most the tokens committed, 8");
    CHECK(refused({7, 6}) == "checkpoint position is 6; expected more than the one before, 7");
    CHECK(refused({6, 6}) == "checkpoint position is 6; expected more than the one before, 6");
    CHECK(refused({5, 1ull << 40}) ==
          "checkpoint position is 1099511627776; expected at most the tokens committed, 8");
    CHECK(commit(cache, lease, text("01234567"), {5, 8}).stored_checkpoints == 2);
}

TEST_CASE("no checkpoints for a model without per-position state") {
    small_cache cache{room_for(attention_only(), 100)};
    auto const lease = acquire(cache, text("0123"));
    CHECK(refusal<invalid_argument>(cache, [&] { commit(cache, lease, text("0123"), {4}); }) ==
          "number of checkpoints is 1; expected 0: this model's footprint has no per-position "
          "state");
}

TEST_CASE("KV in a view or in reserved pages") {
    auto cache = small_host_cache(support::attention_model());
    auto const lease = acquire(cache, text("0123456789"));
    CHECK(
        refusal<invalid_argument>(cache, [&] { (void)cache.commit(lease, text("0123456789")); }) ==
        "commit: tokens [0, 10) are neither in the kv view nor all in pages that the lease "
        "reserved; it has reserved none");
    (void)cache.reserve(lease, 8_tokens);
    CHECK(
        refusal<invalid_argument>(cache, [&] { (void)cache.commit(lease, text("0123456789")); }) ==
        "commit: tokens [0, 10) are neither in the kv view nor all in pages that the lease "
        "reserved; these end at token 8");
    CHECK(cache.commit(lease, text("01234567")).stored_tokens == 8_tokens);
    CHECK(
        refusal<invalid_argument>(cache, [&] { (void)cache.commit(lease, text("0123456789")); }) ==
        "commit: tokens [8, 10) are neither in the kv view nor all in pages that the lease "
        "reserved; these end at token 8");
}

TEST_CASE("views that fit the model, in a commit") {
    auto cache = small_host_cache();
    bool const full = GENERATE(false, true); // a refusal evicts nothing, then, either
    for (char c = 'a'; full && cache.stats().evictions() == 0; ++c) {
        sequence const other(40, c);
        brought b{engine_model(), other, {40}};
        auto const lease = acquire(cache, other);
        (void)cache.commit(lease, other, {.kv = b.engine.kv(), .checkpoints = b.captured});
    }
    sequence const tokens = text("0123456789");
    brought b{engine_model(), tokens, {5, 10}};
    auto const lease = acquire(cache, tokens);
    auto const refused = [&](memory::kv_view kv,
                             std::vector<cache::captured_state> const& captured) {
        return refusal<invalid_argument>(
            cache, [&] { (void)cache.commit(lease, tokens, {.kv = kv, .checkpoints = captured}); });
    };
    SECTION("the number of layers") {
        CHECK(refused({b.engine.kv().layers.first(1)}, b.captured) ==
              "number of layers in the kv_view is 1; expected 2");
    }
    SECTION("a layer's pointers") {
        std::vector<memory::kv_layer_view> layers{b.engine.kv().layers.begin(),
                                                  b.engine.kv().layers.end()};
        layers[0].value = nullptr;
        CHECK(refused({layers}, b.captured) == "kv_view: the value of layer 0 is a null pointer");
        layers[0] = b.engine.kv().layers[0];
        layers[1].key = nullptr;
        CHECK(refused({layers}, b.captured) == "kv_view: the key of layer 1 is a null pointer");
    }
    SECTION("blocks for all tokens") {
        std::vector<std::int32_t> const blocks{0, 1};
        CHECK(refused({b.engine.kv().layers, blocks, 4}, b.captured) ==
              "number of blocks in the kv_view is 2; expected at least 3, for 10 tokens");
    }
    SECTION("the number of pieces") {
        b.captured[1].state = {std::span{b.pieces[1]}.first(1)};
        CHECK(refused(b.engine.kv(), b.captured) ==
              "number of pieces in the state_view is 1; expected 2");
    }
    SECTION("no state at all") {
        b.captured[0].state = {};
        CHECK(refused(b.engine.kv(), b.captured) ==
              "number of pieces in the state_view is 0; expected 2");
    }
    SECTION("a piece's pointer") {
        b.pieces[1][1] = nullptr;
        CHECK(refused(b.engine.kv(), b.captured) == "state_view: piece 1 is a null pointer");
    }
    b = brought{engine_model(), tokens, {5, 10}};
    auto const outcome =
        cache.commit(lease, tokens, {.kv = b.engine.kv(), .checkpoints = b.captured});
    CHECK(outcome.stored_tokens == 10_tokens);
    CHECK(outcome.stored_checkpoints == 2);
}

TEST_CASE("a view of what others published meanwhile, which goes to reserved pages, too") {
    auto cache = small_host_cache();
    sequence const tokens = text("0123456789ab");
    brought b{engine_model(), tokens, {12}};
    auto const commit_all = [&](host_cache::lease const& lease, memory::kv_view kv) {
        return cache.commit(lease, tokens, {.kv = kv, .checkpoints = b.captured});
    };
    auto const lease = acquire(cache, tokens);
    (void)cache.reserve(lease, 12_tokens);
    CHECK(commit_all(acquire(cache, tokens), b.engine.kv()).stored_tokens == 12_tokens);
    std::vector<memory::kv_layer_view> const none(2);
    CHECK(refusal<invalid_argument>(cache, [&] { (void)commit_all(lease, {none}); }) ==
          "kv_view: the key of layer 0 is a null pointer");
    CHECK(commit_all(lease, b.engine.kv()).complete());
}

TEST_CASE("a view that does not fit shows even where all is known") {
    auto cache = small_host_cache();
    sequence const tokens = text("0123456789");
    brought b{engine_model(), tokens, {10}};
    (void)cache.commit(acquire(cache, tokens), tokens,
                       {.kv = b.engine.kv(), .checkpoints = b.captured});
    std::vector<memory::kv_layer_view> layers{b.engine.kv().layers.begin(),
                                              b.engine.kv().layers.end()};
    layers[1].heads = 0;
    auto const lease = acquire(cache, tokens);
    CHECK(refusal<invalid_argument>(cache, [&] {
              (void)cache.commit(lease, tokens, {.kv = {layers}});
          }).find("kv_view: the keys and values of layer 1 do not part into 0") == 0);
}

TEST_CASE("views that fit the model, in a restore") {
    auto cache = small_host_cache();
    sequence const tokens = text("0123456789");
    {
        brought b{engine_model(), tokens, {10}};
        auto const lease = acquire(cache, tokens);
        (void)cache.commit(lease, tokens, {.kv = b.engine.kv(), .checkpoints = b.captured});
    }
    support::engine_request engine{engine_model()};
    auto const lease = acquire(cache, tokens + text("a"));
    REQUIRE(lease.resume_at() == 10_tokens);
    CHECK(refusal<invalid_argument>(cache, [&] {
              cache.restore(lease, {engine.kv().layers.first(1)}, engine.state());
          }) == "number of layers in the kv_view is 1; expected 2");
    CHECK(refusal<invalid_argument>(cache, [&] { cache.restore(lease, engine.kv(), {}); }) ==
          "number of pieces in the state_view is 0; expected 2");
    CHECK_FALSE(engine.holds(tokens, 10));
    cache.restore(lease, engine.kv(), engine.state());
    CHECK(engine.holds(tokens, 10));
}

TEST_CASE("a restore of what the lease still holds") {
    std::string expected = "restore: the lease has let go of its checkpoint, as a commit does "
                           "that goes on from it";
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "0123");
    auto lease = acquire(cache, text("0123456"));
    memory::kv_layer_view const layer{};
    memory::kv_view const kv{{&layer, 1}};
    cache.restore(lease, kv, {});
    SECTION("not the checkpoint that was let go") { lease.let_go_checkpoint(); }
    SECTION("not the KV that was let go") {
        lease.let_go_kv();
        expected = "restore: the lease has let go of its KV";
        CHECK_NOTHROW(cache.restore(lease, {}, {})); // the checkpoint alone
    }
    SECTION("not what it came from, once it went on") { commit(cache, lease, text("01234")); }
    CHECK(refusal<contract_violation>(cache, [&] { cache.restore(lease, kv, {}); }) == expected);
    auto const fresh = acquire(cache, text("other"));
    CHECK_NOTHROW(cache.restore(fresh, {}, {})); // nothing to do
}

TEST_CASE("a reservation for more than what was committed, and for less than 2^31 tokens") {
    small_cache cache{room_for(hybrid(), 100)};
    auto lease = acquire(cache, text("0123456"));
    commit(cache, lease, text("0123"));
    CHECK(refusal<invalid_argument>(cache, [&] { cache.reserve(lease, 3_tokens); }) ==
          "tokens is 3; expected at least the lease's position, 4, less than 2^31");
    CHECK(refusal<invalid_argument>(cache, [&] { cache.reserve(lease, 2'147'483'648_tokens); }) ==
          "tokens is 2147483648; expected at least the lease's position, 4, less than 2^31");
    CHECK(cache.reserve(lease, 2'147'483'647_tokens) == 100_tokens);
    lease.let_go_kv();
    CHECK(refusal<contract_violation>(cache, [&] { cache.reserve(lease, 5_tokens); }) ==
          "reserve: the lease has let go of its KV");
}

TEST_CASE("a lease that holds something, of this cache") {
    small_cache cache{room_for(hybrid(), 100)};
    small_cache other{room_for(hybrid(), 100)};
    auto foreign = acquire(other, text("0123"));
    auto moved = acquire(cache, text("0123"));
    auto const taken = std::move(moved);
    auto released = acquire(cache, text("0123"));
    released.release();
    small_cache::lease const empty;
    using leases = std::vector<small_cache::lease const*>;
    for (auto const* lease : leases{&foreign, &moved, &released, &empty}) {
        auto const refused = [&](auto&& call) {
            return refusal<contract_violation>(cache, call) ==
                   (*lease ? "the lease is of another cache"
                           : "the lease is empty: stale, released or moved from");
        };
        CHECK(refused([&] { commit(cache, *lease, text("0123")); }));
        CHECK(refused([&] { cache.restore(*lease, {}, {}); }));
        CHECK(refused([&] { (void)cache.block_table(*lease); }));
        CHECK(refused([&] { cache.reserve(*lease, 4_tokens); }));
    }
    for (auto const* lease : leases{&moved, &released, &empty}) {
        auto const refused = [&](auto&& call) {
            return refusal<contract_violation>(cache, call) ==
                   "the lease is empty: stale, released or moved from";
        };
        CHECK(refused([&] { (void)lease->resume_at(); }));
        CHECK(refused([&] { (void)lease->position(); }));
        CHECK(refused([&] { (void)lease->capture_at(); }));
        CHECK(refused([&] { (void)lease->should_capture(1_tokens); }));
        CHECK(lease->stale());
    }
}

TEST_CASE("a plan of this cache") {
    small_cache cache{room_for(hybrid(), 100)};
    small_cache other{room_for(hybrid(), 100)};
    auto const plan = other.plan(other.match({}, text("0123")));
    CHECK(refusal<contract_violation>(cache, [&] { (void)cache.acquire(plan); }) ==
          "acquire: the plan was not made by this cache");
}

TEST_CASE("a weight of 0 to a million") {
    small_cache cache{room_for(hybrid(), 100)};
    serve(cache, "abcd");
    auto plan = cache.plan(cache.match({}, text("abcde")));
    tick const now = cache.internals().now();
    for (double const weight : {-1.0, std::nextafter(cache::largest_weight, HUGE_VAL), HUGE_VAL,
                                std::numeric_limits<double>::quiet_NaN()}) {
        std::string const why = "weight is ";
        CHECK_THAT(refusal<invalid_argument>(
                       cache, [&] { (void)cache.match({}, text("abcde"), {.weight = weight}); }),
                   Catch::StartsWith(why));
        plan.match.weight = weight;
        CHECK_THAT(refusal<invalid_argument>(cache, [&] { (void)cache.acquire(plan); }),
                   Catch::StartsWith(why) && Catch::EndsWith("; expected 0 to 1,000,000"));
    }
    CHECK(cache.internals().now() == now);
    for (double const weight : {-0.0, 1e-300, cache::largest_weight}) {
        plan.match.weight = weight;
        CHECK(cache.acquire(plan).resume_at() == token_count{4});
    }
}

TEST_CASE("a plan of this cache, not of one that was here before it") {
    std::optional<small_cache> cache;
    auto const begin_anew = [&] {
        cache.emplace(room_for(hybrid(), 100));
        serve(*cache, "0123");
    };
    begin_anew();
    auto const plan = cache->plan(cache->match({}, text("01234")));
    begin_anew();
    CHECK(refusal<contract_violation>(*cache, [&] { (void)cache->acquire(plan); }) ==
          "acquire: the plan was not made by this cache");
}

TEST_CASE("a prompt, and a sequence, of fewer than 2^31 tokens") {
    using byte_cache = cache::prefix_cache<memory::ledger_store, policy::branch_and_tail,
                                           policy::lru, cache::no_observer, std::uint8_t>;
    std::size_t const too_many = std::size_t{1} << 31;
    void* const memory = mmap(nullptr, too_many, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); // not touched
    REQUIRE(memory != MAP_FAILED);
    std::span const tokens{static_cast<std::uint8_t const*>(memory), too_many};
    byte_cache cache{room_for(attention_only(), 100)};
    CHECK(refusal<invalid_argument>(cache, [&] { (void)cache.match({}, tokens); }) ==
          "prompt.size() is 2147483648; expected less than 2^31");
    auto const lease = cache.acquire(cache.plan(cache.match({}, tokens.first(10))));
    CHECK(refusal<invalid_argument>(cache, [&] { (void)cache.commit(lease, tokens); }) ==
          "tokens.size() is 2147483648; expected less than 2^31");
    CHECK(cache.commit(lease, tokens.first(too_many - 1)).stored_tokens == 100_tokens);
    munmap(memory, too_many);
}
