#pragma once

// The cache under test and the reference side by side: each call goes to both, and whatever can be
// seen of them must agree.

#include <support/histories/call.hpp>
#include <support/histories/compare.hpp>
#include <support/histories/engine.hpp>
#include <support/histories/setup.hpp>
#include <support/histories/tally.hpp>
#include <support/histories/watch.hpp>
#include <support/reference/cache.hpp>

#include <marconi/core/error.hpp>
#include <marconi/core/units.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace histories {

class contest {
public:
    explicit contest(setup const& s)
        : cache_{failing_store{{s.model, page_bytes(s) * s.pages, cut(s)}, journal_},
                 {.checkpoint_grid = token_count{s.rules.grid}},
                 admission(s.rules),
                 watched_eviction{s.rules.eviction, journal_},
                 recorder{journal_}},
          right_{cache_.store().layout(), s.pages, s.rules} {
        right_.next_victim = [this]() -> std::optional<path> {
            if (journal_.victims.empty()) return std::nullopt;
            path const key = journal_.victims.front().key;
            journal_.victims.pop_front();
            return key;
        };
    }
    contest(contest const&) = delete;
    contest& operator=(contest const&) = delete;

    /// Makes a call of the cache, by default once. Where it is made to fail in between, what is
    /// told by undone() must be true after each failure.
    std::function<void(contest&, std::function<void()> const&)> caller;
    /// All bytes are checked every so many steps.
    std::uint64_t look_at_bytes = 8;

    /// Plays one call on both; false if it would break the contract, and nothing was done. Throws
    /// reference::disagreement.
    bool play(call const& c) {
        if (!is_legal(c)) return false;
        reference::counters const before = right_.counts;
        std::uint64_t const merges = right_.merges, dropped = right_.dropped_duplicates;
        switch (c.what) {
        case call::match:
            match(c);
            break;
        case call::acquire:
            acquire(c);
            break;
        case call::restore:
            restore(c);
            break;
        case call::commit:
            commit(c, false);
            break;
        case call::commit_in_place:
            commit(c, true);
            break;
        case call::reserve:
            reserve(c);
            break;
        case call::unreserve:
            unreserve(c);
            break;
        case call::deduplicate:
            deduplicate(c);
            break;
        case call::let_go_checkpoint:
            tally_.note_if(right_.leases.at(c.lease).holds.has_value(), place::let_go_checkpoint);
            open_.at(c.lease).lease.let_go_checkpoint();
            right_.let_go_checkpoint(c.lease);
            break;
        case call::let_go_kv:
            tally_.note_if(right_.leases.at(c.lease).stands.has_value(), place::let_go_kv);
            open_.at(c.lease).lease.let_go_kv();
            right_.let_go_kv(c.lease);
            break;
        case call::release:
            tally_.note_if(!open_.at(c.lease).committed, place::abort);
            open_.erase(c.lease);
            right_.release(c.lease);
            break;
        case call::evict:
            evict(c);
            break;
        case call::evict_of:
            evict_of(c);
            break;
        case call::forget_unused:
            forget_unused(c);
            break;
        case call::clear:
            clear(c, c.scope);
            break;
        case call::clear_all:
            clear(c, 0);
            break;
        case call::forget:
            forget(c);
            break;
        }
        note_evictions(before);
        tally_.note(place::merge, right_.merges - merges);
        tally_.note(place::merge_drops_duplicate, right_.dropped_duplicates - dropped);
        tally_.note_if(right_.leases.size() > 2, place::several_leases);
        ++tally_.steps;
        check();
        return true;
    }

    /// Compares all that can be seen. O(everything).
    void check() {
        compare(cache_, right_, journal_, slots_by_id(), tolerant_);
        check_tables();
        if (tally_.steps % look_at_bytes == 0) check_bytes(cache_, journal_);
    }

    /// A call of the cache failed: nothing has happened but that its victims are gone.
    void undone() {
        tolerant_ = true;
        if (playing_ == call::commit)
            right_.fail_to_commit(committing_.lease,
                                  right_.leases.at(committing_.lease).scope + committing_.tokens,
                                  journal_.victims.size());
        else
            right_.evict_entries(journal_.victims.size(),
                                 playing_ == call::reserve ? reference::eviction_reason::reserve
                                                           : reference::eviction_reason::on_demand);
        right_.merges = cache_.stats().merges; // what it had cut is whole again
        right_.peak = cache_.holds().peak / cache_.store().layout().page_bytes();
        check();
    }
    /// Leaves the cache alone with what it holds.
    void close_all() { open_.clear(); }
    [[nodiscard]] call::kind playing() const { return playing_; }

