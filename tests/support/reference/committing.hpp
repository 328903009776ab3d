#pragma once

// Commit, step by step.

#include <support/reference/evicting.hpp>

#include <marconi/cache/outcome.hpp>

#include <map>

namespace reference {

using marconi::cache::commit_outcome;

/// What a commit met, for those who count.
struct commit_story {
    std::uint32_t known = 0; ///< how far its tokens were stored already
    bool cut_edge = false;
    bool mid_block =
        false; ///< and went on inside a block: in the lease's own page, or in a new one
    bool own_page = false;
    bool shares_page = false; ///< a new one, which the node above has taken, too
    bool cut_for_checkpoint = false;
    bool cut_off = false; ///< the lease stood on what was forgotten
    std::uint32_t checkpoints_on_known = 0;
    std::uint32_t known_evicted = 0; ///< checkpoints that had to make room
    std::uint64_t while_filled = 0;  ///< pages in use before any of the lease's own are let go
};

class committing : public evicting {
public:
    using evicting::evicting;

    /// A commit that evicted so many entries before it failed.
    void fail_to_commit(int slot, path const& tokens, std::size_t evicted) {
        now += tick{1};
        work w{.tokens = standing(leases.at(slot), tokens)};
        find_known(leases.at(slot), w);
        (void)part_from_others(w);
        evict_entries(evicted, eviction_reason::commit);
        working.reset();
        settle();
    }

protected:
    /// `tokens` is the path of the whole sequence so far; checkpoints are brought for `positions`.
    commit_outcome publish(lease& l, path const& whole, std::vector<std::uint32_t> const& positions,
                           commit_story& story) {
        now += tick{1};
        path const tokens = standing(l, whole);
        work w{.tokens = tokens};
        find_known(l, w);
        story.known = w.known;
        story.cut_edge = part_from_others(w);
        std::vector<std::uint32_t> here;
        if (is_cut_off(tokens)) story.cut_off = true;
        for (std::uint32_t const p : is_cut_off(tokens) ? decltype(here){} : positions)
            (has_checkpoint(tokens, p) ? here : w.arrivals).push_back(p);
        std::uint32_t const wished = choose_how_much(l, w);
        std::uint64_t const evictions = counts.evictions();
        byte_count const evicted = counts.bytes_evicted;
        make_room(pages_needed(l, w, w.end, w.arrivals.size()), eviction_reason::commit);

        commit_outcome outcome;
        outcome.declined_tokens = token_count{wished - w.end};
        for (std::uint32_t const p : here)
            outcome.known_checkpoints += has_checkpoint(tokens, p);
        story.known_evicted = static_cast<std::uint32_t>(here.size()) - outcome.known_checkpoints;
        outcome.stored_checkpoints = static_cast<std::uint32_t>(w.arrivals.size());
        outcome.declined_checkpoints = static_cast<std::uint32_t>(
            positions.size() - w.arrivals.size() - outcome.known_checkpoints);
        outcome.stored_tokens = token_count{w.end - w.known};
        outcome.position = token_count{w.end};
        outcome.evicted_entries = counts.evictions() - evictions;
        outcome.evicted_bytes = counts.bytes_evicted - evicted;

        story.while_filled = used() + pages_needed(l, w, w.end, w.arrivals.size());
        auto const blocks = store(l, w, story);
        advance(l, w, blocks);
        working.reset();
        settle();
        l.committed |= depth_of(tokens) > 0;
        ++counts.commits;
        outcome.forgotten = is_cut_off(tokens);
        counts.declined_commits += !outcome.complete() && !outcome.forgotten;
        counts.tokens_stored += outcome.stored_tokens;
        counts.checkpoints_stored += outcome.stored_checkpoints;
        return outcome;
    }

private:
    struct work {
        path tokens;
        std::uint32_t known = 0, end = 0;
        path attachment = {};                     // the node that position `known` is in
        std::vector<std::uint32_t> arrivals = {}; // checkpoints that are to be stored
    };
    using block_pages = std::map<std::uint32_t, page>;

    [[nodiscard]] bool has_checkpoint(path const& tokens, std::uint32_t position) const {
        auto const it = nodes.find(tokens.substr(0, 1 + position));
        return it != nodes.end() && it->second.checkpoint;
    }

    /// A sequence as a lease knows it: what was cut off goes on where it is.
    [[nodiscard]] path standing(lease const& l, path tokens) const {
        if (l.stands) tokens[0] = (*l.stands)[0];
        return tokens;
    }

    void find_known(lease const&, work& w) {
        path const root(1, w.tokens[0]);
        if (!is_cut_off(root) && !nodes.contains(root))
            nodes.emplace(root, node{.tag = ++tags, .pages = {}, .checkpoint = {}, .used = {}});
        for (auto const& [key, n] : nodes)
            if (key[0] == root[0]) w.known = std::max(w.known, common(key, w.tokens) - 1);
        working = w.attachment = holding(w.tokens, w.known);
    }

    /// Where the sequence leaves an edge, or ends, in its middle, cuts it there: what lies beyond
    /// may have to make room.
    bool part_from_others(work& w) {
        if (w.known == depth_of(w.attachment)) return false;
        working = w.attachment = split(w.attachment, w.known);
        return true;
    }

    // ---- how much ----

