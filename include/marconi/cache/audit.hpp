#pragma once

#include <marconi/cache/page_audit.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/audit.hpp>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace marconi::cache {

/// Recomputes every invariant of a cache from scratch and says what is broken; an empty answer is a
/// clean bill. A ranking or a merge put off until the next eviction for lack of memory is not
/// broken. O(nodes + pages + tokens). For tests after every step, and for production in doubt.
template <class Cache>
class auditor {
public:
    explicit auditor(Cache const& cache)
        : cache_{cache}, entries_{cache.internals()}, tree_{entries_.tree()} {}

    [[nodiscard]] std::vector<std::string> run() {
        faults_ = index::audit(tree_);
        if (!faults_.empty()) return faults_; // the rest would follow broken links
        count_leases();
        count_detached();
        for (std::uint32_t i = 0; i < tree_.slots(); ++i)
            if (tree_.live(node_id{i})) check_node(node_id{i});
        pages_.check(cache_.store().pages());
        check_totals();
        return faults_;
    }

private:
    void fault(std::string text) { faults_.push_back(std::move(text)); }
    [[nodiscard]] static std::string name(node_id id) {
        return "node " + std::to_string(id.value());
    }
    void expect(std::uint64_t found, std::uint64_t expected, std::string const& what) {
        expect_equal(faults_, found, expected, what);
    }

    void count_leases() {
        lease_table const& leases = cache_.leases();
        for (std::uint32_t i = 0; i < leases.slots(); ++i) {
            if (!leases.live(lease_id{i})) continue;
            lease_record const& lease = leases[lease_id{i}];
            std::string const who = "lease " + std::to_string(i);
            if (lease.kv_pinned) {
                ++kv_pins_[lease.node.value()];
                if (!tree_.live(lease.node))
                    fault(who + " pins a node that is gone");
                else if (tree_[lease.node].depth != lease.position)
                    fault(who + " does not stand at the end of its node");
            }
            if (lease.checkpoint_node) {
                ++checkpoint_pins_[lease.checkpoint_node.value()];
                if (!tree_.live(lease.checkpoint_node) ||
                    !entries_.has_checkpoint(lease.checkpoint_node))
                    fault(who + " pins a checkpoint that is gone");
            }
            if (lease.committing) ++kv_pins_[lease.committing.value()];
            for (auto const* owned : {&lease.pages, &lease.replaced, &lease.filling})
                for (page_id const page : *owned)
                    pages_.add(page);
        }
    }

    /// What was forgotten pins what is above it.
    void count_detached() {
        for (std::uint32_t i = 0; i < tree_.slots(); ++i)
            if (tree_.live(node_id{i}) && tree_.is_detached(node_id{i}))
                ++kv_pins_[tree_[node_id{i}].parent.value()];
    }

    void check_node(node_id id) {
        auto const& n = tree_[id];
        auto const& payload = n.payload;
        expect(payload.kv_pins, kv_pins_[id.value()], name(id) + ": KV pins");
        expect(payload.checkpoint_pins, checkpoint_pins_[id.value()],
               name(id) + ": checkpoint pins");
        if (payload.in_answer && !payload.checkpoint)
            fault(name(id) + ": a state in an answer that is not there");
        bool const pinned = payload.kv_pins != 0 || payload.checkpoint_pins != 0;
        if (n.is_root()) {
            if (n.is_leaf() && !pinned) fault(name(id) + ": an empty root");
            return;
        }
        check_kv_pages(id);
        if (payload.checkpoint) {
            checkpoint_record const& c = entries_.checkpoint(id);
            expect(c.position, n.depth, name(id) + ": its checkpoint's position");
            expect(c.page_count, cache_.store().layout().checkpoint_pages(token_count{c.position}),
                   name(id) + ": its checkpoint's pages");
            for (page_id const page : c.pages())
                pages_.add(page, {id, {}});
            ++checkpoints_;
            checkpoint_pages_ += c.page_count;
        } else if (!pinned) {
            if (n.child_count == 1 && !entries_.merges_put_off())
                fault(name(id) + ": should have merged into its child");
            if (n.is_leaf() && entries_.pages(n).empty()) fault(name(id) + ": owns nothing");
        }
        auto const& above = tree_[n.parent];
        if (payload.forgotten != (above.payload.forgotten || tree_.is_detached(id)))
            fault(name(id) + ": forgotten or not");
        if (payload.forgotten) return check_forgotten(id);
        expect(payload.resume_above,
               above.is_root() || above.payload.checkpoint ? above.depth
                                                           : above.payload.resume_above,
               name(id) + ": nearest checkpoint above");
        check_rank(id);
    }

