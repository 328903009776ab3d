// One index that orders copies from ranks, beside ranks that each decide for themselves: the same
// pages must hold the same bytes.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/concurrent_cache.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/copy_order.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/memory/rank_memory.hpp>
#include <marconi/memory/relay_store.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using memory::copy_order;
using memory::host_store;
using memory::kv_view;
using memory::rank_memory;
using memory::relay_store;
using memory::request_tag;
using memory::state_view;
using support::engine_request;
using support::sequence;

namespace {

constexpr std::uint64_t pages = 40;
constexpr memory::page_options in_blocks{.block_tokens = 4_tokens, .page_bytes = 256_B};

byte_count capacity_for(footprint const& model) {
    return memory::page_layout{model, in_blocks}.page_bytes() * pages;
}

/// What a rank computes: every rank sees other numbers for the same tokens.
sequence seen_by(int rank, sequence tokens) {
    for (auto& token : tokens)
        token += 1000 * rank;
    return tokens;
}

/// The memory of one request on one rank, and the states it copied.
struct rank_request {
    explicit rank_request(footprint const& model) : own{model} {}

    void capture(sequence const& tokens, token_count position) {
        captured[position] = own.state_at(tokens, position.value());
    }
    bool holds_state(sequence const& tokens, std::size_t position) {
        auto const right = own.state_at(tokens, position);
        for (std::size_t p = 0; p < right.size(); ++p)
            if (!std::ranges::equal(right[p], std::span{own.state().pieces[p], right[p].size()}))
                return false;
        return true;
    }
    /// What it answers with is gone at the next call.
    state_view state_at(token_count position, bool of_a_copy) {
        if (!of_a_copy) return own.state();
        pieces.clear();
        for (auto& piece : captured.at(position))
            pieces.push_back(piece.data());
        return {pieces};
    }

    engine_request own;
    std::map<token_count, std::vector<std::vector<std::byte>>> captured{};
    std::vector<std::byte*> pieces{};
};

/// A rank that obeys an index, and one beside it that decides for itself.
struct rank {
    rank(int n, footprint const& model)
        : number{n},
          memory{host_store{model, capacity_for(model), in_blocks}},
          replica{host_store{model, capacity_for(model), in_blocks}} {
        for (std::uint32_t p = 0; p < pages; ++p) { // padding and rows that nobody writes
            std::ranges::fill(memory.store().page(page_id{p}), std::byte{});
            std::ranges::fill(replica.store().page(page_id{p}), std::byte{});
        }
    }

    void carry_out(copy_order const& order, rank_request& request) {
        memory.carry_out(order, request.own.kv(), [&](token_count position) {
            return request.state_at(position, order.what == copy_order::action::save);
        });
    }
    [[nodiscard]] bool same_bytes() const {
        for (std::uint32_t p = 0; p < replica.store().pages().touched(); ++p)
            if (!std::ranges::equal(memory.store().page(page_id{p}),
                                    replica.store().page(page_id{p})))
                return false;
        return true;
    }

    int number;
    rank_memory<host_store> memory;
    cache::prefix_cache<host_store> replica;
};

/// What the scheduler and two ranks do with random requests of few different tokens.
class parallel_engine {
public:
    explicit parallel_engine(footprint model)
        : model_{std::move(model)},
          index_{relay_store{model_, capacity_for(model_), in_blocks,
                             [this](copy_order const& order) { deliver(order); }}} {
        ranks_.reserve(2);
        for (int number = 0; number < 2; ++number)
            ranks_.emplace_back(std::make_unique<rank>(number, model_));
    }

    void serve(sequence const& tokens, bool in_place) {
        ++tag_.value;
        for (std::size_t r = 0; r < ranks_.size(); ++r)
            requests_.emplace_back(model_);
        auto lease = index_.acquire(index_.plan(index_.match({}, tokens)));
        kv_view const kv = in_place ? kv_view{} : relay_store::kv_on_ranks();
        index_.restore(lease, kv, {}, tag_);
        if (in_place &&
            index_.reserve(lease, token_count{tokens.size()}, tag_).value() != tokens.size()) {
            for (auto& r : ranks_)
                decide_alone(*r, tokens, in_place);
            requests_.clear();
            return;
        }
        std::vector<token_count> wanted(lease.capture_at().begin(), lease.capture_at().end());
        if (lease.should_capture(token_count{tokens.size()}, true))
            wanted.emplace_back(tokens.size());
        auto const table = index_.block_table(lease);
        for (auto& r : ranks_)
            compute(*r, request_of(*r), tokens, lease.resume_at().value(), wanted,
                    in_place ? &table : nullptr);

        std::vector<cache::captured_state> captured;
        for (token_count const position : wanted)
            captured.push_back({position});
        index_.commit(lease, tokens, {.kv = kv, .checkpoints = captured}, tag_);
        for (auto& r : ranks_) {
            decide_alone(*r, tokens, in_place);
            CHECK(r->same_bytes());
        }
        requests_.clear();
        resumed += lease.resume_at();
    }

