#pragma once

// A prefix cache that is obviously right: what marconi::cache::prefix_cache promises, said again
// with maps and full scans. It does not order node and page ids, and asks the other cache which of
// several equally ranked victims it took.

#include <support/reference/committing.hpp>

#include <string>
#include <utility>

namespace reference {

struct rules {
    rule eviction;
    bool tail = true;        ///< branch, tail and, spaced, every so many tokens; else only these
    std::uint32_t every = 0; ///< tokens
    std::uint32_t grid = 1;
    std::uint32_t answer = 0; ///< tokens from the answer's start to the end of the prompt
};

struct match {
    path prompt;
    std::uint32_t limit = 0, answer_from = 0, matched = 0, resumable = 0;
    bool by_own_state = false, counted = true;
    path resume; ///< the node that `resumable` is in
    std::uint64_t tag = 0;
};

class cache : public committing {
public:
    cache(marconi::memory::page_layout const& cut, std::uint64_t pages, rules by)
        : committing{cut, pages, by.eviction}, rules_{by} {}

    using committing::obtainable;

    std::uint64_t peak = 0;

    /// One that lets others in while it copies can be seen to hold what it fills.
    commit_outcome commit(int slot, path const& tokens, std::vector<std::uint32_t> const& brought,
                          commit_story& story, bool lets_others_in) {
        auto const outcome = publish(leases.at(slot), tokens, brought, story);
        peak = std::max({peak, used(), lets_others_in ? story.while_filled : 0});
        return outcome;
    }

    [[nodiscard]] match look(path const& prompt, std::uint32_t limit, std::uint32_t answer_from,
                             std::uint32_t state_at) const {
        match m{.prompt = prompt, .limit = limit, .answer_from = answer_from, .resume = {}};
        for (auto const& [key, n] : nodes)
            if (key[0] == prompt[0]) {
                m.matched = std::max(m.matched, common(key, prompt) - 1);
                if (n.checkpoint && is_prefix(key, prompt) && depth_of(key) <= limit)
                    m.resumable = std::max(m.resumable, depth_of(key));
            }
        std::uint32_t const usable = std::min(m.matched, limit);
        if (!needs_checkpoint()) m.resumable = usable;
        m.by_own_state =
            needs_checkpoint() && state_at > 0 && state_at >= m.resumable && state_at <= usable;
        if (m.by_own_state) m.resumable = state_at;
        if (m.resumable > 0) {
            m.resume = holding(prompt, m.resumable);
            m.tag = nodes.at(m.resume).tag;
        }
        return m;
    }

    [[nodiscard]] marconi::policy::capture_rule plan(match const& m) const {
        marconi::policy::capture_rule found;
        if (!needs_checkpoint()) return found;
        std::uint32_t answer = rules_.answer == 0 || rules_.answer > m.answer_from
                                   ? 0
                                   : (m.answer_from - rules_.answer) / rules_.grid * rules_.grid;
        if (answer > m.limit) answer = 0;
        std::uint32_t const until = answer ? answer : m.limit;
        std::uint32_t const fork = std::min(m.matched, until) / rules_.grid * rules_.grid;
        std::uint32_t const least = std::min(block(), 16u);
        std::uint32_t const distance = std::max(least, answer ? rules_.answer + 1 : 0u);
        bool const forks = fork > m.resumable && fork - m.resumable >= distance;
        std::uint32_t step = rules_.every;
        while (rules_.tail && step % rules_.grid != 0)
            ++step;
        for (std::uint32_t p = m.resumable + 1; p <= m.limit; ++p) {
            if (p % rules_.grid != 0) continue;
            bool const on_step = step != 0 && p % step == 0;
            bool const named = !rules_.tail ? on_step
                               : forks && p <= fork
                                   ? p == fork
                                   : on_step && p - (forks ? fork : m.resumable) >= least &&
                                         (!answer || p + distance <= answer);
            std::uint32_t const last = static_cast<std::uint32_t>(
                found.at.empty() ? m.resumable : found.at.back().value());
            bool const starts_answer = answer && p == answer && p >= last + distance;
            if (named || starts_answer) found.at.push_back(token_count{p});
        }
        found.tail = rules_.tail;
        if (!rules_.tail) found.every = token_count{rules_.every};
        return found;
    }

