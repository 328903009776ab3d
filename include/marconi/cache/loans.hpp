#pragma once

// What a call holds while it works, and gives back however it ends.

#include <marconi/core/types.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

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
    page_loan(Pool& pool, std::size_t count)
        : pool_{&pool}, pages_{std::make_unique_for_overwrite<page_id[]>(count)}, count_{count} {
        pool.allocate({pages_.get(), count});
    }
    page_loan(page_loan const&) = delete;
    page_loan& operator=(page_loan const&) = delete;
    ~page_loan() {
        if (pool_) pool_->release(pages());
    }
    [[nodiscard]] std::span<page_id const> pages() const { return {pages_.get(), count_}; }
    /// Somebody else owns them now.
    void keep() noexcept { pool_ = nullptr; }

private:
    Pool* pool_;
    std::unique_ptr<page_id[]> pages_;
    std::size_t count_;
};

} // namespace marconi::cache
