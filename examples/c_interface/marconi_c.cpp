// The C functions of marconi_c.h, each a call of the same name in C++ behind a guard that turns
// exceptions into return codes.

#include "marconi_c.h"

#include "events.hpp"

#include <marconi/marconi.hpp>

#ifndef MARCONI_C_PAGES // marconi_c.cu puts them on a device
#include "on_host.hpp"
#define MARCONI_C_PAGES c_interface::on_host
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace marconi;

using c_interface::event_list, c_interface::event_log, c_interface::to_log;
using pages_place = MARCONI_C_PAGES;
using store_type = pages_place::store_type;
using cache_type = concurrent_cache<learning_cache<store_type, spaced, to_log>>;

thread_local char last_error[1024] = "";

int failed(marconi_failure kind, char const* message) {
    std::snprintf(last_error, sizeof last_error, "%s", message);
    return kind;
}

/// Does the work; an exception becomes the return code.
template <class Work>
int guarded(Work&& work) noexcept {
    try {
        std::forward<Work>(work)();
        return MARCONI_OK;
    } catch (invalid_argument const& e) {
        return failed(MARCONI_INVALID_ARGUMENT, e.what());
    } catch (size_overflow const& e) {
        return failed(MARCONI_INVALID_ARGUMENT, e.what());
    } catch (contract_violation const& e) {
        return failed(MARCONI_CONTRACT_VIOLATION, e.what());
    } catch (std::bad_alloc const&) {
        return failed(MARCONI_OUT_OF_MEMORY, "out of memory");
    } catch (std::exception const& e) {
        return failed(MARCONI_OTHER_FAILURE, e.what());
    }
}

template <class T>
T& needed(T* pointer, char const* name) {
    if (!pointer) throw invalid_argument{std::string{name} + " is null"};
    return *pointer;
}

template <class T>
std::span<T> array(T* first, std::size_t count, char const* name) {
    if (count != 0) (void)needed(first, name);
    return {first, count};
}

std::uint32_t narrow(std::uint64_t number, char const* name) {
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    MARCONI_EXPECT(number <= most, name, number, "less than 2^32");
    return static_cast<std::uint32_t>(number);
}

scope scope_of(marconi_scope const& in) { return {in.tenant, in.adapter, in.revision}; }

/// Nothing for MARCONI_ALL_BUT_ONE and MARCONI_AFTER_ALL, which leave it to the cache.
std::optional<token_count> position_of(std::uint64_t given) {
    static_assert(MARCONI_ALL_BUT_ONE == MARCONI_AFTER_ALL);
    if (given == MARCONI_ALL_BUT_ONE) return {};
    return token_count{given};
}

match_options options_of(marconi_request const* request) {
    if (!request) return {};
    return {.limit = position_of(request->limit),
            .weight = request->weight,
            .answer_from = position_of(request->answer_from),
            .state_at = token_count{request->state_at},
            .counted = request->uncounted == 0};
}

footprint footprint_of(marconi_options const& options) {
    bool const by_hand = options.kv_layer_count || options.state_piece_count ||
                         options.window_flops_count || options.flops_per_token != 0 ||
                         options.flops_per_pair != 0;
    if (options.preset) {
        if (by_hand) throw invalid_argument{"options: a preset, or a model by hand, but not both"};
        std::uint64_t const ranks = options.tensor_parallel ? options.tensor_parallel : 1;
        return model::find_preset(options.preset).footprint({.tensor_parallel = ranks});
    }
    MARCONI_EXPECT(options.tensor_parallel <= 1, "tensor_parallel", options.tensor_parallel,
                   "0 or 1 without a preset: the bytes are one rank's");
    footprint model{.flops = {options.flops_per_token, options.flops_per_pair}};
    for (auto const& layer : array(options.kv_layers, options.kv_layer_count, "kv_layers"))
        model.kv_layers.push_back({layer.key_bytes, layer.value_bytes});
    for (auto const& piece : array(options.state_pieces, options.state_piece_count, "state_pieces"))
        model.state_pieces.push_back(
            {piece.fixed_bytes, piece.window, piece.bytes_per_window_token});
    for (auto const& term : array(options.window_flops, options.window_flops_count, "window_flops"))
        model.flops.windows.push_back({term.window, term.per_pair});
    return model;
}

