#include "future.hpp"

#include <marconi/index/match.hpp>

#include <algorithm>
#include <numeric>
#include <tuple>

namespace marconi::replay {

future::future(trace const& requests, bool whole_prompt) {
    auto const& all = requests.requests;
    for (request const& r : all)
        limits_.push_back(r.prompt_tokens - (whole_prompt ? 0 : 1));
    order_.resize(all.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::ranges::sort(order_, [&](std::size_t a, std::size_t b) {
        return std::tie(all[a].tokens, a) < std::tie(all[b].tokens, b);
    });
    place_.resize(all.size());
    in_common_.resize(all.size());
    for (std::size_t i = 0; i < order_.size(); ++i) {
        place_[order_[i]] = i;
        if (i == 0) continue;
        auto const &before = all[order_[i - 1]].tokens, &here = all[order_[i]].tokens;
        in_common_[i] =
            index::common_prefix(before.data(), here.data(), std::min(before.size(), here.size()));
    }
}

future::range future::all_with(path at) const {
    range found{place_[at.request], place_[at.request] + 1};
    while (found.first > 0 && in_common_[found.first] >= at.depth)
        --found.first;
    while (found.last < order_.size() && in_common_[found.last] >= at.depth)
        ++found.last;
    return found;
}

std::size_t future::next(path at, std::optional<path> longer, std::size_t from) const {
    range const here = all_with(at), beyond = longer ? all_with(*longer) : range{0, 0};
    std::size_t soonest = never;
    for (std::size_t i = here.first; i < here.last; ++i) {
        std::size_t const one = order_[i];
        if (one < from || one >= soonest || limits_[one] < at.depth) continue;
        bool const goes_on = beyond.first <= i && i < beyond.last && limits_[one] >= longer->depth;
        if (!goes_on) soonest = one;
    }
    return soonest;
}

known_nodes::node& known_nodes::node_of(node_id id) {
    if (id.value() >= nodes_.size()) nodes_.resize(2 * id.value() + 1);
    return nodes_[id.value()];
}

void known_nodes::add_child(node_id parent, node_id child) {
    node_of(child).parent = parent;
    ++node_of(parent).children;
    node_of(parent).sum_of_children += child.value();
}

void known_nodes::remove_child(node_id parent, node_id child) {
    --node_of(parent).children;
    node_of(parent).sum_of_children -= child.value();
}

void known_nodes::hear(cache::event<std::int32_t> const& e) {
    std::uint64_t const depth = e.position.value();
    switch (e.kind) {
    case cache::event_kind::kv_published:
        node_of(e.node) = {.at = {current, depth}};
        add_child(e.parent, e.node);
        break;
    case cache::event_kind::checkpoint_published:
        node_of(e.node).has_checkpoint = true;
        break;
    case cache::event_kind::checkpoint_removed:
        node_of(e.node).has_checkpoint = false;
        break;
    case cache::event_kind::removed:
        remove_child(e.parent, e.node);
        break;
    case cache::event_kind::split: {
        node_id const above = node_of(e.node).parent;
        node_of(e.parent) = {.at = {node_of(e.node).at.request, depth}};
        remove_child(above, e.node);
        add_child(above, e.parent);
        add_child(e.parent, e.node);
        break;
    }
    case cache::event_kind::merged:
        remove_child(node_of(e.parent).parent, e.parent);
        add_child(node_of(e.parent).parent, e.node);
        break;
    }
}

std::optional<path> known_nodes::path_past(node_id id) const {
    node const& n = nodes_[id.value()];
    if (n.children != 1) return std::nullopt;
    node const& child = nodes_[n.sum_of_children];
    if (!child.has_checkpoint) return std::nullopt;
    return child.at;
}

double foresight::score(node_id node, policy::candidate_facts const& facts) const {
    double const worth = facts.flop_efficiency();
    if (worth <= 0) return 0;
    std::size_t const now = nodes_->current;
    std::size_t const next =
        what_comes_->next(nodes_->path_to(node), nodes_->path_past(node), now + 1);
    return next == future::never ? 0 : worth / static_cast<double>(next - now);
}

std::optional<node_id> foresight::victim(tick) const {
    using rank = std::tuple<double, tick, double, node_id>;
    return index_.minimum([&](node_id node, policy::usage const& h,
                              policy::candidate_facts const& facts) {
        return std::optional{rank{score(node, facts), h.last_use, facts.flop_efficiency(), node}};
    });
}

} // namespace marconi::replay