    /// False if what was matched went in between.
    bool acquire(int slot, match const& m, double weight) {
        now += tick{1};
        auto const it = nodes.find(m.resume);
        bool const there = it != nodes.end() && it->second.tag == m.tag;
        bool const by_checkpoint = needs_checkpoint() && !m.by_own_state;
        if (m.resumable > 0 && (!there || (by_checkpoint && !it->second.checkpoint))) {
            counts.stale += m.counted;
            return false;
        }
        lease l{.scope = m.prompt[0],
                .resume_at = m.resumable,
                .by_own_state = m.by_own_state,
                .answer_from = m.answer_from,
                .weight = weight,
                .counted = m.counted,
                .captures = plan(m),
                .stands = {},
                .holds = {},
                .position = m.resumable,
                .pages = {},
                .replaced = {}};
        if (m.resumable > 0) {
            path key = holding(m.prompt, m.resumable); // what lies beyond is not pinned
            if (depth_of(key) != m.resumable) key = split(key, m.resumable);
            l.stands = key;
            if (by_checkpoint) l.holds = key;
            if (m.counted) touch(key, l);
        }
        leases.emplace(slot, std::move(l));
        if (!m.counted) return true;
        auto const& flops = layout->model().flops;
        ++counts.requests;
        counts.hits += m.resumable > 0;
        counts.tokens_asked += token_count{depth_of(m.prompt)};
        counts.tokens_matched += token_count{m.matched};
        counts.tokens_resumed += token_count{m.resumable};
        std::uint32_t const usable = std::min(m.matched, m.limit);
        counts.tokens_lost_past_limit += token_count{m.matched - usable};
        counts.tokens_lost_without_checkpoint += token_count{usable - m.resumable};
        counts.flops_asked += flops.up_to(token_count{depth_of(m.prompt)});
        counts.flops_saved += flops.up_to(token_count{m.resumable});
        return true;
    }

    [[nodiscard]] std::vector<std::optional<page>> block_table(lease const& l) const {
        std::vector<std::optional<page>> table;
        if (!has_kv()) return table;
        if (l.stands)
            for (page const p : path_pages(*l.stands, l.position))
                table.emplace_back(p);
        if (table.size() < l.end_block()) table.resize(l.end_block());
        for (std::size_t i = 0; i < l.pages.size(); ++i)
            table[l.first_block + i] = l.pages[i];
        return table;
    }

    /// How many of the first `tokens` tokens the lease has pages for; others could have `spare`
    /// pages then.
    std::uint32_t reserve(int slot, std::uint32_t tokens, std::uint64_t spare) {
        lease& l = leases.at(slot);
        std::uint32_t covered = tokens;
        if (has_kv()) covered = reserve_pages(l, tokens, spare);
        counts.short_reserves += covered < tokens;
        peak = std::max(peak, used());
        return covered;
    }

    /// Pages past the first `tokens` tokens, and past where the lease stands, are free again.
    void unreserve(int slot, std::uint32_t tokens) {
        lease& l = leases.at(slot);
        while (!l.pages.empty() && (l.end_block() - 1) * block() >= std::max(tokens, l.position))
            l.pages.pop_back();
        if (!l.pages.empty()) return;
        l.first_block = 0;
        l.in_place = false;
    }

    /// Own pages of whole blocks that it committed are given up: the path has one for each.
    byte_count deduplicate(int slot) {
        lease& l = leases.at(slot);
        std::uint32_t const whole = l.position / block();
        bool const has_whole = !l.pages.empty() && whole > l.first_block;
        if (!l.stands || (!has_whole && l.replaced.empty()) || is_cut_off(*l.stands)) return {};
        std::uint64_t const before = used();
        while (!l.pages.empty() && l.first_block < whole) {
            l.pages.erase(l.pages.begin());
            ++l.first_block;
        }
        l.replaced.clear();
        if (l.pages.empty() && has_whole) {
            l.first_block = 0;
            l.in_place = false;
        }
        return layout->page_bytes() * (before - used());
    }

    void let_go_checkpoint(int slot) {
        leases.at(slot).holds.reset();
        settle();
    }
    void let_go_kv(int slot) {
        lease& l = leases.at(slot);
        l.stands.reset();
        l.pages.clear();
        l.replaced.clear();
        l.first_block = 0;
        l.in_place = false;
        settle();
    }
    void release(int slot) {
        counts.abandoned += leases.at(slot).counted && !leases.at(slot).committed;
        leases.erase(slot);
        settle();
    }

    byte_count evict(byte_count bytes) {
        byte_count const before = counts.bytes_evicted;
        while (counts.bytes_evicted - before < bytes && evict_one(eviction_reason::on_demand)) {
        }
        return counts.bytes_evicted - before;
    }
    /// Of one scope, what was used longest ago.
    byte_count evict(char scope, byte_count bytes) {
        byte_count const before = counts.bytes_evicted;
        while (counts.bytes_evicted - before < bytes)
            if (auto const next = oldest_candidate(scope))
                evict_counted(*next, eviction_reason::on_demand);
            else
                break;
        return counts.bytes_evicted - before;
    }
    byte_count forget_unused(tick since) {
        byte_count const before = counts.bytes_evicted;
        auto const unused = [&](node const& n) { return n.last_use <= since; };
        for (auto const& [key, n] : nodes)
            if (depth_of(key) != 0 && children(key).size() > 1 && !unused(n) && !is_cut_off(key))
                staying.insert(key);
        while (auto const next = deepest_candidate({}, unused))
            evict_counted(*next, eviction_reason::clear);
        std::uint64_t const held = used();
        staying.clear();
        settle();
        counts.bytes_evicted += layout->page_bytes() * (held - used());
        return counts.bytes_evicted - before;
    }
    /// All that no lease holds, of one scope or (0) of all, children before parents.
    void clear(char scope) {
        path const in = scope == 0 ? path{} : path(1, scope);
        while (auto const next = deepest_candidate(in))
            evict_counted(*next, eviction_reason::clear);
    }

