#pragma once

// A store with streams that holds nothing and waits for nothing: it tells what the cache tells it.

#include <marconi/memory/concepts.hpp>
#include <marconi/memory/ledger_store.hpp>

#include <cstddef>
#include <functional>
#include <span>

namespace support {

class ordered_ledger : public marconi::memory::ledger_store {
    using pages_view = std::span<marconi::page_id const>;

public:
    struct stream {
        int number = 0;
        friend bool operator==(stream, stream) = default;
    };
    using mark_type = int;

    using ledger_store::ledger_store;

    std::size_t* admitted = nullptr;   ///< pages that readers were admitted to
    std::size_t* admissions = nullptr; ///< in so many calls
    std::size_t* written_pages = nullptr;
    std::size_t* marks = nullptr;       ///< how often a stream was asked for one
    std::function<void()> on_load = {}; ///< what happens while something is restored

    void save(marconi::memory::transfer const&, stream) {}
    void load(marconi::memory::transfer const&, stream) const {
        if (on_load) on_load();
    }
    void copy_block(marconi::page_id, marconi::page_id, stream) {}
    void admit_reader(pages_view pages, stream) const {
        if (admitted) *admitted += pages.size();
        if (admissions) ++*admissions;
    }
    void admit_writer(pages_view, stream) {}
    void written(pages_view pages, stream) {
        if (written_pages) *written_pages += pages.size();
    }
    int mark(stream) noexcept {
        if (marks) ++*marks;
        return 0;
    }
    void used(pages_view, int) noexcept {}
};

static_assert(marconi::memory::ordered_store<ordered_ledger>);

} // namespace support
