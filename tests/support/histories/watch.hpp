#pragma once

// What a cache under test is made of: policies chosen at run time, so that one instantiation
// serves all, that check each victim by a full scan; an observer that rebuilds the tree from
// events; and a store whose copies can fail.

#include <support/reference/entries.hpp>
#include <support/reference/ranking.hpp>

#include <marconi/cache/observer.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/admission/spaced.hpp>
#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace histories {

using marconi::node_id;
using marconi::tick;
using reference::path;

/// What the cache under test said while it worked.
struct journal {
    struct told {
        path key;
        std::uint32_t start = 0;
        bool checkpoint = false;
        bool in_answer = false; ///< the checkpoint is
    };
    std::map<std::uint32_t, told> nodes; ///< as events describe them
    std::deque<told> victims;            ///< of the policy, not yet accounted for
    std::uint64_t events = 0;
    std::string fault; ///< the first

    /// Set where memory is made to fail: what the journal needs is not the cache's.
    void (*spare)(bool) = nullptr;

    std::optional<std::uint64_t> copies_left; ///< before one fails

    void complain(std::string const& what) {
        if (fault.empty()) fault = what;
    }
    void victim(node_id id) {
        auto const it = nodes.find(id.value());
        if (it == nodes.end())
            complain("the victim " + std::to_string(id.value()) + " was never announced");
        else
            victims.push_back(it->second);
    }
};

class spared {
public:
    explicit spared(journal const& of) : spare_{of.spare} {
        if (spare_) spare_(true);
    }
    ~spared() {
        if (spare_) spare_(false);
    }
    spared(spared const&) = delete;
    spared& operator=(spared const&) = delete;

private:
    void (*spare_)(bool);
};

/// Follows the events of a cache.
class recorder {
public:
    explicit recorder(journal& into) : into_{&into} {}

    void observe(marconi::cache::event<std::int32_t> const& e) {
        spared const memory{*into_};
        using enum marconi::cache::event_kind;
        if (e.sequence != into_->events++) into_->complain("events are not numbered one by one");
        auto& nodes = into_->nodes;
        auto const known = [&](node_id id) {
            if (nodes.contains(id.value())) return true;
            into_->complain("an event names an unknown node");
            return false;
        };
        if (e.kind == kv_published) return publish(e);
        if (!known(e.kind == merged ? e.parent : e.node)) return;
        auto const position = static_cast<std::uint32_t>(e.position.value());
        if (e.kind == checkpoint_published || e.kind == checkpoint_removed) {
            journal::told& n = nodes.at(e.node.value());
            if (n.checkpoint == (e.kind == checkpoint_published) ||
                reference::depth_of(n.key) != position)
                into_->complain("an event of a checkpoint is wrong");
            n.checkpoint = e.kind == checkpoint_published;
            n.in_answer = e.in_answer;
        } else if (e.kind == removed) {
            nodes.erase(e.node.value());
        } else if (e.kind == split) {
            journal::told& lower = nodes.at(e.node.value());
            journal::told const upper{lower.key.substr(0, 1 + position), lower.start};
            lower.start = position;
            if (!nodes.emplace(e.parent.value(), upper).second)
                into_->complain("a split's new node is not new");
        } else if (e.kind == merged && known(e.node)) {
            nodes.at(e.node.value()).start = nodes.at(e.parent.value()).start;
            nodes.erase(e.parent.value());
        }
    }

private:
    void publish(marconi::cache::event<std::int32_t> const& e) {
        auto const above = into_->nodes.find(e.parent.value());
        journal::told n;
        n.key = above != into_->nodes.end()
                    ? above->second.key
                    : path(1, static_cast<char>(e.in.tenant)); // below a root
        if (n.key[0] != static_cast<char>(e.in.tenant))
            into_->complain("a publication's scope is wrong");
        n.start = reference::depth_of(n.key);
        for (std::int32_t const t : e.tokens)
            n.key.push_back(static_cast<char>(t));
        if (reference::depth_of(n.key) != e.position.value())
            into_->complain("a publication's position is wrong");
        if (!into_->nodes.emplace(e.node.value(), std::move(n)).second)
            into_->complain("a published node is not new");
    }

    journal* into_;
};

/// Any of the admission policies.
struct any_admission {
    std::variant<marconi::policy::branch_and_tail, marconi::policy::spaced, marconi::policy::always>
        policy;

    [[nodiscard]] marconi::policy::capture_rule
    captures(marconi::policy::request_facts const& facts) const {
        return std::visit([&](auto const& p) { return p.captures(facts); }, policy);
    }
};

/// Any of the eviction policies; every answer is compared with that of a full scan.
class watched_eviction {
public:
    using history = reference::history;
    struct row {
        node_id node;
        reference::candidate known;
    };

    watched_eviction(reference::rule by, journal& into) : by_{by}, into_{&into} {
        if (by.by == reference::rule::gdsf) policy_.emplace<marconi::policy::gdsf>();
        if (by.by == reference::rule::flop_aware)
            policy_.emplace<marconi::policy::flop_aware>(by.alpha);
        if (by.by == reference::rule::expected_savings)
            policy_.emplace<marconi::policy::expected_savings>(reference::all_strange_odds());
    }

