#pragma once

#include <marconi/core/types.hpp>
#include <marconi/index/slot_ids.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace marconi::index {

/// Slots for values of one type, addressed by a small id and reused: values never move, a slot's
/// generation changes whenever its value goes, and after reserve(n) the next n allocations cannot
/// fail. Memory grows in chunks of that many slots.
template <class T, class Id, std::size_t chunk_slots = 1024>
class arena {
public:
    arena() = default;
    arena(arena const&) = delete;
    arena& operator=(arena const&) = delete;

    [[nodiscard]] T& operator[](Id id) { return slot_of(id).value; }
    [[nodiscard]] T const& operator[](Id id) const { return slot_of(id).value; }

    [[nodiscard]] std::uint32_t generation(Id id) const { return slot_of(id).generation; }
    /// Odd generations are live, even ones are free.
    [[nodiscard]] bool live(Id id) const {
        return id.value() < ids_.slots() && slot_of(id).generation % 2 == 1;
    }

    /// Live values.
    [[nodiscard]] std::size_t size() const { return ids_.size(); }
    /// Ids handed out so far are below this.
    [[nodiscard]] std::uint32_t slots() const { return ids_.slots(); }

    /// Makes the next `n` allocations infallible. std::bad_alloc leaves all values as they were.
    void reserve(std::size_t n = 1) {
        std::size_t const wanted = ids_.slots_with(n);
        while (chunks_.size() * chunk_slots < wanted) {
            ids_.reserve((chunks_.size() + 1) * chunk_slots);
            chunks_.push_back(std::make_unique<slot[]>(chunk_slots));
        }
    }

    /// A slot with a value-initialised T. O(1).
    Id allocate() {
        reserve();
        Id const id = ids_.take();
        slot& s = slot_of(id);
        s.value = T{};
        ++s.generation;
        return id;
    }

    void release(Id id) noexcept {
        ++slot_of(id).generation;
        ids_.give_back(id);
    }

    /// Bytes of memory held, free slots included.
    [[nodiscard]] std::size_t bytes() const {
        return chunks_.size() * chunk_slots * sizeof(slot) + ids_.bytes();
    }

private:
    struct slot {
        T value{};
        std::uint32_t generation = 0;
    };

    [[nodiscard]] slot& slot_of(Id id) const {
        return chunks_[id.value() / chunk_slots][id.value() % chunk_slots];
    }

    std::vector<std::unique_ptr<slot[]>> chunks_;
    slot_ids<Id> ids_;
};

} // namespace marconi::index