    [[nodiscard]] reference::cache const& right() const { return right_; }
    [[nodiscard]] tested_cache& cache() { return cache_; }
    [[nodiscard]] journal& notes() { return journal_; }
    [[nodiscard]] tally const& tallied() const { return tally_; }
    [[nodiscard]] bool has_plan(int slot) const { return plans_.contains(slot); }

private:
    using reference_lease = reference::lease;

    struct opened {
        tested_cache::lease lease;
        std::uint32_t id = 0;
        bool committed = false;
        std::uint32_t start = 0; // of the node it stood on after its last call
        std::vector<std::optional<reference::page>> right_table = {};
        std::vector<marconi::page_id> table = {};
        std::vector<marconi::page_id> kept_table = {}; // asked for from `settled` on only
        std::size_t settled = 0;
    };
    struct planned {
        reference::match right;
        marconi::cache::request_plan plan;
        std::uint64_t made = 0; // at which step
    };

    static marconi::memory::page_options cut(setup const& s) {
        return {token_count{s.block}, byte_count{256}};
    }
    static byte_count page_bytes(setup const& s) {
        return marconi::memory::page_layout{s.model, cut(s)}.page_bytes();
    }
    static any_admission admission(reference::rules const& r) {
        marconi::policy::branch_and_tail const base{.before_answer = token_count{r.answer}};
        if (r.tail && r.every == 0) return {base};
        if (r.tail) return {marconi::policy::spaced{token_count{r.every}, base}};
        return {marconi::policy::always{token_count{r.every}}};
    }

    [[nodiscard]] bool is_legal(call const& c) const {
        switch (c.what) {
        case call::match:
            return !c.limit || *c.limit <= c.tokens.size();
        case call::acquire:
            return has_plan(c.plan) && !open_.contains(c.lease);
        case call::forget:
            return c.amount < c.tokens.size();
        case call::evict:
        case call::evict_of:
        case call::clear:
        case call::clear_all:
        case call::forget_unused:
            return true;
        default:
            break;
        }
        auto const it = right_.leases.find(c.lease);
        if (it == right_.leases.end()) return false;
        reference_lease const& l = it->second;
        if (c.what == call::reserve) return c.amount >= l.position;
        if (c.what != call::commit && c.what != call::commit_in_place) return true;
        if (c.tokens.size() < l.position) return false;
        if (l.stands && l.stands->compare(1, l.position, c.tokens, 0, l.position) != 0)
            return false;
        if (c.what == call::commit_in_place && !l.stands && l.position != 0) return false;
        std::uint32_t least = std::max(l.position, 1u);
        for (std::uint32_t const p : c.checkpoints) {
            if (p < least || p > c.tokens.size() || !right_.needs_checkpoint()) return false;
            least = p + 1;
        }
        return true;
    }

    template <class Call>
    void call_cache(call::kind what, Call&& it) {
        playing_ = what;
        if (caller)
            caller(*this, it);
        else
            it();
    }
    template <class Call>
    bool refused(call::kind what, Call&& it) {
        try {
            call_cache(what, it);
        } catch (marconi::contract_violation const&) {
            return true;
        }
        return false;
    }

