#pragma once

#include <marconi/core/hash.hpp>
#include <marconi/core/types.hpp>
#include <marconi/index/arena.hpp>
#include <marconi/index/child_table.hpp>
#include <marconi/index/node.hpp>
#include <marconi/index/paths.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <unordered_map>

namespace marconi::index {

/// Hashes scopes with a seed: tenants may choose part of theirs.
class scope_hash {
public:
    [[nodiscard]] std::size_t operator()(scope const& s) const noexcept {
        return static_cast<std::size_t>(mix(mix(mix(seed_ ^ s.tenant) ^ s.adapter) ^ s.revision));
    }

private:
    std::uint64_t seed_ = random_seed();
};

/// The nodes of all scopes and how they are linked: parents, lists of siblings, the table that
/// finds a child by its first token, and the roots. An only child is found without the table, and
/// is not in it: most nodes of conversations are only children.
template <token Token, class Payload>
class links {
public:
    using node_type = node<Payload>;

    links(std::uint32_t block_tokens, bool has_pages) : paths_{block_tokens, has_pages} {}

    [[nodiscard]] node_type& operator[](node_id id) { return nodes_[id]; }
    [[nodiscard]] node_type const& operator[](node_id id) const { return nodes_[id]; }
    [[nodiscard]] index::paths<Token>& paths() { return paths_; }
    [[nodiscard]] index::paths<Token> const& paths() const { return paths_; }

    /// Whether the node that the reference was taken from is still there.
    [[nodiscard]] bool live(node_ref ref) const {
        return nodes_.live(ref.id) && nodes_.generation(ref.id) == ref.generation;
    }
    [[nodiscard]] node_ref ref(node_id id) const { return {id, nodes_.generation(id)}; }

    /// Nodes, roots included.
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }
    /// Every live node has an id below this.
    [[nodiscard]] std::uint32_t slots() const { return nodes_.slots(); }
    [[nodiscard]] bool live(node_id id) const { return nodes_.live(id); }
    using root_map = std::unordered_map<scope, node_id, scope_hash>;
    /// Bytes that the two maps of roots take: a list node for each entry, and the buckets.
    [[nodiscard]] std::size_t bytes_of_maps() const {
        auto const bytes = [](auto const& map) {
            using entry = typename std::remove_cvref_t<decltype(map)>::value_type;
            std::size_t const buckets = map.bucket_count() > 1 ? map.bucket_count() : 0;
            return buckets * sizeof(void*) + map.size() * (sizeof(entry) + sizeof(void*));
        };
        return bytes(roots_) + bytes(scopes_);
    }
    /// In arbitrary order: no decision may depend on it.
    [[nodiscard]] root_map const& roots() const { return roots_; }

    [[nodiscard]] node_id find_root(scope const& s) const {
        auto const it = roots_.find(s);
        return it == roots_.end() ? node_id{} : it->second;
    }
    node_id make_root(scope const& s) {
        if (node_id const existing = find_root(s)) return existing;
        node_id const id = nodes_.allocate();
        try {
            scopes_.emplace(id.value(), s);
            roots_.emplace(s, id);
        } catch (...) {
            scopes_.erase(id.value());
            nodes_.release(id);
            throw;
        }
        return id;
    }
    /// Removes a root without children.
    void remove_root(node_id id) noexcept {
        auto const it = scopes_.find(id.value());
        roots_.erase(it->second);
        scopes_.erase(it);
        nodes_.release(id);
    }

    /// The tokens of a node's edge.
    [[nodiscard]] std::span<Token const> tokens(node_id id) const {
        node_type const& n = nodes_[id];
        if (n.length == 0) return {};
        return paths_.tokens(n.segment, n.start(), n.depth);
    }

    [[nodiscard]] node_id child(node_id parent, Token const& first) const {
        node_type const& p = nodes_[parent];
        if (p.child_count == 0) return {};
        if (p.child_count == 1)
            return same(tokens(p.first_child)[0], first) ? p.first_child : node_id{};
        return children_.find(children_.hash(parent, first), [&](node_id c) {
            return nodes_[c].parent == parent && same(tokens(c)[0], first);
        });
    }

    /// Whether detach() has taken a node, which knows its parent still, out of that one's list. It
    /// is its own previous sibling then.
    [[nodiscard]] bool is_detached(node_id id) const { return nodes_[id].previous_sibling == id; }

    [[nodiscard]] child_table const& children() const { return children_; }

protected:
    /// Makes the next `n` links infallible: a second child brings the first into the table, too.
    void reserve_links(std::size_t n) { children_.reserve(2 * n); }

    /// Makes `id`, whose edge is in place, a child of `parent`.
    void link(node_id parent, node_id id) noexcept {
        node_type& p = nodes_[parent];
        node_type& n = nodes_[id];
        n.parent = parent;
        n.previous_sibling = {};
        n.next_sibling = p.first_child;
        if (p.first_child) nodes_[p.first_child].previous_sibling = id;
        if (p.child_count == 1) children_.insert(hash_of(p.first_child), p.first_child);
        p.first_child = id;
        if (++p.child_count > 1) children_.insert(hash_of(id), id);
    }

    void unlink(node_id id) noexcept {
        if (is_detached(id)) return;
        node_type& n = nodes_[id];
        node_type& p = nodes_[n.parent];
        if (p.child_count > 1) children_.erase(hash_of(id), id);
        (n.previous_sibling ? nodes_[n.previous_sibling].next_sibling : p.first_child) =
            n.next_sibling;
        if (n.next_sibling) nodes_[n.next_sibling].previous_sibling = n.previous_sibling;
        if (--p.child_count == 1) children_.erase(hash_of(p.first_child), p.first_child);
    }

    /// Puts `to` in the place of `from` under its parent; the edge of `to` begins, or is about to
    /// begin, with the same token.
    void take_place(node_id from, node_id to) noexcept {
        node_type const& f = nodes_[from];
        node_type& t = nodes_[to];
        t.parent = f.parent;
        if (is_detached(from)) return mark_detached(to);
        if (nodes_[f.parent].child_count > 1) children_.replace(hash_of(from), from, to);
        t.previous_sibling = f.previous_sibling;
        t.next_sibling = f.next_sibling;
        (f.previous_sibling ? nodes_[f.previous_sibling].next_sibling
                            : nodes_[f.parent].first_child) = to;
        if (f.next_sibling) nodes_[f.next_sibling].previous_sibling = to;
    }

    void mark_detached(node_id id) noexcept {
        nodes_[id].previous_sibling = id;
        nodes_[id].next_sibling = {};
    }

    arena<node_type, node_id> nodes_;
    child_table children_;
    index::paths<Token> paths_;

private:
    [[nodiscard]] std::uint32_t hash_of(node_id child) const {
        return children_.hash(nodes_[child].parent, tokens(child)[0]);
    }
    [[nodiscard]] static bool same(Token const& a, Token const& b) {
        return std::memcmp(&a, &b, sizeof(Token)) == 0;
    }

    root_map roots_;
    std::unordered_map<std::uint32_t, scope> scopes_; // of the roots, by their ids
};

} // namespace marconi::index