store_type store_of(marconi_options const& options) {
    memory::page_options pages;
    if (options.block_tokens) pages.block_tokens = token_count{options.block_tokens};
    if (options.page_bytes) pages.page_bytes = byte_count{options.page_bytes};
    pages.zero_freed_pages = options.zero_freed_pages != 0;
    return pages_place::make_store(footprint_of(options), options, pages);
}

cache_options cache_options_of(marconi_options const& options) {
    return {.checkpoint_grid = token_count{options.checkpoint_grid ? options.checkpoint_grid : 1}};
}

tune::learning_options learning_options_of(marconi_options const& options) {
    tune::learning_options learning;
    if (options.shadow_multiple) learning.shadow_multiple = options.shadow_multiple;
    if (options.shadow_bytes) learning.shadow_memory = byte_count{options.shadow_bytes};
    return learning;
}

} // namespace

struct marconi_cache {
    explicit marconi_cache(marconi_options const& options)
        : events{options.event_bytes},
          cache{store_of(options), cache_options_of(options), learning_options_of(options),
                spaced{token_count{options.checkpoint_every},
                       {.before_answer = token_count{options.checkpoint_before_answer}}},
                to_log{&events}} {}

    event_log events;
    cache_type cache;
    store_type const& store = cache.store();
};

struct marconi_lease {
    marconi_cache& owner;
    cache_type::lease inner;

    [[nodiscard]] cache_type& cache() const { return owner.cache; }
};

namespace {

/// Views of the arrays that a caller hands over, for as long as a call takes.
class views_of {
public:
    explicit views_of(marconi_cache const& cache) : model_{cache.store.layout().model()} {}

    memory::kv_view kv(marconi_kv_view const* view) {
        if (!view) return {};
        MARCONI_EXPECT(view->layer_count == model_.kv_layers.size(), "layer_count",
                       view->layer_count, std::to_string(model_.kv_layers.size()));
        for (marconi_kv_layer_view const& layer :
             array(view->layers, view->layer_count, "layers of the kv view"))
            layers_.push_back({.key = static_cast<std::byte*>(layer.key),
                               .key_stride = layer.key_stride,
                               .value = static_cast<std::byte*>(layer.value),
                               .value_stride = layer.value_stride,
                               .heads = layer.heads ? narrow(layer.heads, "heads") : 1,
                               .key_head_stride = layer.key_head_stride,
                               .value_head_stride = layer.value_head_stride,
                               .key_block_stride = layer.key_block_stride,
                               .value_block_stride = layer.value_block_stride});
        return {.layers = layers_,
                .blocks = array(view->blocks, view->block_count, "blocks of the kv view"),
                .block_tokens = narrow(view->block_tokens, "block_tokens of the kv view"),
                .pool_blocks = narrow(view->pool_blocks, "pool_blocks of the kv view"),
                .only = some_layers(*view)};
    }

    memory::state_view state(marconi_state_view const& view) {
        MARCONI_EXPECT(view.piece_count == model_.state_pieces.size(), "piece_count",
                       view.piece_count, std::to_string(model_.state_pieces.size()));
        std::size_t const first = pieces_.size(), first_window = windows_.size();
        for (void* piece : array(view.pieces, view.piece_count, "pieces of the state view"))
            pieces_.push_back(static_cast<std::byte*>(piece));
        if (view.windows)
            for (marconi_window_view const& window : std::span{view.windows, view.piece_count})
                windows_.push_back(
                    {.row_stride = window.row_stride,
                     .block_stride = window.block_stride,
                     .blocks = array(window.blocks, window.block_count, "blocks of a window"),
                     .block_tokens = narrow(window.block_tokens, "block_tokens of a window")});
        return {.pieces = std::span{pieces_}.subspan(first),
                .windows = std::span{windows_}.subspan(first_window),
                .blocks = array(view.blocks, view.block_count, "blocks of the state view"),
                .block_tokens = narrow(view.block_tokens, "block_tokens of the state view"),
                .pool_blocks = narrow(view.pool_blocks, "pool_blocks of the state view")};
    }
    std::vector<captured_state> states(std::span<marconi_captured const> copies) {
        std::size_t const most = copies.size() * model_.state_pieces.size();
        pieces_.reserve(most); // the views point into these
        windows_.reserve(most);
        std::vector<captured_state> all;
        for (marconi_captured const& copy : copies)
            all.push_back({.position = token_count{copy.position}, .state = state(copy.state)});
        return all;
    }

private:
    static std::optional<memory::layer_range> some_layers(marconi_kv_view const& view) {
        MARCONI_EXPECT(view.first_layer == 0 || view.only_layers != 0, "first_layer",
                       view.first_layer, "0, since only_layers is 0");
        if (view.only_layers == 0) return std::nullopt;
        return memory::layer_range{.first = view.first_layer, .count = view.only_layers};
    }