    void match(call const& c) {
        path const prompt = c.scope + c.tokens;
        auto const limit = static_cast<std::uint32_t>(c.limit.value_or(
            c.tokens.empty() ? 0 : static_cast<std::uint32_t>(c.tokens.size()) - 1));
        std::vector<std::int32_t> const tokens{c.tokens.begin(), c.tokens.end()};
        marconi::cache::match_options options;
        if (c.limit) options.limit = token_count{*c.limit};
        // Every third prompt is one that comes back with a part of its answer.
        auto const size = static_cast<std::uint32_t>(c.tokens.size());
        std::uint32_t const answer_from = size % 3 == 2 ? size / 2 : size;
        if (answer_from != size) options.answer_from = token_count{answer_from};
        // Every fifth is of an engine that has the state at two thirds of it.
        std::uint32_t const state_at = size % 5 == 4 ? size - size / 3 : 0;
        if (state_at != 0) options.state_at = token_count{state_at};
        // Every seventh is nobody's, and puts in what it computes.
        options.counted = size % 7 != 6;
        planned p{.right = right_.look(prompt, limit, answer_from, state_at),
                  .plan = {},
                  .made = tally_.steps};
        p.right.counted = options.counted;
        call_cache(c.what, [&] {
            p.plan = cache_.plan(
                cache_.match({.tenant = static_cast<std::uint64_t>(c.scope)}, tokens, options));
        });
        auto const& m = p.plan.match;
        reference::match const& r = p.right;
        auto const rule = right_.plan(r);
        agree("matched", m.matched.value(), r.matched);
        agree("resumable", m.resumable.value(), r.resumable);
        agree("by the engine's own state", m.by_own_state, r.by_own_state);
        agree("limit", m.limit.value(), r.limit);
        std::uint32_t const usable = std::min(r.matched, limit);
        agree("lost past the limit", m.lost_past_limit().value(), r.matched - usable);
        agree("lost without a checkpoint", m.lost_without_checkpoint().value(),
              usable - r.resumable);
        agree_on(p.plan.captures.at == rule.at, "the positions to capture");
        agree("tail", p.plan.captures.tail, rule.tail);
        agree("every", p.plan.captures.every.value(), rule.every.value());
        if (tally_.steps % 4 == 0) compare_obtainable(m, r);
        tally_.note_if(r.matched == 0, place::miss);
        tally_.note_if(r.matched > usable, place::match_lost_past_limit);
        tally_.note_if(usable > r.resumable, place::match_lost_without_checkpoint);
        tally_.note_if(r.matched > 0 && !right_.nodes.contains(prompt.substr(0, 1 + r.matched)),
                       place::match_inside_edge);
        tally_.note_if(rule.tail && !rule.at.empty(), place::branch_named);
        tally_.note_if(r.by_own_state, place::match_by_own_state);
        plans_.insert_or_assign(c.plan, std::move(p));
    }

    /// What is left for a request is what can be had once it is open, and has let its checkpoint
    /// go.
    void compare_obtainable(marconi::cache::match_result const& m, reference::match const& r) {
        reference::cache after = right_;
        constexpr int one_more = -1;
        if (!after.acquire(one_more, r, 1)) return;
        after.let_go_checkpoint(one_more);
        byte_count const all = cache_.holds().capacity;
        byte_count const page = right_.layout->page_bytes();
        agree("obtainable for the request", cache_.obtainable(all, m) / page, after.obtainable());
    }

    void acquire(call const& c) {
        planned const& p = plans_.at(c.plan);
        opened o;
        marconi::cache::request_plan plan = p.plan;
        plan.match.weight = c.weight;
        call_cache(c.what, [&] { o.lease = cache_.acquire(plan); });
        bool const got = right_.acquire(c.lease, p.right, c.weight);
        agree("stale", o.lease.stale(), !got);
        tally_.note_if(p.made + 1 < tally_.steps, place::acquire_of_old_plan);
        tally_.note_if(!got, place::acquire_stale);
        if (!got) return;
        tally_.note_if(p.right.resumable > 0 &&
                           right_.nodes.at(*right_.leases.at(c.lease).stands).weight > c.weight,
                       place::acquire_of_what_weighs_more);
        o.id = newest_lease();
        tally_.note_if(!p.right.counted && p.right.resumable > 0, place::acquire_uncounted);
        reference_lease const& l = right_.leases.at(c.lease);
        agree("resume_at", o.lease.resume_at().value(), l.resume_at);
        auto const at = o.lease.capture_at();
        agree_on(std::equal(at.begin(), at.end(), l.captures.at.begin(), l.captures.at.end()),
                 "the positions to capture");
        note_standing(o, l);
        open_.emplace(c.lease, std::move(o));
    }