    /// What goes on past the first `from` tokens as this sequence does: goes, or is cut off.
    byte_count forget(path const& tokens, std::uint32_t from) {
        byte_count const before = counts.bytes_evicted;
        path const upto = tokens.substr(0, 1 + from + 1);
        path const top = holding(upto, from + 1);
        if (top.empty()) return {};
        working = nodes.at(top).start < from ? split(top, from) : tokens.substr(0, 1 + from);
        while (auto const next = deepest_candidate(upto))
            evict_counted(*next, eviction_reason::clear);
        char letter = 1;
        while (cut_off.contains(letter))
            ++letter;
        auto const move = [&](path key) {
            key[0] = letter;
            return key;
        };
        bool any = false;
        for (auto it = nodes.lower_bound(upto); it != nodes.end() && is_prefix(upto, it->first);) {
            constexpr auto reason = static_cast<std::size_t>(eviction_reason::clear);
            if (it->second.checkpoint && checkpoint_pins(it->first) == 0)
                ++counts.checkpoints_evicted[reason];
            auto taken = nodes.extract(it++);
            taken.key() = move(taken.key());
            nodes.insert(std::move(taken));
            any = true;
        }
        for (auto& [slot, l] : leases)
            for (auto* const at : {&l.stands, &l.holds})
                if (*at && is_prefix(upto, **at)) *at = move(**at);
        for (auto& [other, above] : cut_off)
            if (is_prefix(upto, above)) above = move(above);
        if (any) cut_off.emplace(letter, *working);
        working.reset();
        std::uint64_t const held = used();
        settle();
        counts.bytes_evicted += layout->page_bytes() * (held - used());
        return counts.bytes_evicted - before;
    }

private:
    static constexpr auto every = [](node const&) { return true; };

    template <class Wanted = decltype(every)>
    [[nodiscard]] std::optional<path> deepest_candidate(path const& upto,
                                                        Wanted wanted = every) const {
        std::optional<path> deepest;
        for (auto const& [key, n] : nodes)
            if (is_prefix(upto, key) && is_candidate(key) && wanted(n) &&
                (!deepest || key.size() > deepest->size()))
                deepest = key;
        return deepest;
    }
    /// The deeper of those that were last used at once: they lie on one path.
    [[nodiscard]] std::optional<path> oldest_candidate(char scope) const {
        std::optional<path> oldest;
        for (auto const& [key, n] : nodes) {
            if (key[0] != scope || !is_candidate(key)) continue;
            tick const at = n.last_use, least = oldest ? nodes.at(*oldest).last_use : at;
            if (!oldest || at < least || (at == least && key.size() > oldest->size())) oldest = key;
        }
        return oldest;
    }

    std::uint32_t reserve_pages(lease& l, std::uint32_t until, std::uint64_t spare) {
        std::uint32_t const standing = l.position / block();
        std::uint32_t const own_end = l.pages.empty() ? standing : l.end_block();
        std::uint32_t const first = std::max(standing, own_end);
        std::uint32_t const last = (until + block() - 1) / block();
        std::uint64_t wanted = last > first ? last - first : 0;
        if (std::uint64_t const most = obtainable(); wanted + spare > most)
            wanted = std::min({wanted, available(), most - std::min(most, spare)});
        make_room(wanted, eviction_reason::reserve);

        auto const fresh = unowned(wanted);
        std::vector<page> stored;
        if (l.stands) stored = path_pages(*l.stands, l.position);
        // What was published past its own pages it shares, up to the block it stands in; if that is
        // not its own it goes on in a copy.
        for (std::uint32_t b = own_end; b < first; ++b)
            l.pages.push_back(stored.at(b));
        if (wanted > 0 && first * block() < l.position) l.replaced.push_back(stored.back());
        if (l.pages.empty()) l.first_block = first;
        l.pages.insert(l.pages.end(), fresh.begin(), fresh.end());
        l.in_place = !l.pages.empty() || l.in_place;
        if (last <= first) return until;
        auto const blocks = first + static_cast<std::uint32_t>(wanted);
        return std::max(l.position, std::min(until, blocks * block()));
    }

    rules rules_;
};

} // namespace reference