    [[nodiscard]] cache::prefix_cache<relay_store> const& index() const { return index_; }

    token_count resumed{};
    std::uint64_t orders = 0;
    std::uint64_t blocks_copied = 0;

private:
    rank_request& request_of(rank const& r) {
        return requests_[static_cast<std::size_t>(r.number)];
    }

    void deliver(copy_order const& order) {
        CHECK(order.request == tag_);
        ++orders;
        blocks_copied += order.what == copy_order::action::copy_block;
        for (auto& r : ranks_)
            r->carry_out(order, request_of(*r));
    }

    /// "Computes" from `begin` on, in the request's memory or in the pages that a table names.
    void compute(rank& r, rank_request& request, sequence const& tokens, std::size_t begin,
                 std::vector<token_count> const& wanted, std::vector<page_id> const* table) {
        sequence const seen = seen_by(r.number, tokens);
        if (begin > 0) CHECK(request.holds_state(seen, begin));
        if (table) {
            write_rows(r.memory.store(), *table, request, seen, begin);
        } else {
            if (begin > 0) CHECK(request.own.holds(seen, begin));
            request.own.compute(seen, begin, seen.size());
        }
        for (token_count const position : wanted)
            request.capture(seen, position);
    }
    void write_rows(host_store const& store, std::vector<page_id> const& table,
                    rank_request& request, sequence const& seen, std::size_t begin) {
        auto const& layout = store.layout();
        for (std::size_t t = begin; t < seen.size() && !table.empty(); ++t)
            for (std::size_t l = 0; l < model_.kv_layers.size(); ++l) {
                auto const page = store.page(table[t / 4]);
                std::ranges::copy(request.own.row(seen, t, l, 0),
                                  page.data() + layout.key_offset(l, t % 4));
                std::ranges::copy(request.own.row(seen, t, l, 1),
                                  page.data() + layout.value_offset(l, t % 4));
            }
    }

    /// The same request, on the rank's own cache.
    void decide_alone(rank& r, sequence const& tokens, bool in_place) {
        rank_request request{model_};
        auto lease = r.replica.acquire(r.replica.plan(r.replica.match({}, tokens)));
        kv_view const kv = in_place ? kv_view{} : request.own.kv();
        r.replica.restore(lease, kv, request.own.state());
        if (in_place &&
            r.replica.reserve(lease, token_count{tokens.size()}).value() != tokens.size())
            return;
        sequence const seen = seen_by(r.number, tokens);
        if (in_place)
            write_rows(r.replica.store(), r.replica.block_table(lease), request, seen,
                       lease.resume_at().value());
        else
            request.own.compute(seen, lease.resume_at().value(), seen.size());
        std::vector<cache::captured_state> captured;
        std::list<std::vector<std::byte*>> pieces;
        auto const capture = [&](token_count position) {
            request.capture(seen, position);
            auto const view = request.state_at(position, true);
            captured.push_back(
                {position, {pieces.emplace_back(view.pieces.begin(), view.pieces.end())}});
        };
        std::ranges::for_each(lease.capture_at(), capture);
        if (lease.should_capture(token_count{tokens.size()}, true))
            capture(token_count{tokens.size()});
        r.replica.commit(lease, tokens, {.kv = kv, .checkpoints = captured});
    }