    footprint const& model_;
    std::vector<memory::kv_layer_view> layers_;
    std::vector<std::byte*> pieces_;
    std::vector<memory::window_view> windows_;
};

} // namespace

char const* marconi_last_error() { return last_error; }

uint64_t marconi_interface_version() { return MARCONI_C_VERSION; }

int marconi_create(marconi_options const* options, marconi_cache** made) {
    return guarded([&] {
        auto const& wanted = needed(options, "options");
        marconi_cache*& to = needed(made, "made");
        to = new marconi_cache{wanted};
    });
}

int marconi_destroy(marconi_cache* cache) {
    return guarded([&] {
        if (cache && cache->cache.holds().leases != 0)
            throw contract_violation{"marconi_destroy: leases are open"};
        delete cache;
    });
}

int marconi_describe_pages(marconi_cache const* cache, marconi_pages* found) {
    return guarded([&] {
        store_type const& store = needed(cache, "cache").store;
        auto const& layout = store.layout();
        needed(found, "found") =
            marconi_pages{.memory = store.page(page_id{0}).data(),
                          .page_bytes = layout.page_bytes().value(),
                          .count = store.pages().capacity(),
                          .block_tokens = layout.block_tokens(),
                          .checkpoint_pages = layout.checkpoint_pages(token_count{most_tokens}),
                          .kv_layer_count = layout.model().kv_layers.size(),
                          .state_piece_count = layout.model().state_pieces.size()};
    });
}

int marconi_describe_layer(marconi_cache const* cache, size_t layer, marconi_layer_place* found) {
    return guarded([&] {
        auto const& layout = needed(cache, "cache").store.layout();
        auto const& layers = layout.model().kv_layers;
        MARCONI_EXPECT(layer < layers.size(), "layer", layer,
                       "less than " + std::to_string(layers.size()));
        needed(found, "found") =
            marconi_layer_place{.key_offset = layout.key_offset(layer, 0),
                                .value_offset = layout.value_offset(layer, 0),
                                .bytes = {layers[layer].key_bytes, layers[layer].value_bytes}};
    });
}

int marconi_describe_state(marconi_cache const* cache, size_t piece, marconi_state_piece* found) {
    return guarded([&] {
        auto const& pieces = needed(cache, "cache").store.layout().model().state_pieces;
        MARCONI_EXPECT(piece < pieces.size(), "piece", piece,
                       "less than " + std::to_string(pieces.size()));
        needed(found, "found") = marconi_state_piece{
            pieces[piece].fixed_bytes, pieces[piece].window, pieces[piece].bytes_per_window_token};
    });
}

int marconi_match(marconi_cache const* cache, marconi_scope const* in, int32_t const* tokens,
                  size_t count, marconi_request const* request, marconi_match_result* found) {
    return guarded([&] {
        marconi_cache const& of = needed(cache, "cache");
        match_result const is = of.cache.match(scope_of(needed(in, "in")),
                                               array(tokens, count, "tokens"), options_of(request));
        needed(found, "found") =
            marconi_match_result{.matched = is.matched.value(),
                                 .resumable = is.resumable.value(),
                                 .lost_past_limit = is.lost_past_limit().value(),
                                 .lost_without_checkpoint = is.lost_without_checkpoint().value()};
    });
}