    void restore(call const& c) {
        opened& o = open_.at(c.lease);
        reference_lease const& l = right_.leases.at(c.lease);
        bool const with_state = right_.needs_checkpoint() && !l.by_own_state;
        bool const let_go = (right_.has_kv() && (!l.stands || l.position < l.resume_at)) ||
                            (with_state && !l.holds);
        std::string const tokens = o_prompt(l);
        engine memory{right_.layout->model(), tokens};
        auto const layer = memory.layer();
        std::vector<std::uint64_t> state(64);
        std::byte* const piece = reinterpret_cast<std::byte*>(state.data());
        marconi::memory::kv_view kv;
        if (right_.has_kv()) kv = {{&layer, 1}};
        marconi::memory::state_view into;
        if (with_state) into = {{&piece, 1}};
        bool const no = refused(c.what, [&] { cache_.restore(o.lease, kv, into); });
        agree("restore refused", no, l.resume_at > 0 && let_go);
        tally_.note_if(no, place::restore_refused);
        if (no || l.resume_at == 0) return;
        if (right_.has_kv()) agree_on(memory.holds(0, l.resume_at), "the KV restored");
        if (with_state) {
            auto const expected = memory.state(l.resume_at);
            agree_on(std::equal(expected.begin(), expected.end(), state.begin()),
                     "the state restored");
        }
        tally_.note(place::restore);
    }
    /// The tokens that a lease stands on, of which [0, resume_at) are those it resumed.
    static std::string o_prompt(reference_lease const& l) {
        if (l.stands && l.position >= l.resume_at) return l.stands->substr(1);
        return l.holds ? l.holds->substr(1) : std::string{};
    }

    void reserve(call const& c) {
        opened& o = open_.at(c.lease);
        reference_lease const& l = right_.leases.at(c.lease);
        bool const let_go = !l.stands && l.position != 0;
        token_count covered;
        byte_count const spare = right_.layout->page_bytes() * c.spare;
        bool const no = refused(
            c.what, [&] { covered = cache_.reserve(o.lease, token_count{c.amount}, {}, spare); });
        agree("reserve refused", no, let_go);
        tally_.note_if(no, place::reserve_refused);
        if (!no) reserved(c, covered);
    }
    void reserved(call const& c, token_count covered) {
        reference_lease const& l = right_.leases.at(c.lease);
        std::size_t const replaced = l.replaced.size();
        auto const end = l.end_block();
        bool const gap = !l.pages.empty() && end < l.position / right_.block();
        auto const evictions = right_.counts.evictions();
        agree("covered", covered.value(), right_.reserve(c.lease, c.amount, c.spare));
        tally_.note(place::reserve);
        tally_.note_if(right_.counts.evictions() != evictions, place::reserve_evicts);
        tally_.note_if(covered.value() < c.amount, place::reserve_in_part);
        tally_.note_if(covered.value() < c.amount && right_.available() > 0, place::reserve_spares);
        tally_.note_if(l.replaced.size() > replaced, place::reserve_copies_block);
        tally_.note_if(gap, place::reserve_closes_gap);
    }

    void unreserve(call const& c) {
        std::uint64_t const used = right_.used();
        cache_.unreserve(open_.at(c.lease).lease, token_count{c.amount});
        right_.unreserve(c.lease, c.amount);
        tally_.note_if(right_.used() < used, place::unreserve);
    }

    void deduplicate(call const& c) {
        opened& o = open_.at(c.lease);
        std::size_t const owned = right_.leases.at(c.lease).pages.size();
        byte_count const freed = cache_.deduplicate(o.lease);
        agree("bytes freed", freed.value(), right_.deduplicate(c.lease).value());
        bool const fewer = right_.leases.at(c.lease).pages.size() < owned;
        tally_.note_if(freed > byte_count{}, place::deduplicate);
        tally_.note_if(fewer && freed == byte_count{}, place::deduplicate_own);
        o.settled = 0; // the table is taken again from its beginning
    }

