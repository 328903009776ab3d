#pragma once

#include <marconi/core/types.hpp>
#include <marconi/index/slot_ids.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

namespace marconi::cache {

using checkpoint_id = identifier<struct checkpoint_id_kind>;

/// The recurrent state at one position. The ids of its pages follow the record in memory.
struct checkpoint_record {
    std::uint32_t position;
    std::uint32_t page_count;

    [[nodiscard]] std::span<page_id const> pages() const {
        return {std::launder(reinterpret_cast<page_id const*>(this + 1)), page_count};
    }
};

/// The checkpoints, in slots of one size. So none allocates and frees memory of its own, and in a
/// large cache each is one place in memory and not two.
class checkpoint_table {
public:
    /// `most_pages`: the most pages that any checkpoint has.
    explicit checkpoint_table(std::uint64_t most_pages)
        : slot_bytes_{sizeof(checkpoint_record) + most_pages * sizeof(page_id)},
          chunk_bits_{std::countr_zero(std::bit_floor(chunk_bytes / slot_bytes_ | 1))} {}

    [[nodiscard]] checkpoint_record const& operator[](checkpoint_id id) const {
        return *std::launder(reinterpret_cast<checkpoint_record const*>(slot(id)));
    }
    [[nodiscard]] std::size_t size() const { return ids_.size(); }

    /// Makes the next `n` additions infallible. std::bad_alloc leaves all checkpoints as they were.
    void reserve(std::size_t n) {
        std::size_t const wanted = ids_.slots_with(n);
        while (chunks_.size() << chunk_bits_ < wanted) {
            ids_.reserve((chunks_.size() + 1) << chunk_bits_);
            chunks_.push_back(
                std::make_unique_for_overwrite<std::byte[]>(slot_bytes_ << chunk_bits_));
        }
    }
    /// Precondition: room is reserved.
    checkpoint_id add(std::uint32_t position, std::span<page_id const> pages) noexcept {
        checkpoint_id const id = ids_.take();
        std::byte* const at = slot(id);
        new (at) checkpoint_record{position, static_cast<std::uint32_t>(pages.size())};
        if (!pages.empty())
            std::memcpy(at + sizeof(checkpoint_record), pages.data(), pages.size_bytes());
        return id;
    }
    void remove(checkpoint_id id) noexcept { ids_.give_back(id); }

    /// Bytes of memory held, free slots included.
    [[nodiscard]] std::size_t bytes() const {
        return (chunks_.size() << chunk_bits_) * slot_bytes_ + ids_.bytes();
    }

private:
    static constexpr std::size_t chunk_bytes = 64 << 10; ///< unless one slot is larger

    [[nodiscard]] std::byte* slot(checkpoint_id id) const {
        std::size_t const in_chunk = id.value() & ((1u << chunk_bits_) - 1);
        return chunks_[id.value() >> chunk_bits_].get() + in_chunk * slot_bytes_;
    }

    std::size_t slot_bytes_;
    int chunk_bits_; ///< a chunk has 2^chunk_bits_ slots
    std::vector<std::unique_ptr<std::byte[]>> chunks_;
    index::slot_ids<checkpoint_id> ids_;
};

} // namespace marconi::cache
