#pragma once

#include <marconi/core/hash.hpp>
#include <marconi/core/types.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace marconi::index {

/// The hash under which a parent finds its child: over the parent's id, the edge's first token, and
/// a seed, without which nobody can find tokens whose hashes collide.
template <token Token>
[[nodiscard]] std::uint32_t child_hash(std::uint64_t seed, node_id parent, Token const& first) {
    return static_cast<std::uint32_t>(hash_bytes(seed ^ parent.value(), &first, sizeof(Token)));
}

/// All children that have siblings, in one open-addressing table: finding one of a million children
/// takes as long as finding one of two. 8 bytes a slot, at most three quarters full, linear
/// probing, deletion without tombstones. The table only proposes: the caller confirms a child by
/// its parent and its tokens, so a collision of hashes costs time and nothing else.
class child_table {
public:
    explicit child_table(std::uint64_t seed = random_seed()) : seed_{seed} {}

    template <token Token>
    [[nodiscard]] std::uint32_t hash(node_id parent, Token const& first) const {
        return child_hash(seed_, parent, first);
    }

    /// Makes the next `n` insertions infallible.
    void reserve(std::size_t n) {
        std::size_t const wanted = (size_ + n) * 4 / 3 + 1;
        if (wanted <= slots_.size()) return;
        std::vector<slot> old(std::bit_ceil(wanted < 16 ? 16 : wanted));
        old.swap(slots_);
        for (slot const& s : old)
            if (s.child) place(s);
    }

    void insert(std::uint32_t hash, node_id child) noexcept {
        place({hash, child});
        ++size_;
    }

    /// The first child with this hash that `is_it` confirms; nothing if there is none.
    template <class Confirm>
    [[nodiscard]] node_id find(std::uint32_t hash, Confirm&& is_it) const {
        if (slots_.empty()) return {};
        for (std::size_t at = home(hash); slots_[at].child; at = next(at))
            if (slots_[at].hash == hash && is_it(slots_[at].child)) return slots_[at].child;
        return {};
    }

    /// Replaces `from`, filed under this hash, by `to`.
    void replace(std::uint32_t hash, node_id from, node_id to) noexcept {
        slots_[position(hash, from)].child = to;
    }

    void erase(std::uint32_t hash, node_id child) noexcept {
        std::size_t hole = position(hash, child);
        --size_;
        // An entry further on whose home is at or before the hole moves into it.
        for (std::size_t at = next(hole); slots_[at].child; at = next(at)) {
            std::size_t const wanted = home(slots_[at].hash);
            if (((at - wanted) & (slots_.size() - 1)) >= ((at - hole) & (slots_.size() - 1))) {
                slots_[hole] = slots_[at];
                hole = at;
            }
        }
        slots_[hole].child = {};
    }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t bytes() const { return slots_.capacity() * sizeof(slot); }

private:
    struct slot {
        std::uint32_t hash = 0;
        node_id child;
    };

    [[nodiscard]] std::size_t home(std::uint32_t hash) const { return hash & (slots_.size() - 1); }
    [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }
    [[nodiscard]] std::size_t position(std::uint32_t hash, node_id child) const {
        std::size_t at = home(hash);
        while (slots_[at].child != child)
            at = next(at);
        return at;
    }
    void place(slot s) noexcept {
        std::size_t at = home(s.hash);
        while (slots_[at].child)
            at = next(at);
        slots_[at] = s;
    }

    std::uint64_t seed_;
    std::vector<slot> slots_;
    std::size_t size_ = 0;
};

} // namespace marconi::index