    footprint model_;
    request_tag tag_;
    std::vector<std::unique_ptr<rank>> ranks_;
    std::vector<rank_request> requests_;
    cache::prefix_cache<relay_store> index_;
};

/// An index whose orders go to a function of the test's.
relay_store relay_to(std::function<void(copy_order)> send) {
    auto const model = support::hybrid_model();
    return {model, capacity_for(model), in_blocks, std::move(send)};
}

sequence random_sequence(std::mt19937& random) {
    sequence tokens(1 + random() % 60);
    for (std::size_t t = 0; t < tokens.size(); ++t)
        tokens[t] = static_cast<std::int32_t>(t % 7 == 3 ? random() % 2 : t % 5);
    return tokens;
}

} // namespace

TEST_CASE("ranks that obey one index hold what ranks that decide for themselves hold") {
    std::mt19937 random{17};
    for (footprint const& model :
         {support::hybrid_model(), support::attention_model(), support::recurrent_model()}) {
        INFO(model.model);
        parallel_engine engine{model};
        for (int i = 0; i < 150; ++i)
            engine.serve(random_sequence(random), random() % 2 == 0);
        CHECK(cache::audit(engine.index()).empty());
        CHECK(engine.resumed > 1000_tokens);
        CHECK(engine.index().stats().evictions() > 10);
        CHECK(engine.orders > 150);
        if (!model.kv_layers.empty()) CHECK(engine.blocks_copied > 10);
    }
}

TEST_CASE("orders say what to copy, and for whom") {
    std::vector<copy_order> orders;
    cache::prefix_cache index{
        relay_to([&](copy_order order) { orders.push_back(std::move(order)); })};
    sequence const tokens{1, 2, 3, 4, 5, 6};
    std::vector<cache::captured_state> const tail{{6_tokens}};
    auto const kv = relay_store::kv_on_ranks();
    {
        auto lease = index.acquire(index.plan(index.match({}, tokens)));
        index.restore(lease, kv, {}, request_tag{1});
        CHECK(orders.empty()); // there is nothing to resume from
        index.commit(lease, tokens, {.kv = kv, .checkpoints = tail}, request_tag{1});
    }
    sequence longer = tokens;
    longer.push_back(7);
    auto lease = index.acquire(index.plan(index.match({}, longer)));
    index.restore(lease, kv, {}, request_tag{2});
    index.restore(lease, {}, {}, request_tag{3}); // the state alone
    kv_view one_layer = kv;
    one_layer.only = memory::layer_range{1, 1};
    index.restore(lease, one_layer, {}, request_tag{5});
    one_layer.only->first = 2;
    CHECK_THROWS_AS(index.restore(lease, one_layer, {}, request_tag{5}), invalid_argument);
    lease.let_go_checkpoint();
    CHECK(index.reserve(lease, 7_tokens, request_tag{4}) == 7_tokens);

    std::vector<page_id> const blocks = index.block_table(lease);
    auto const& state = orders.at(0).states.at(0);
    std::uint64_t const layout = index.store().layout().fingerprint();
    CHECK(orders == std::vector<copy_order>{
                        {.number = 1,
                         .previous = 0,
                         .layout = layout,
                         .what = copy_order::action::save,
                         .request = {1},
                         .kv_begin = 0_tokens,
                         .kv_end = 6_tokens,
                         .kv_pages = {blocks[0], orders.at(0).kv_pages.at(1)},
                         .states = {{6_tokens, state.pages}}},
                        {.number = 2,
                         .previous = 1,
                         .layout = layout,
                         .what = copy_order::action::load,
                         .request = {2},
                         .kv_begin = 0_tokens,
                         .kv_end = 6_tokens,
                         .kv_pages = orders.at(0).kv_pages,
                         .states = {{6_tokens, state.pages}}},
                        {.number = 3,
                         .previous = 2,
                         .layout = layout,
                         .what = copy_order::action::load,
                         .request = {3},
                         .states = {{6_tokens, state.pages}}},
                        {.number = 4,
                         .previous = 3,
                         .layout = layout,
                         .what = copy_order::action::load,
                         .request = {5},
                         .kv_begin = 0_tokens,
                         .kv_end = 6_tokens,
                         .kv_pages = orders.at(0).kv_pages,
                         .kv_layers = memory::layer_range{1, 1}},
                        {.number = 5,
                         .previous = 4,
                         .layout = layout,
                         .what = copy_order::action::copy_block,
                         .request = {4},
                         .from = orders.at(0).kv_pages.at(1),
                         .to = blocks[1]},
                    });
    CHECK(state.pages.size() == index.store().layout().checkpoint_pages(6_tokens));
}

