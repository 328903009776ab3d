#pragma once

#include <marconi/core/types.hpp>
#include <marconi/memory/page_pool.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace marconi::cache {

/// Adds a fault unless a figure is what it should be.
inline void expect_equal(std::vector<std::string>& faults, std::uint64_t found,
                         std::uint64_t expected, std::string const& what) {
    if (found != expected)
        faults.push_back(what + " is " + std::to_string(found) + "; expected " +
                         std::to_string(expected));
}

/// Who owns which page, by what nodes and leases name, for an audit.
template <class Tree>
class page_audit {
public:
    page_audit(Tree const& tree, std::vector<std::string>& faults) : tree_{tree}, faults_{faults} {}

    /// A page of a node: the KV of a block, or a part of a checkpoint.
    struct place {
        node_id node;
        std::optional<std::uint32_t> block;
    };

    /// A lease has it.
    void add(page_id page) { ++owners_[page.value()]; }
    /// A node has it. Nodes may share a page only if one is above the other, for a block that both
    /// touch.
    void add(page_id page, place here) {
        add(page);
        auto const [had, is_new] = places_.emplace(page.value(), here);
        if (is_new) return;
        place& there = had->second; // the deepest so far: what is on its path is on one with it
        bool const one_block = here.block && here.block == there.block;
        if (!one_block || !(is_above(here.node, there.node) || is_above(there.node, here.node)))
            faults_.push_back(name(page.value()) + ": of node " +
                              std::to_string(there.node.value()) + " and of node " +
                              std::to_string(here.node.value()));
        if (tree_[here.node].depth > tree_[there.node].depth) there = here;
    }
    /// Whether the pool says the same. Once all are added.
    void check(memory::page_pool const& pool) {
        std::unordered_set<std::uint32_t> free;
        for (page_id const page : pool.free()) {
            if (!free.insert(page.value()).second)
                faults_.push_back(name(page.value()) + ": freed twice");
            if (owners_.contains(page.value()))
                faults_.push_back(name(page.value()) + ": owned, but free");
        }
        for (std::uint32_t p = 0; p < pool.touched(); ++p)
            if (!free.contains(p)) {
                auto const it = owners_.find(p);
                expect_equal(faults_, pool.owners(page_id{p}), it == owners_.end() ? 0 : it->second,
                             name(p) + ": owners");
            }
        expect_equal(faults_, pool.used(), pool.touched() - free.size(), "pages in use");
        expect_equal(faults_, pool.used() + pool.available(), pool.capacity(),
                     "used and free pages");
    }

private:
    [[nodiscard]] static std::string name(std::uint32_t page) {
        return "page " + std::to_string(page);
    }
    [[nodiscard]] bool is_above(node_id top, node_id id) const {
        while (id != top && tree_[id].depth > tree_[top].depth)
            id = tree_[id].parent;
        return id == top;
    }

    Tree const& tree_;
    std::vector<std::string>& faults_;
    std::unordered_map<std::uint32_t, std::uint32_t> owners_;
    std::unordered_map<std::uint32_t, place> places_;
};

} // namespace marconi::cache