int marconi_open(marconi_cache* cache, marconi_scope const* in, int32_t const* tokens, size_t count,
                 marconi_request const* request, marconi_lease** opened) {
    return guarded([&] {
        marconi_cache& of = needed(cache, "cache");
        marconi_lease*& to = needed(opened, "opened");
        to = new marconi_lease{of,
                               of.cache.open(scope_of(needed(in, "in")),
                                             array(tokens, count, "tokens"), options_of(request))};
    });
}

void marconi_close(marconi_lease* lease) { delete lease; }

uint64_t marconi_resume_at(marconi_lease const* lease) {
    return lease ? lease->inner.resume_at().value() : 0;
}

uint64_t marconi_position(marconi_lease const* lease) {
    return lease ? lease->inner.position().value() : 0;
}

size_t marconi_capture_at(marconi_lease const* lease, uint64_t* positions, size_t room) {
    if (!lease) return 0;
    auto const wanted = lease->inner.capture_at();
    for (std::size_t i = 0; positions && i < std::min(room, wanted.size()); ++i)
        positions[i] = wanted[i].value();
    return wanted.size();
}

int marconi_should_capture(marconi_lease const* lease, uint64_t position, int last) {
    return lease && lease->inner.should_capture(token_count{position}, last != 0);
}

int marconi_restore(marconi_lease const* lease, marconi_kv_view const* kv,
                    marconi_state_view const* state, uint64_t from, void* stream) {
    return guarded([&] {
        marconi_lease const& held = needed(lease, "lease");
        views_of views{held.owner};
        memory::state_view const to = state ? views.state(*state) : memory::state_view{};
        held.cache().restore(held.inner, views.kv(kv), to, pages_place::stream_of(stream),
                             token_count{from});
    });
}

int marconi_reserve(marconi_lease* lease, uint64_t tokens, uint64_t spare, void* stream,
                    uint64_t* covered) {
    return guarded([&] {
        marconi_lease& held = needed(lease, "lease");
        std::uint64_t& answer = needed(covered, "covered");
        answer = held.cache()
                     .reserve(held.inner, token_count{tokens}, pages_place::stream_of(stream),
                              byte_count{spare})
                     .value();
    });
}

int marconi_unreserve(marconi_lease* lease, uint64_t tokens) {
    return guarded([&] {
        marconi_lease& held = needed(lease, "lease");
        held.cache().unreserve(held.inner, token_count{tokens});
    });
}

int marconi_block_table(marconi_lease const* lease, size_t first, uint32_t* pages, size_t room,
                        size_t* count) {
    return guarded([&] {
        marconi_lease const& held = needed(lease, "lease");
        std::span<std::uint32_t> const to = array(pages, room, "pages");
        auto const table = held.cache().block_table(held.inner, first);
        needed(count, "count") = table.size();
        for (std::size_t i = 0; i < std::min(to.size(), table.size()); ++i)
            to[i] = table[i].value();
    });
}

int marconi_used_on(marconi_lease* lease, void* stream) {
    return guarded([&] { needed(lease, "lease").inner.used_on(pages_place::stream_of(stream)); });
}

int marconi_deduplicate(marconi_lease* lease, uint64_t* freed) {
    return guarded([&] {
        marconi_lease& held = needed(lease, "lease");
        byte_count const went = held.cache().deduplicate(held.inner);
        if (freed) *freed = went.value();
    });
}

int marconi_commit(marconi_lease* lease, int32_t const* tokens, size_t count,
                   marconi_kv_view const* kv, uint64_t kv_from, marconi_captured const* captured,
                   size_t captured_count, void* stream, marconi_outcome* outcome) {
    return guarded([&] {
        marconi_lease& held = needed(lease, "lease");
        views_of views{held.owner};
        auto const states = views.states(array(captured, captured_count, "captured"));
        commit_outcome const done = held.cache().commit(
            held.inner, array(tokens, count, "tokens"),
            {.kv = views.kv(kv), .checkpoints = states, .kv_from = token_count{kv_from}},
            pages_place::stream_of(stream));
        if (!outcome) return;
        *outcome = marconi_outcome{.position = done.position.value(),
                                   .stored_tokens = done.stored_tokens.value(),
                                   .declined_tokens = done.declined_tokens.value(),
                                   .stored_checkpoints = done.stored_checkpoints,
                                   .known_checkpoints = done.known_checkpoints,
                                   .declined_checkpoints = done.declined_checkpoints,
                                   .evicted_entries = done.evicted_entries,
                                   .evicted_bytes = done.evicted_bytes.value(),
                                   .forgotten = done.forgotten};
    });
}