TEST_CASE("a rank loads those layers that the order names") {
    footprint const model = support::hybrid_model();
    rank_request request{model};
    sequence const tokens{1, 2, 3, 4, 5, 6};
    rank_memory memory{host_store{model, capacity_for(model), in_blocks}};
    cache::prefix_cache index{relay_to([&](copy_order const& order) {
        memory.carry_out(order, request.own.kv(), [&](token_count position) {
            return request.state_at(position, order.what == copy_order::action::save);
        });
    })};
    request.own.compute(tokens, 0, 6);
    request.capture(tokens, 6_tokens);
    std::vector<cache::captured_state> const tail{{6_tokens}};
    auto lease = index.open({}, tokens);
    index.commit(lease, tokens, {.kv = relay_store::kv_on_ranks(), .checkpoints = tail},
                 request_tag{});

    request.own = engine_request{model}; // what it had is gone
    lease = index.open({}, tokens, {.limit = 6_tokens});
    for (std::size_t const layer : {1u, 0u}) {
        CHECK_FALSE(request.own.holds_kv(tokens, 6));
        kv_view one = relay_store::kv_on_ranks();
        one.only = memory::layer_range{layer, 1};
        index.restore(lease, one, {}, request_tag{});
    }
    CHECK(request.own.holds_kv(tokens, 6));
    CHECK_FALSE(request.holds_state(tokens, 6));
}

TEST_CASE("an order that cannot be sent leaves the index as it was") {
    bool broken = true;
    cache::prefix_cache index{relay_to([&](copy_order const&) {
        if (broken) throw std::runtime_error{"no link"};
    })};
    sequence const tokens{1, 2, 3, 4, 5, 6};
    std::vector<cache::captured_state> const tail{{6_tokens}};
    cache::computed const brought{.kv = relay_store::kv_on_ranks(), .checkpoints = tail};
    auto lease = index.acquire(index.plan(index.match({}, tokens)));
    CHECK_THROWS_AS(index.commit(lease, tokens, brought, request_tag{1}), std::runtime_error);
    CHECK(index.holds().used == 0_B);
    CHECK(cache::audit(index).empty());
    broken = false;
    CHECK(index.commit(lease, tokens, brought, request_tag{1}).complete());
}

TEST_CASE("what does not fit together is refused by name") {
    auto const model = support::hybrid_model();
    auto const capacity = capacity_for(model);
    auto const refusal = [](auto&& call) -> std::string {
        try {
            call();
        } catch (invalid_argument const& e) {
            return e.what();
        }
        return "accepted";
    };
    auto const ignore = [](copy_order const&) {};
    CHECK(refusal([&] {
              relay_store{model, capacity, in_blocks, {}};
          }) == "send is empty; expected a function");
    CHECK(refusal([&] {
              relay_store{model, 1_B, in_blocks, ignore};
          }) == "capacity in bytes is 1; expected at least one page of this model, 256");
    CHECK(refusal([&] {
              relay_store{model, capacity, {.zero_freed_pages = true}, ignore};
          }) == "zero_freed_pages is true; expected false: relay_store cannot do it");

    CHECK(refusal([&] {
              rank_memory{host_store{model, capacity, {.zero_freed_pages = true}}};
          }) == "zero_freed_pages is true; expected false: it is the index that frees pages");

    rank_memory memory{host_store{model, capacity, in_blocks}};
    std::uint64_t const layout = memory.store().layout().fingerprint();
    auto const no_state = [](token_count) { return state_view{}; };
    std::string const too_far = "a page of the copy_order is 40; expected less than 40, this "
                                "rank's pages: the index needs the same capacity";
    page_id const here{39}, beyond{40};
    std::uint64_t number = 0;
    auto const order = [&](copy_order o) {
        if (o.layout == 0) o.layout = layout;
        o.number = ++number;
        return refusal([&] { memory.carry_out(o, {}, no_state); });
    };
    using action = copy_order::action;
    CHECK(order({.what = action::copy_block, .from = here, .to = page_id{0}}) == "accepted");
    CHECK(order({.what = action::copy_block, .from = beyond, .to = here}) == too_far);
    CHECK(order({.what = action::copy_block, .from = here, .to = beyond}) == too_far);
    CHECK(order({.what = action::load, .kv_end = 4_tokens, .kv_pages = {beyond}}) == too_far);
    CHECK(order({.what = action::save, .kv_layers = memory::layer_range{0, 1}}) ==
          "kv_layers of the copy_order is some; expected nothing, where it is no load");
    CHECK(order({.what = action::save, .states = {{4_tokens, {here, beyond}}}}) == too_far);
    CHECK(order({.what = action::load, .kv_end = 4_tokens, .kv_pages = {here}}) ==
          "number of layers in the kv_view is 0; expected 2");
    CHECK(order({.what = action::load, .states = {{4_tokens, {here}}, {5_tokens, {here}}}}) ==
          "number of states to load is 2; expected at most 1");
    CHECK(order({.what = static_cast<action>(9)}) ==
          "action of the copy_order is 9; expected load, save or copy_block");
    CHECK(order({.layout = 7}) == "layout of the copy_order is 7; expected " +
                                      std::to_string(layout) +
                                      ": index and rank need the same footprint and options");
}

