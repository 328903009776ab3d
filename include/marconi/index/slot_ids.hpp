#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace marconi::index {

/// Which slots are in use. Ids count from 0; ids that were given back are taken first, the last one
/// given back before the others.
template <class Id>
class slot_ids {
public:
    /// Ids in use.
    [[nodiscard]] std::size_t size() const { return slots_ - free_.size(); }
    /// Ids taken so far are below this.
    [[nodiscard]] std::uint32_t slots() const { return slots_; }
    /// How many slots it takes for `n` more ids to be in use.
    [[nodiscard]] std::size_t slots_with(std::size_t n) const {
        return slots_ + n - std::min(n, free_.size());
    }

    /// Makes give_back() infallible for this many slots. std::bad_alloc leaves all as it was.
    void reserve(std::size_t slots) {
        if (free_.capacity() < slots) free_.reserve(2 * slots);
    }
    /// Precondition: there is a slot for the id.
    [[nodiscard]] Id take() noexcept {
        if (free_.empty()) return Id{slots_++};
        Id const id = free_.back();
        free_.pop_back();
        return id;
    }
    void give_back(Id id) noexcept { free_.push_back(id); }

    /// Bytes of memory held.
    [[nodiscard]] std::size_t bytes() const { return free_.capacity() * sizeof(Id); }

private:
    std::vector<Id> free_;
    std::uint32_t slots_ = 0;
};

} // namespace marconi::index