void marconi_let_go_checkpoint(marconi_lease* lease) {
    if (lease) lease->inner.let_go_checkpoint();
}

void marconi_let_go_kv(marconi_lease* lease) {
    if (lease) lease->inner.let_go_kv();
}

int marconi_obtainable(marconi_cache const* cache, uint64_t wanted, uint64_t* bytes) {
    return guarded([&] {
        marconi_cache const& of = needed(cache, "cache");
        needed(bytes, "bytes") = of.cache.obtainable(byte_count{wanted}).value();
    });
}

int marconi_obtainable_for(marconi_cache const* cache, uint64_t wanted, marconi_scope const* in,
                           int32_t const* tokens, size_t count, marconi_request const* request,
                           uint64_t* bytes) {
    return guarded([&] {
        marconi_cache const& of = needed(cache, "cache");
        match_result const found = of.cache.match(
            scope_of(needed(in, "in")), array(tokens, count, "tokens"), options_of(request));
        needed(bytes, "bytes") = of.cache.obtainable(byte_count{wanted}, found).value();
    });
}

int marconi_evict(marconi_cache* cache, marconi_scope const* only, uint64_t bytes,
                  uint64_t* freed) {
    return guarded([&] {
        marconi_cache& of = needed(cache, "cache");
        byte_count const went = only ? of.cache.evict(scope_of(*only), byte_count{bytes})
                                     : of.cache.evict(byte_count{bytes});
        if (freed) *freed = went.value();
    });
}

int marconi_forget_unused(marconi_cache* cache, uint64_t since, uint64_t* freed) {
    return guarded([&] {
        byte_count const went = needed(cache, "cache").cache.forget_unused(tick{since});
        if (freed) *freed = went.value();
    });
}

int marconi_clear(marconi_cache* cache, marconi_scope const* only) {
    return guarded([&] {
        marconi_cache& of = needed(cache, "cache");
        if (only)
            of.cache.clear(scope_of(*only));
        else
            of.cache.clear();
    });
}

int marconi_forget(marconi_cache* cache, marconi_scope const* in, int32_t const* tokens,
                   size_t count, uint64_t from, uint64_t* freed) {
    return guarded([&] {
        marconi_cache& of = needed(cache, "cache");
        byte_count const bytes = of.cache.forget(scope_of(needed(in, "in")),
                                                 array(tokens, count, "tokens"), token_count{from});
        if (freed) *freed = bytes.value();
    });
}

int marconi_forget_scope(marconi_cache* cache, marconi_scope const* in, uint64_t* freed) {
    return guarded([&] {
        marconi_cache& of = needed(cache, "cache");
        byte_count const bytes = of.cache.forget(scope_of(needed(in, "in")));
        if (freed) *freed = bytes.value();
    });
}

int marconi_holds(marconi_cache const* cache, marconi_scope const* in, marconi_holdings* found) {
    return guarded([&] {
        scope_occupancy const has = needed(cache, "cache").cache.holds(scope_of(needed(in, "in")));
        needed(found, "found") = marconi_holdings{.tokens = has.tokens.value(),
                                                  .kv_bytes = has.kv.value(),
                                                  .checkpoint_bytes = has.checkpoints.value(),
                                                  .nodes = has.nodes,
                                                  .checkpoints = has.checkpoint_count};
    });
}

int marconi_scopes(marconi_cache const* cache, marconi_scope* list, size_t room, size_t* count) {
    return guarded([&] {
        std::vector<scope> const all = needed(cache, "cache").cache.scopes();
        std::span<marconi_scope> const to = array(list, room, "list");
        needed(count, "count") = all.size();
        for (std::size_t i = 0; i < std::min(to.size(), all.size()); ++i)
            to[i] = {all[i].tenant, all[i].adapter, all[i].revision};
    });
}