TEST_CASE("orders that are lost, or come out of turn, are noticed") {
    auto const model = support::hybrid_model();
    rank_memory memory{host_store{model, capacity_for(model), in_blocks}};
    auto const carry_out = [&](std::uint64_t number, std::uint64_t previous) {
        try {
            memory.carry_out({.number = number,
                              .previous = previous,
                              .layout = memory.store().layout().fingerprint(),
                              .what = copy_order::action::copy_block,
                              .from = page_id{0},
                              .to = page_id{1}},
                             {}, [](token_count) { return state_view{}; });
        } catch (contract_violation const& e) {
            return std::string{e.what()};
        }
        return std::string{"carried out"};
    };
    CHECK(carry_out(0, 0) == "carry_out: order 0, sent after 0, came after 0");
    CHECK(carry_out(1, 0) == "carried out");
    CHECK(carry_out(2, 1) == "carried out");
    CHECK(carry_out(2, 1) == "carry_out: order 2, sent after 1, came after 2"); // twice
    CHECK(carry_out(4, 2) == "carried out"); // 3 failed, and did not come here
    CHECK(carry_out(5, 4) == "carried out");
    CHECK(carry_out(6, 4) == "carried out"); // 5 failed, and came here
    CHECK(carry_out(8, 7) == "carry_out: order 8, sent after 7, came after 6"); // 7 is missing
    CHECK(carry_out(3, 2) == "carry_out: order 3, sent after 2, came after 6");
    memory.start_after(7);
    CHECK(carry_out(8, 7) == "carried out");
}

TEST_CASE("a rank that failed to save goes on, once what it should have saved is forgotten") {
    footprint const model = support::hybrid_model();
    rank_memory memory{host_store{model, capacity_for(model), in_blocks}};
    rank_request request{model};
    bool fails = false;
    cache::prefix_cache index{
        relay_store{model, capacity_for(model), in_blocks, [&](copy_order const& order) {
                        if (fails) return memory.start_after(order.number);
                        bool const saves = order.what == copy_order::action::save;
                        memory.carry_out(order, request.own.kv(), [&](token_count position) {
                            return request.state_at(position, saves);
                        });
                    }}};
    sequence const all = seen_by(1, sequence(20, 7));
    auto const serve = [&](std::size_t size) {
        sequence const tokens{all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size)};
        request = rank_request{model};
        auto const lease = index.open({}, tokens);
        std::size_t const begin = lease.resume_at().value();
        index.restore(lease, relay_store::kv_on_ranks(), {}, request_tag{size});
        if (begin > 0) CHECK(request.own.holds(tokens, begin) == !fails);
        request.own.compute(tokens, begin, size);
        request.capture(tokens, token_count{size});
        std::vector<cache::captured_state> const end{{token_count{size}}};
        index.commit(lease, tokens, {.kv = relay_store::kv_on_ranks(), .checkpoints = end},
                     request_tag{size});
        return begin;
    };
    auto const held = GENERATE(10u, 12u);
    CHECK(serve(held) == 0);
    fails = true;
    CHECK(serve(17) == held);
    fails = false;
    CHECK(index.match({}, all).resumable == 17_tokens); // as the index believes
    // What was saved begins with the rows of its first block that were there before.
    token_count const block = index.store().layout().block_tokens() * 1_tokens;
    index.forget({}, all, token_count{held} / block * block);
    CHECK(serve(18) == (held == 12 ? 12u : 0u));
    CHECK(serve(19) == 18);
}

