#pragma once

// What a call holds while it works, and gives back however it ends.

#include <marconi/cache/lease_record.hpp>
#include <marconi/core/types.hpp>
#include <marconi/memory/page_pool.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace marconi::cache {

/// Pins a node, and so keeps what lies above it, while a lease's commit works on it.
template <class Entries>
class path_pin {
public:
    path_pin(Entries& entries, lease_record& lease, node_id id)
        : entries_{&entries}, at_{&lease.committing} {
        entries.pin_kv(*at_ = id);
    }
    path_pin(path_pin const&) = delete;
    path_pin& operator=(path_pin const&) = delete;
    ~path_pin() { entries_->unpin_kv(std::exchange(*at_, {})); }
    void move_to(node_id id) noexcept {
        entries_->pin_kv(id);
        entries_->unpin_kv(std::exchange(*at_, id));
    }

private:
    Entries* entries_;
    node_id* at_;
};

/// Pages taken from the pool, named in a list that was empty, and given back on destruction, unless
/// kept.
class page_loan {
public:
    page_loan(memory::page_pool& pool, std::vector<page_id>& list, std::size_t count)
        : pool_{&pool}, list_{&list} {
        std::vector<page_id> pages(count);
        pool.allocate(pages);
        list.swap(pages);
    }
    page_loan(page_loan const&) = delete;
    page_loan& operator=(page_loan const&) = delete;
    ~page_loan() {
        if (pool_) pool_->release(*list_);
        std::vector<page_id>{}.swap(*list_);
    }
    /// Somebody else owns them now.
    void keep() noexcept { pool_ = nullptr; }

private:
    memory::page_pool* pool_;
    std::vector<page_id>* list_;
};

} // namespace marconi::cache