int marconi_read_stats(marconi_cache const* cache, marconi_stats* found) {
    return guarded([&] {
        marconi_cache const& of = needed(cache, "cache");
        counters const did = of.cache.stats();
        occupancy const has = of.cache.holds();
        needed(found, "found") =
            marconi_stats{.requests = did.requests,
                          .hits = did.hits,
                          .abandoned = did.abandoned,
                          .tokens_asked = did.tokens_asked.value(),
                          .tokens_matched = did.tokens_matched.value(),
                          .tokens_resumed = did.tokens_resumed.value(),
                          .lost_past_limit = did.tokens_lost_past_limit.value(),
                          .lost_without_checkpoint = did.tokens_lost_without_checkpoint.value(),
                          .flops_asked = did.flops_asked.value(),
                          .flops_saved = did.flops_saved.value(),
                          .commits = did.commits,
                          .declined_commits = did.declined_commits,
                          .short_reserves = did.short_reserves,
                          .evictions = did.evictions(),
                          .cleared = did.evictions(eviction_reason::clear),
                          .evicted_bytes = did.bytes_evicted.value(),
                          .capacity_bytes = has.capacity.value(),
                          .used_bytes = has.used.value(),
                          .kv_bytes = has.kv_and_leased.value(),
                          .checkpoint_bytes = has.checkpoints.value(),
                          .peak_bytes = has.peak.value(),
                          .metadata_bytes = has.metadata.value(),
                          .nodes = has.nodes,
                          .checkpoints = has.checkpoint_count,
                          .leases = has.leases,
                          .now = of.cache.now().value()};
    });
}

int marconi_read_learning(marconi_cache const* cache, marconi_learning* found) {
    return guarded([&] {
        marconi_cache const& of = needed(cache, "cache");
        of.cache.beside_readers([&](auto const& inner) {
            learning_report const report = inner.learning();
            spaced const& admission = inner.admission();
            bool const resumes_at_states = of.store.layout().model().has_checkpoints();
            needed(found, "found") = marconi_learning{
                .requests = report.requests,
                .flops_asked = report.by_odds.flops_asked.value(),
                .shadow_saved = report.shadow.flops_saved.value(),
                .odds_saved = report.by_odds.flops_saved.value(),
                .gdsf_saved = report.by_gdsf.flops_saved.value(),
                .rules_by_odds = inner.rules_by_odds(),
                .changes = report.changes,
                .spacing_pays = resumes_at_states && admission.every > token_count{},
                .before_answer_pays =
                    resumes_at_states && admission.base.before_answer > token_count{},
                .memory_bytes = report.memory.value(),
                .ended = !report.failure.empty()};
            if (found->ended) failed(MARCONI_OTHER_FAILURE, report.failure.c_str());
        });
    });
}

int marconi_audit(marconi_cache const* cache) {
    return guarded([&] {
        auto const faults = needed(cache, "cache").cache.beside_readers([](auto const& inner) {
            return audit(inner);
        });
        if (!faults.empty()) throw error{faults.front()};
    });
}

int marconi_take_events(marconi_cache* cache, marconi_events** taken) {
    return guarded([&] {
        event_log& events = needed(cache, "cache").events;
        marconi_events*& to = needed(taken, "taken");
        if (!events.on()) throw contract_violation{"marconi_take_events: event_bytes is 0"};
        to = events.take().release();
    });
}

int marconi_snapshot(marconi_cache const* cache, marconi_events** taken) {
    return guarded([&] {
        marconi_cache const& of = needed(cache, "cache");
        marconi_events*& to = needed(taken, "taken");
        struct writer {
            event_list* list;
            void observe(c_interface::cache_event const& e) { list->add(e); }
        };
        auto all = std::make_unique<event_list>();
        all->end(of.cache.beside_readers(
            [&](auto const& inner) { return inner.snapshot(writer{all.get()}); }));
        to = all.release();
    });
}

void marconi_free_events(marconi_events* taken) { delete static_cast<event_list*>(taken); }
