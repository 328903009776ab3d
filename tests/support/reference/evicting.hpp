#pragma once

// Eviction, by looking at all candidates. Which of several equally ranked ones goes, the other
// cache decides.

#include <support/reference/entries.hpp>
#include <support/reference/ranking.hpp>

#include <marconi/cache/stats.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

namespace reference {

using marconi::byte_count;
using marconi::cache::counters;
using marconi::cache::eviction_reason;

/// The other cache did something that this one would not have done.
struct disagreement : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class evicting : public entries {
public:
    evicting(marconi::memory::page_layout const& cut, std::uint64_t pages, rule by) : by_{by} {
        layout = &cut;
        capacity = pages;
    }

    /// The path of the node that the other cache evicted next, if it did.
    std::function<std::optional<path>()> next_victim;

    counters counts;
    tick now;
    double clock = 0; ///< of gdsf

    /// Evicts that many, as a call did that failed afterwards.
    void evict_entries(std::size_t count, eviction_reason why) {
        while (count-- > 0)
            (void)evict_one(why);
    }

    [[nodiscard]] std::vector<std::pair<path, candidate>> candidates() const {
        std::vector<std::pair<path, candidate>> all;
        auto const owned = owners();
        for (auto const& [key, n] : nodes)
            if (is_candidate(key)) all.push_back({key, {n.used, facts(key, owned)}});
        return all;
    }

protected:
    void touch(path const& key, lease const& by) {
        history& h = nodes.at(key).used;
        nodes.at(key).weight = std::max(nodes.at(key).weight, by.weight);
        nodes.at(key).last_use = now;
        h = {now, h.uses + 1, clock, h.resumed + (by_.by == rule::expected_savings)};
    }

    bool evict_one(eviction_reason why) {
        auto const all = candidates();
        std::optional<path> const theirs = next_victim();
        if (!theirs) {
            if (all.empty()) return false;
            throw disagreement{"evicted too little"};
        }
        std::vector<candidate> bare;
        for (auto const& [key, c] : all)
            bare.push_back(c);
        auto const ranks = ranks_of(by_, bare, now + tick{1});
        auto const least = std::min_element(ranks.begin(), ranks.end());
        std::size_t mine = 0;
        while (mine < all.size() && all[mine].first != *theirs)
            ++mine;
        if (mine == all.size()) throw disagreement{"evicted no candidate: " + *theirs};
        if (*least < ranks[mine])
            throw disagreement{"evicted " + *theirs + " before " +
                               all[static_cast<std::size_t>(least - ranks.begin())].first};
        if (by_.by == rule::gdsf) clock = std::max(clock, gdsf_priority(bare[mine]));
        evict_counted(*theirs, why);
        return true;
    }

    void evict_counted(path const& key, eviction_reason why) {
        auto const reason = static_cast<std::size_t>(why);
        ++(goes_whole(key) ? counts.nodes_evicted : counts.checkpoints_evicted)[reason];
        std::uint64_t const before = used();
        evict(key);
        counts.bytes_evicted += layout->page_bytes() * (before - used());
    }
    using entries::evict;

    /// Pages that are free once everything has gone that may go.
    [[nodiscard]] std::uint64_t obtainable() const {
        entries left = *this;
        for (auto it = left.nodes.begin(); it != left.nodes.end();) {
            if (left.is_candidate(it->first)) {
                left.evict(it->first);
                it = left.nodes.begin();
            } else {
                ++it;
            }
        }
        return left.available();
    }

    void make_room(std::uint64_t wanted, eviction_reason why) {
        while (available() < wanted)
            if (!evict_one(why)) throw disagreement{"no room where there should be some"};
    }

private:
    rule by_;
};

} // namespace reference