    [[nodiscard]] history created(tick now) const {
        return std::visit([&](auto const& p) { return wide(p.created(now)); }, policy_);
    }
    [[nodiscard]] history used(history const& h, tick now) const {
        return std::visit([&](auto const& p) { return wide(p.used(as(p, h), now)); }, policy_);
    }
    [[nodiscard]] history merged(history const& child, history const& parent) const {
        return std::visit(
            [&](auto const& p) { return wide(p.merged(as(p, child), as(p, parent))); }, policy_);
    }
    void insert(node_id node, history const& h, marconi::policy::candidate_facts const& f) {
        if (find(node) != rows_.end()) return into_->complain("inserts a candidate twice");
        rows_.reserve(rows_.size() + 1);
        std::visit([&](auto& p) { p.insert(node, as(p, h), f); }, policy_);
        rows_.push_back({node, {h, f}});
    }
    void update(node_id node, history const& h,
                marconi::policy::candidate_facts const& f) noexcept {
        auto const at = find(node);
        if (at == rows_.end()) return into_->complain("updates what is no candidate");
        std::visit([&](auto& p) { p.update(node, as(p, h), f); }, policy_);
        at->known = {h, f};
    }
    void erase(node_id node) noexcept {
        auto const at = find(node);
        if (at == rows_.end()) return into_->complain("erases what is no candidate");
        std::visit([&](auto& p) { p.erase(node); }, policy_);
        rows_.erase(at);
    }
    [[nodiscard]] std::optional<node_id> victim(tick now) const {
        auto const chosen = std::visit([&](auto const& p) { return p.victim(now); }, policy_);
        spared const memory{*into_};
        if (chosen != scan(now)) into_->complain("the victim is not that of a full scan");
        return chosen;
    }
    void evicted(node_id node) noexcept {
        std::visit([&](auto& p) { p.evicted(node); }, policy_);
        rows_.erase(find(node));
        spared const memory{*into_};
        into_->victim(node);
    }
    [[nodiscard]] std::size_t size() const {
        return std::visit([](auto const& p) { return p.size(); }, policy_);
    }

    [[nodiscard]] std::vector<row> const& rows() const { return rows_; }

private:
    template <class Policy>
    static typename Policy::history as(Policy const&, history const& h) {
        using own = typename Policy::history;
        if constexpr (std::same_as<own, marconi::policy::gdsf::history>)
            return {h.last_use, h.uses, h.clock};
        else if constexpr (std::same_as<own, marconi::policy::expected_savings::history>)
            return {h.last_use, h.resumed, h.uses};
        else
            return {h.last_use, h.uses};
    }
    static history wide(marconi::policy::usage const& h) { return {h.last_use, h.uses}; }
    static history wide(marconi::policy::gdsf::history const& h) {
        return {h.last_use, h.uses, h.clock};
    }
    static history wide(marconi::policy::expected_savings::history const& h) {
        return {h.last_use, h.turns, 0, h.uses};
    }

    std::vector<row>::iterator find(node_id node) {
        return std::find_if(rows_.begin(), rows_.end(),
                            [&](row const& r) { return r.node == node; });
    }

    /// Ties: the lowest id.
    [[nodiscard]] std::optional<node_id> scan(tick now) const {
        std::vector<reference::candidate> all;
        for (row const& r : rows_)
            all.push_back(r.known);
        auto const ranks = reference::ranks_of(by_, all, now);
        std::optional<std::size_t> best;
        for (std::size_t i = 0; i < ranks.size(); ++i)
            if (!best ||
                std::pair{ranks[i], rows_[i].node} < std::pair{ranks[*best], rows_[*best].node})
                best = i;
        return best ? std::optional{rows_[*best].node} : std::nullopt;
    }

    std::variant<marconi::policy::lru, marconi::policy::gdsf, marconi::policy::flop_aware,
                 marconi::policy::expected_savings>
        policy_;
    std::vector<row> rows_;
    reference::rule by_;
    journal* into_;
};

/// Host memory whose copies fail when the journal says so.
class failing_store : public marconi::memory::host_store {
    using base = marconi::memory::host_store;

public:
    failing_store(base store, journal& of) : base{std::move(store)}, of_{&of} {}

    void save(marconi::memory::transfer const& t, marconi::memory::no_stream on) {
        count_copy();
        base::save(t, on);
    }
    void load(marconi::memory::transfer const& t, marconi::memory::no_stream on) const {
        count_copy();
        base::load(t, on);
    }
    void copy_block(marconi::page_id from, marconi::page_id to, marconi::memory::no_stream on) {
        count_copy();
        base::copy_block(from, to, on);
    }

    struct copy_failed : std::runtime_error {
        copy_failed() : std::runtime_error{"the copy failed"} {}
    };

private:
    void count_copy() const {
        if (!of_->copies_left) return;
        if (*of_->copies_left == 0) throw copy_failed{};
        --*of_->copies_left;
    }

    journal* of_;
};

} // namespace histories