    void commit(call const& c, bool in_place) {
        opened& o = open_.at(c.lease);
        reference_lease const& l = right_.leases.at(c.lease);
        std::string tokens = c.tokens;
        std::vector<std::uint32_t> positions = c.checkpoints;
        engine memory{right_.layout->model(), tokens};
        if (in_place && right_.has_kv()) {
            call reserve_first = c;
            reserve_first.amount = static_cast<std::uint32_t>(tokens.size());
            token_count covered;
            call_cache(call::reserve, [&] {
                covered = cache_.reserve(o.lease, token_count{reserve_first.amount});
            });
            reserved(reserve_first, covered);
            tokens.resize(std::min<std::size_t>(tokens.size(), covered.value()));
            std::erase_if(positions, [&](std::uint32_t p) { return p > tokens.size(); });
            write_in_place(o, l, memory, static_cast<std::uint32_t>(tokens.size()));
        }
        if (!in_place)
            memory.compute(!l.stands               ? 0
                           : brings_suffix(tokens) ? l.position
                                                   : l.position / right_.block() * right_.block(),
                           tokens.size());
        note_before(o, l, tokens);
        committing_.lease = c.lease;
        auto const outcome = commit_on_cache(o, memory, tokens, positions, in_place);
        bool const was_reserved = l.in_place;
        std::uint32_t const position = l.position;
        reference::commit_story story;
        auto const right =
            right_.commit(c.lease, l.scope + tokens, positions, story, lets_others_in(tokens));
        agree("outcome.position", outcome.position.value(), right.position.value());
        agree("stored_tokens", outcome.stored_tokens.value(), right.stored_tokens.value());
        agree("declined_tokens", outcome.declined_tokens.value(), right.declined_tokens.value());
        agree("stored_checkpoints", outcome.stored_checkpoints, right.stored_checkpoints);
        agree("known_checkpoints", outcome.known_checkpoints, right.known_checkpoints);
        agree("declined_checkpoints", outcome.declined_checkpoints, right.declined_checkpoints);
        agree("evicted_entries", outcome.evicted_entries, right.evicted_entries);
        agree("forgotten", outcome.forgotten, right.forgotten);
        agree("evicted_bytes", outcome.evicted_bytes.value(), right.evicted_bytes.value());
        agree("position", o.lease.position().value(), right.position.value());
        o.committed = true;
        note_commit(story, right, tokens, position, was_reserved, in_place);
        note_standing(o, l);
    }

    /// One commit in two lets others in while it copies: nobody comes, and nothing may change.
    [[nodiscard]] static bool lets_others_in(std::string const& tokens) {
        return tokens.size() % 2 == 1;
    }

    /// Some engines have no rows before the lease's position, unless they let the KV go.
    [[nodiscard]] static bool brings_suffix(std::string const& tokens) {
        return tokens.size() % 3 == 1;
    }

    marconi::cache::commit_outcome commit_on_cache(opened& o, engine& memory,
                                                   std::string const& tokens,
                                                   std::vector<std::uint32_t> const& positions,
                                                   bool in_place) {
        std::vector<std::int32_t> const ids{tokens.begin(), tokens.end()};
        std::vector<std::vector<std::uint64_t>> states;
        std::vector<std::byte*> pieces;
        for (std::uint32_t const p : positions) {
            states.push_back(memory.state(p));
            pieces.push_back(reinterpret_cast<std::byte*>(states.back().data()));
        }
        std::vector<marconi::cache::captured_state> captured;
        for (std::size_t i = 0; i < positions.size(); ++i)
            captured.push_back({token_count{positions[i]}, {{&pieces[i], 1}}});
        auto const layer = memory.layer();
        marconi::cache::computed brought{.kv = {}, .checkpoints = captured};
        if (!in_place && right_.has_kv()) brought.kv = {{&layer, 1}};
        if (right_.leases.at(committing_.lease).stands && brings_suffix(tokens))
            brought.kv_from = o.lease.position();
        marconi::cache::commit_outcome outcome;
        committing_.tokens = tokens;
        auto const copy_alone = [](auto const& copy) { copy(); };
        call_cache(call::commit, [&] {
            outcome = lets_others_in(tokens) ? cache_.commit(o.lease, ids, brought, {}, copy_alone)
                                             : cache_.commit(o.lease, ids, brought);
        });
        return outcome;
    }

    void write_in_place(opened& o, reference_lease const& l, engine const& memory,
                        std::uint32_t until) {
        auto const table = cache_.block_table(o.lease);
        for (std::uint32_t t = l.position; t < until; ++t) {
            agree_on(t / right_.block() < table.size() && l.owns(t / right_.block()),
                     "that what was reserved has pages");
            memory.put_in(cache_.store().page(table[t / right_.block()]), *right_.layout, t);
        }
    }