TEST_CASE("a rank keeps no view of a window once it has the next one") {
    footprint const model{.state_pieces = {{.window = 4, .bytes_per_window_token = 8}}};
    rank_memory memory{host_store{model, 1_MiB, {.page_bytes = byte_count{256}}}};
    std::vector<std::byte> rows(3 * 3 * 8); // three blocks of three rows
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = static_cast<std::byte>(i);
    std::vector<std::byte*> pieces{rows.data()};
    std::vector<marconi::memory::window_view> windows{{.row_stride = 8, .block_stride = 24}};
    std::vector<std::int32_t> table;
    bool const own = GENERATE(false, true); // whether the table is that window's own
    auto const rows_in_blocks = [&](token_count position) {
        table = position == 5_tokens ? std::vector<std::int32_t>{2, 0}
                                     : std::vector<std::int32_t>{1, 2, 0};
        if (!own) return state_view{pieces, windows, table, 3, 3};
        windows[0].blocks = table;
        return state_view{pieces, windows, {}, 3, 3};
    };
    copy_order order{.number = 1,
                     .layout = memory.store().layout().fingerprint(),
                     .what = copy_order::action::save,
                     .states = {{5_tokens, {page_id{0}}}, {7_tokens, {page_id{1}}}}};
    memory.carry_out(order, {}, rows_in_blocks);

    std::vector<std::byte> found(32);
    std::byte* const to = found.data();
    auto const row_of = [&](std::size_t i) { return std::to_integer<int>(found[8 * i]); };
    auto const load = [&](std::size_t state) {
        order.previous = order.number++;
        memory.carry_out({.number = order.number,
                          .previous = order.previous,
                          .layout = order.layout,
                          .what = copy_order::action::load,
                          .states = {order.states[state]}},
                         {}, [&](token_count) {
                             return state_view{{&to, 1}};
                         });
        return std::vector<int>{row_of(0), row_of(1), row_of(2), row_of(3)};
    };
    // Tokens 1 to 4, of blocks 2 and 0; tokens 3 to 6, of blocks 2 and 0.
    CHECK(load(0) == std::vector<int>{56, 64, 0, 8});
    CHECK(load(1) == std::vector<int>{48, 56, 64, 0});
}

TEST_CASE("numbers tell ranks what failed on its way and what was lost") {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> heard;
    bool broken = false;
    relay_store store = relay_to([&](copy_order const& order) {
        heard.emplace_back(order.number, order.previous);
        if (broken) throw std::runtime_error{"no link"};
    });
    auto const send = [&] { store.copy_block(page_id{0}, page_id{1}, request_tag{}); };
    send();
    send();
    broken = true;
    CHECK_THROWS_AS(send(), std::runtime_error);
    CHECK_THROWS_AS(send(), std::runtime_error);
    broken = false;
    send();
    send();
    using numbers = std::pair<std::uint64_t, std::uint64_t>;
    CHECK(heard == std::vector<numbers>{{1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 2}, {6, 5}});
    CHECK(store.last_order() == 6);
}

TEST_CASE("readers beside each other send one at a time, in the order of the numbers") {
    std::vector<std::uint64_t> numbers;
    std::size_t of_first = 0, of_second = 0;
    cache::concurrent_cache index{relay_to([&](copy_order const& order) {
        numbers.push_back(order.number);
        of_first += order.request == request_tag{1};
        of_second += order.request == request_tag{2};
    })};
    sequence const tokens{1, 2, 3, 4, 5, 6}, longer{1, 2, 3, 4, 5, 6, 7};
    std::vector<cache::captured_state> const tail{{6_tokens}};
    auto const kv = relay_store::kv_on_ranks();
    {
        auto lease = index.open({}, tokens);
        index.commit(lease, tokens, {.kv = kv, .checkpoints = tail}, request_tag{1});
    }
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t)
        readers.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                auto lease = index.open({}, longer);
                index.restore(lease, kv, {}, request_tag{2});
            }
        });
    for (auto& reader : readers)
        reader.join();
    CHECK(numbers.size() == 601);
    CHECK(of_first == 1);
    CHECK(of_second == 600);
    for (std::size_t n = 0; n < numbers.size(); ++n)
        CHECK(numbers[n] == n + 1);
}
