#pragma once

// What a call holds while it works, and gives back however it ends.

#include <marconi/core/types.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace marconi::cache {

/// Keeps a node, and so what lies above it, while a commit works on it.
template <class Entries>
class path_pin {
public:
    path_pin(Entries& entries, node_id id) : entries_{&entries}, id_{id} { entries.pin_kv(id); }
    path_pin(path_pin const&) = delete;
    path_pin& operator=(path_pin const&) = delete;
    ~path_pin() { entries_->unpin_kv(id_); }
    void move_to(node_id id) noexcept {
        entries_->pin_kv(id);
        entries_->unpin_kv(std::exchange(id_, id));
    }

private:
    Entries* entries_;
    node_id id_;
};

/// Pages taken from the pool and given back on destruction, unless kept.
template <class Pool>
class page_loan {
public:
    page_loan(Pool& pool, std::size_t count) : pool_{&pool}, pages_(count) {
        pool.allocate(pages_);
    }
    page_loan(page_loan&& other) noexcept
        : pool_{other.pool_}, pages_{std::exchange(other.pages_, {})} {}
    page_loan& operator=(page_loan&&) = delete;
    ~page_loan() { pool_->release(pages_); }
    [[nodiscard]] std::span<page_id const> pages() const { return pages_; }
    [[nodiscard]] std::vector<page_id> keep() noexcept { return std::exchange(pages_, {}); }

private:
    Pool* pool_;
    std::vector<page_id> pages_;
};

} // namespace marconi::cache