    void evict(call const& c) {
        byte_count freed;
        bool const anything = !right_.candidates().empty();
        call_cache(c.what, [&] { freed = cache_.evict(byte_count{c.amount}); });
        agree("freed", freed.value(), right_.evict(byte_count{c.amount}).value());
        tally_.note_if(freed < byte_count{c.amount} && anything, place::evict_nothing_left);
    }
    void evict_of(call const& c) {
        byte_count freed;
        call_cache(c.what, [&] {
            freed = cache_.evict(marconi::scope{.tenant = static_cast<std::uint64_t>(c.scope)},
                                 byte_count{c.amount});
        });
        std::size_t const before = right_.nodes.size();
        agree("freed", freed.value(), right_.evict(c.scope, byte_count{c.amount}).value());
        tally_.note_if(right_.nodes.size() < before, place::evict_of_scope);
    }
    void forget_unused(call const& c) {
        agree("time", cache_.now().value(), right_.now.value());
        marconi::tick const since{right_.now.value() -
                                  std::min<std::uint64_t>(c.amount, right_.now.value())};
        byte_count freed;
        call_cache(c.what, [&] { freed = cache_.forget_unused(since); });
        agree("unused", freed.value(), right_.forget_unused(since).value());
        tally_.note_if(freed > byte_count{} && !right_.nodes.empty(), place::forget_unused);
    }
    void clear(call const& c, char scope) {
        call_cache(c.what, [&] {
            if (scope)
                cache_.clear({.tenant = static_cast<std::uint64_t>(scope)});
            else
                cache_.clear();
        });
        right_.clear(scope);
        tally_.note_if(right_.used() > 0 && !right_.leases.empty(), place::clear_around_leases);
    }

    void forget(call const& c) {
        std::vector<std::int32_t> const tokens{c.tokens.begin(), c.tokens.end()};
        byte_count freed;
        call_cache(c.what, [&] {
            freed = cache_.forget({.tenant = static_cast<std::uint64_t>(c.scope)},
                                  std::span<std::int32_t const>{tokens}, token_count{c.amount});
        });
        std::size_t const held = right_.cut_off.size();
        agree("forgotten", freed.value(), right_.forget(c.scope + c.tokens, c.amount).value());
        tally_.note_if(freed > byte_count{}, place::forget);
        tally_.note_if(right_.cut_off.size() > held, place::forget_around_leases);
    }

    /// Our names of the cache's leases.
    [[nodiscard]] std::map<std::uint32_t, int> slots_by_id() const {
        std::map<std::uint32_t, int> slots;
        for (auto const& [slot, o] : open_)
            slots.emplace(o.id, slot);
        return slots;
    }
    [[nodiscard]] std::uint32_t newest_lease() const {
        auto const known = slots_by_id();
        std::uint32_t id = 0;
        while (known.contains(id) || !cache_.leases().live(marconi::cache::lease_id{id}))
            ++id;
        return id;
    }

    /// Pages that a block table named stay where they are, for as long as the reference's do.
    void check_tables() {
        for (auto& [slot, o] : open_) {
            reference_lease const& l = right_.leases.at(slot);
            auto const right = right_.block_table(l);
            auto table = cache_.block_table(o.lease);
            agree("entries of the block table", table.size(), right.size());
            for (std::size_t i = 0; i < std::min(table.size(), o.table.size()); ++i)
                if (right[i] == o.right_table[i] && table[i] != o.table[i])
                    throw reference::disagreement{"a block table changed under its lease"};
            if (tally_.steps % look_at_bytes == 0) check_table_bytes(l, table);
            for (std::size_t i = 0; i < table.size(); ++i)
                agree("a page in the block table", bool{table[i]}, right[i].has_value());
            check_tail_of_table(l, o, table);
            o.right_table = right;
            o.table = std::move(table);
        }
    }

    /// A table that only ever asks for what may have changed is the same, and no request for a part
    /// of one answers otherwise.
    void check_tail_of_table(reference_lease const& l, opened& o,
                             std::vector<marconi::page_id> const& whole) {
        if (!l.stands) o.settled = 0;
        o.kept_table.resize(o.settled);
        std::ranges::copy(cache_.block_table(o.lease, o.settled), std::back_inserter(o.kept_table));
        agree("a table that was kept up to date", o.kept_table == whole, true);
        o.settled = l.stands && right_.has_kv() ? l.position / right_.block() : 0;
        std::size_t const first = tally_.steps % (whole.size() + 2);
        auto const expected = std::span{whole}.subspan(std::min(first, whole.size()));
        agree("a part of the block table",
              std::ranges::equal(cache_.block_table(o.lease, first), expected), true);
    }

