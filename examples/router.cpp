// A small router: two engines tell it what their caches gain and lose, and it sends each request to
// the one that can resume most of it. Events are plain data. Between machines they would be sent as
// messages, and a gap in the sequence numbers would show a lost one; the router then starts again
// from a snapshot.

#include <marconi/marconi.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <random>
#include <span>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

/// One engine's cache, as its events tell it: edges by node, and which can be resumed from.
class remote_view {
public:
    /// Forgets what it knew, and learns what is there: at first, or after an event was lost.
    void start_from(auto const& cache) {
        struct learner {
            remote_view* view;
            void observe(event<std::int32_t> const& e) { view->apply(e); }
        };
        *this = {};
        next_ = cache.snapshot(learner{this});
    }
    void hear(event<std::int32_t> const& e) {
        lost_ = lost_ || e.sequence != next_++;
        apply(e);
    }
    [[nodiscard]] bool lost() const { return lost_; }

    /// How far a prompt could be resumed there, all tokens but the last at most.
    [[nodiscard]] std::size_t resumable(scope const& in, std::span<std::int32_t const> prompt) {
        std::size_t depth = 0, best = 0;
        auto const root = roots_.find(in);
        for (node_id at = root == roots_.end() ? node_id{} : root->second; at;) {
            node_id next;
            for (node_id const child : children_[at]) {
                auto const& tokens = edges_[child].tokens;
                auto const rest = prompt.subspan(depth);
                if (rest.size() > tokens.size() &&
                    std::ranges::equal(tokens, rest.first(tokens.size())))
                    next = child;
            }
            if (next) depth += edges_[next].tokens.size();
            if (next && edges_[next].resumable) best = depth;
            at = next;
        }
        return best;
    }

private:
    void apply(event<std::int32_t> const& e) {
        switch (e.kind) {
        case event_kind::kv_published:
            edges_[e.node] = {e.parent, {e.tokens.begin(), e.tokens.end()}};
            if (!edges_.contains(e.parent)) roots_[e.in] = e.parent; // no event told of it: a root
            children_[e.parent].push_back(e.node);
            break;
        case event_kind::checkpoint_published:
            edges_[e.node].resumable = true;
            break;
        case event_kind::checkpoint_removed:
            edges_[e.node].resumable = false;
            break;
        case event_kind::removed:
            edges_.erase(e.node);
            std::erase(children_[e.parent], e.node);
            if (children_[e.parent].empty()) {
                children_.erase(e.parent);
                // A scope's root goes when it is empty, and another node may get its number.
                std::erase_if(roots_, [&](auto const& root) { return root.second == e.parent; });
            }
            break;
        case event_kind::split: { // a new parent takes the first tokens
            edge& lower = edges_[e.node];
            std::size_t const start = e.position.value() - depth_of(lower.parent);
            auto const cut = lower.tokens.begin() + static_cast<std::ptrdiff_t>(start);
            edge const upper{lower.parent, {lower.tokens.begin(), cut}};
            lower.tokens.erase(lower.tokens.begin(), cut);
            std::ranges::replace(children_[lower.parent], e.node, e.parent);
            lower.parent = e.parent;
            children_[e.parent] = {e.node};
            edges_[e.parent] = upper;
            break;
        }
        case event_kind::merged: { // the child has its parent's tokens, too
            edge& lower = edges_[e.node];
            edge const upper = edges_[e.parent];
            lower.tokens.insert(lower.tokens.begin(), upper.tokens.begin(), upper.tokens.end());
            lower.parent = upper.parent;
            std::ranges::replace(children_[upper.parent], e.parent, e.node);
            edges_.erase(e.parent);
            children_.erase(e.parent);
            break;
        }
        }
    }

    struct edge {
        node_id parent;
        std::vector<std::int32_t> tokens;
        bool resumable = false;
    };
    [[nodiscard]] std::size_t depth_of(node_id id) const {
        std::size_t depth = 0;
        for (auto at = edges_.find(id); at != edges_.end(); at = edges_.find(at->second.parent))
            depth += at->second.tokens.size();
        return depth;
    }

    std::map<node_id, edge> edges_;
    std::map<node_id, std::vector<node_id>> children_;
    std::map<scope, node_id> roots_;
    std::uint64_t next_ = 0;
    bool lost_ = false;
};

/// What the cache calls: its fifth part, beside store, options, admission and eviction.
struct to_router {
    remote_view* view;
    void observe(event<std::int32_t> const& e) noexcept { view->hear(e); }
};
using engine_cache = prefix_cache<ledger_store, branch_and_tail, gdsf, to_router>;

int main() {
    footprint const model = model::find_preset("nemotron-h-8b").footprint();
    auto const make = [&](remote_view& view) {
        return engine_cache{ledger_store{model, 4_GiB}, {}, {}, {}, to_router{&view}};
    };
    remote_view views[2];
    engine_cache first = make(views[0]), second = make(views[1]);
    engine_cache* const caches[2] = {&first, &second};

    std::mt19937 random{3};
    std::vector<std::vector<std::int32_t>> chats(40);
    std::size_t right = 0, asked = 0;
    for (int request = 0; request < 600; ++request) {
        if (request == 300) views[1].start_from(second); // like a router that was restarted
        std::size_t const who = random() % chats.size();
        auto& chat = chats[who];
        for (auto more = 200 + random() % 800; more > 0; --more) // all chats begin alike
            chat.push_back(static_cast<std::int32_t>(chat.size() < 300 ? chat.size() : random()));
        scope const in{.tenant = who % 2};

        std::size_t known[2];
        for (int e = 0; e < 2; ++e) {
            known[e] = views[e].resumable(in, chat);
            right += known[e] == caches[e]->match(in, chat).resumable.value();
            ++asked;
        }
        // A prefix that everybody shares is no reason to go where everybody goes.
        int const knows = known[1] > known[0];
        int const idle = second.stats().requests < first.stats().requests;
        engine_cache& chosen = *caches[known[knows] > chat.size() / 3 ? knows : idle];
        auto lease = chosen.open(in, chat);
        std::vector<captured_state> captured;
        for (token_count const position : lease.capture_at())
            captured.push_back({position});
        captured.push_back({token_count{chat.size()}});
        chosen.commit(lease, chat, {.checkpoints = captured});
    }

    auto const share = [](engine_cache const& cache) {
        auto const& s = cache.stats();
        return 100.0 * static_cast<double>(s.tokens_resumed.value()) /
               static_cast<double>(s.tokens_asked.value());
    };
    std::printf("the router knew %zu of %zu depths; engines resumed %.1f %% and %.1f %% of what "
                "they were asked, with %lu and %lu evictions\n",
                right, asked, share(first), share(second), first.stats().evictions(),
                second.stats().evictions());
    bool const lost = views[0].lost() || views[1].lost();
    return right == asked && !lost && first.stats().evictions() > 100 ? 0 : 1;
}