    void check_kv_pages(node_id id) {
        std::uint32_t block = tree_[id].start() / cache_.store().layout().block_tokens();
        for (page_id const page : entries_.pages(tree_[id])) {
            if (!page) fault(name(id) + ": a block without a page");
            pages_.add(page, {id, block++});
        }
    }

    /// What was forgotten stays only for pins, saves nothing, and is no candidate.
    void check_forgotten(node_id id) {
        auto const& payload = tree_[id].payload;
        if (payload.checkpoint && payload.checkpoint_pins == 0)
            fault(name(id) + ": a state forgotten and not pinned");
        if (tree_[id].is_leaf() && payload.kv_pins == 0 && payload.checkpoint_pins == 0)
            fault(name(id) + ": forgotten, and nobody needs it");
        check_rank(id);
    }

    void check_rank(node_id id) {
        auto const& n = tree_[id];
        constexpr auto unranked = std::remove_cvref_t<decltype(n.payload)>::unranked;
        bool const ranked = n.payload.ranked_pages != unranked;
        bool const candidate = entries_.is_candidate(n);
        if (ranked && !candidate) return fault(name(id) + ": ranked, but no candidate");
        if (!ranked && candidate && !entries_.awaits_ranking()) fault(name(id) + ": not ranked");
        if (!ranked) return;
        expect(n.payload.ranked_pages, entries_.pages_freed(n), name(id) + ": pages it would free");
        if (entries_.goes_whole(n))
            expect(n.payload.ranked_pages, pages_of_its_own(id), name(id) + ": pages of its own");
        candidate_pages_ += n.payload.ranked_pages;
        ++candidates_;
    }

    /// Pages that have one owner, by the counts that page_audit checks.
    [[nodiscard]] std::uint64_t pages_of_its_own(node_id id) const {
        auto const& pool = cache_.store().pages();
        std::uint64_t own = entries_.has_checkpoint(id) ? entries_.checkpoint(id).page_count : 0;
        for (page_id const page : entries_.pages(tree_[id]))
            own += page && page.value() < pool.touched() && pool.owners(page) == 1;
        return own;
    }

    void check_totals() {
        expect(entries_.eviction().size(), candidates_, "candidates in the policy's index");
        expect(entries_.candidate_pages(), candidate_pages_, "pages of all candidates");
        expect(entries_.checkpoint_count(), checkpoints_, "checkpoints");
        expect(entries_.checkpoint_pages(), checkpoint_pages_, "pages of all checkpoints");
    }

    Cache const& cache_;
    typename Cache::entries_type const& entries_;
    typename Cache::entries_type::tree_type const& tree_;
    std::unordered_map<std::uint32_t, std::uint32_t> kv_pins_, checkpoint_pins_;
    std::uint64_t candidates_ = 0, candidate_pages_ = 0, checkpoints_ = 0, checkpoint_pages_ = 0;
    std::vector<std::string> faults_;
    page_audit<typename Cache::entries_type::tree_type> pages_{tree_, faults_};
};

/// What is wrong with a cache; nothing, if all is well.
template <class Cache>
[[nodiscard]] std::vector<std::string> audit(Cache const& cache) {
    return auditor<Cache>{cache}.run();
}

} // namespace marconi::cache