    /// Whatever a lease stands on it can read in place.
    void check_table_bytes(reference_lease const& l, std::vector<marconi::page_id> const& table) {
        if (!l.stands || table.empty()) return;
        engine const memory{right_.layout->model(), l.stands->substr(1)};
        for (std::uint32_t t = 0; t < l.position; ++t)
            agree_on(
                memory.is_in(cache_.store().page(table[t / right_.block()]), *right_.layout, t),
                "what the block table names for token " + std::to_string(t) + " of " + *l.stands);
    }

    // ---- counting ----

    void note_standing(opened& o, reference_lease const& l) {
        o.start = l.stands ? right_.nodes.at(*l.stands).start : 0;
    }
    void note_before(opened const& o, reference_lease const& l, std::string const& tokens) {
        if (l.stands) {
            std::uint32_t const start = right_.nodes.at(*l.stands).start;
            tally_.note_if(start > o.start, place::commit_node_split_since);
            tally_.note_if(start < o.start, place::commit_node_merged_since);
        } else {
            tally_.note_if(l.position != 0, place::commit_after_let_go);
        }
        tally_.note_if(tokens.size() == l.position, place::commit_nothing_new);
    }
    void note_commit(reference::commit_story const& story, reference::commit_outcome const& out,
                     std::string const& tokens, std::uint32_t position, bool was_reserved,
                     bool in_place) {
        bool const by_another = story.known > position && position > 0;
        tally_.note_if(story.known == 0 && out.stored_tokens > token_count{},
                       place::commit_all_new);
        tally_.note_if(story.known == tokens.size() && position < tokens.size(),
                       place::commit_all_known);
        tally_.note_if(by_another, place::commit_published_by_another);
        tally_.note_if(story.cut_edge, place::commit_cuts_edge);
        tally_.note_if(story.mid_block && story.own_page, place::commit_goes_on_inside_own_block);
        tally_.note_if(story.shares_page, place::commit_shares_its_block);
        tally_.note_if(story.mid_block && !story.own_page,
                       place::commit_goes_on_inside_shared_block);
        tally_.note_if(in_place && out.stored_tokens > token_count{}, place::commit_takes_in_place);
        tally_.note_if(in_place && story.known > position,
                       place::commit_in_place_published_by_another);
        tally_.note_if(was_reserved && !in_place && out.stored_tokens > token_count{},
                       place::commit_copies_into_reserved);
        tally_.note(place::checkpoint_on_known, story.checkpoints_on_known);
        tally_.note_if(story.cut_for_checkpoint, place::checkpoint_cuts_edge);
        tally_.note_if(story.cut_off && out.stored_tokens > token_count{},
                       place::commit_to_forgotten);
        tally_.note(place::checkpoint_known, out.known_checkpoints);
        tally_.note(place::checkpoint_known_evicted, story.known_evicted);
        tally_.note_if(out.evicted_entries > 0, place::commit_evicts);
        tally_.note_if(out.declined_tokens > token_count{}, place::commit_declines_tokens);
        tally_.note_if(out.declined_tokens > token_count{} && out.stored_tokens > token_count{},
                       place::commit_stores_part);
        tally_.note(place::commit_declines_checkpoint, out.declined_checkpoints);
    }
    void note_evictions(reference::counters const& before) {
        for (std::size_t r = 0; r < marconi::cache::eviction_reasons; ++r) {
            tally_.note(place::evict_leaf,
                        right_.counts.nodes_evicted[r] - before.nodes_evicted[r]);
            tally_.note(place::evict_checkpoint_alone,
                        right_.counts.checkpoints_evicted[r] - before.checkpoints_evicted[r]);
        }
    }

    journal journal_;
    tested_cache cache_;
    reference::cache right_;
    std::map<int, planned> plans_;
    std::map<int, opened> open_; // goes before the cache
    tally tally_;
    call::kind playing_ = call::match;
    call committing_{.what = call::commit};
    bool tolerant_ = false;
};

} // namespace histories