    [[nodiscard]] std::uint64_t fresh_blocks(lease const& l, work const& w,
                                             std::uint32_t end) const {
        std::uint64_t count = 0;
        if (end > w.known && has_kv())
            for (std::uint32_t b = w.known / block(); b * block() < end; ++b)
                count += !l.owns(b);
        return count;
    }
    [[nodiscard]] std::uint64_t pages_needed(lease const& l, work const& w, std::uint32_t end,
                                             std::size_t checkpoints) const {
        std::uint64_t sum = fresh_blocks(l, w, end);
        for (std::size_t i = 0; i < checkpoints; ++i)
            sum += layout->checkpoint_pages(token_count{w.arrivals[i]});
        return sum;
    }

    /// "What does not fit whole is stored up to the last captured checkpoint that fits
    /// (attention-only: any token) or declined." Tokens in pages that the lease reserved do fit.
    /// What was wished for is returned: where tokens have no KV, there is nothing to store past the
    /// last checkpoint.
    std::uint32_t choose_how_much(lease const& l, work& w) {
        auto const end_with = [&](std::size_t n) {
            return n == 0 ? w.known : std::max(w.known, w.arrivals[n - 1]);
        };
        std::size_t taken = w.arrivals.size();
        std::uint32_t const wished = has_kv() ? depth_of(w.tokens) : end_with(taken);
        w.end = wished;
        std::uint64_t room = available();
        if (pages_needed(l, w, w.end, taken) > room) room = obtainable();
        if (pages_needed(l, w, w.end, taken) > room) {
            if (needs_checkpoint()) {
                std::uint32_t kept = w.known;
                while (l.in_place && has_kv() && kept < wished && l.owns(kept / block()))
                    ++kept;
                for (w.end = std::max(kept, end_with(taken));
                     pages_needed(l, w, w.end, taken) > room;)
                    w.end = std::max(kept, end_with(--taken));
                w.arrivals.resize(taken);
            } else {
                while (pages_needed(l, w, w.end, 0) > room)
                    --w.end;
            }
        }
        return wished;
    }

    // ---- publish ----

    block_pages store(lease& l, work& w, commit_story& story) {
        auto fresh = unowned(pages_needed(l, w, w.end, w.arrivals.size()));
        auto const take = [&] {
            page const p = fresh.back();
            fresh.pop_back();
            return p;
        };
        block_pages blocks;
        if (has_kv() && w.end > w.known)
            for (std::uint32_t b = w.known / block(); b * block() < w.end; ++b)
                blocks[b] = l.owns(b) ? l.pages[b - l.first_block] : take();
        story.mid_block = !blocks.empty() && w.known % block() != 0;
        story.own_page = l.owns(w.known / block());
        if (story.mid_block) story.shares_page = share_block(l, w, blocks.begin()->second);

        std::vector<std::uint32_t> ends = w.arrivals;
        ends.push_back(w.end);
        std::uint32_t begin = w.known;
        for (std::uint32_t const end : ends) {
            if (end <= begin) continue;
            node n{.tag = ++tags,
                   .start = begin,
                   .pages = {},
                   .checkpoint = {},
                   .used = {now, 0, clock, 0},
                   .last_use = now,
                   .weight = l.weight};
            for (auto const& [b, p] : blocks)
                if (b >= begin / block() && b * block() < end) n.pages.push_back(p);
            nodes.emplace(w.tokens.substr(0, 1 + end), std::move(n));
            begin = end;
        }
        for (auto p = w.arrivals.rbegin(); p != w.arrivals.rend(); ++p) {
            path key = holding(w.tokens, *p);
            if (depth_of(key) != *p) {
                key = split(key, *p);
                story.cut_for_checkpoint = true;
            }
            auto& checkpoint = nodes.at(key).checkpoint.emplace();
            for (auto n = layout->checkpoint_pages(token_count{*p}); n > 0; --n)
                checkpoint.push_back(take());
            nodes.at(key).in_answer = *p > l.answer_from;
            if (*p <= w.known) ++story.checkpoints_on_known;
        }
        for (std::uint32_t const p : w.arrivals) // what was here found a second use
            if (p <= w.known) touch(w.tokens.substr(0, 1 + p), l);
        return blocks;
    }

    /// A page that goes on inside a node's last block repeats what the node has there: it takes
    /// that page for its own, unless somebody else has its old one, or stands there and may be
    /// reading it. A lease that works in place may be, too, and keeps it.
    bool share_block(lease& l, work const& w, page in_new_page) {
        page& own = nodes.at(w.attachment).pages.back();
        std::ptrdiff_t const ours = std::ranges::count(l.replaced, own);
        bool const stands = l.stands == w.attachment;
        if (own == in_new_page || owners()[own] != 1 + ours) return false;
        if (kv_pins(w.attachment) != (stands ? 2 : 1)) return false;
        if (l.in_place && stands && ours == 0) l.replaced.push_back(own);
        own = in_new_page;
        return true;
    }

    /// The lease moves on to the end of what is stored.
    void advance(lease& l, work const& w, block_pages const& blocks) {
        if (!l.in_place && w.end != l.position) {
            l.pages.clear();
            if (!blocks.empty() && w.end % block() != 0) { // the block it goes on in
                l.first_block = w.end / block();
                l.pages.push_back(blocks.rbegin()->second);
            }
        }
        path const key = holding(w.tokens, w.end);
        bool const touched = !w.arrivals.empty() && w.arrivals.back() == w.end;
        if (w.end == w.known && w.end > l.position && !touched && depth_of(key) == w.end &&
            l.counted)
            touch(key, l);
        if (w.end > l.position) l.holds.reset();
        l.stands = key;
        l.position = w.end;
    }
};

} // namespace reference
