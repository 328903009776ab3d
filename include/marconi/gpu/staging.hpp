#pragma once

#include <marconi/gpu/device_resource.hpp>
#include <marconi/gpu/error.hpp>
#include <marconi/gpu/pinned_resource.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/stream_order.hpp>
#include <marconi/memory/host_resource.hpp>

#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace marconi::gpu {

/// Buffers for the tables of copies: written on the host, sent to the device on the copy's own
/// stream, reused when the copy is done. If none that is large enough is found free, one more is
/// made: after construction, memory is allocated then and only then.
class staging {
    struct slot {
        memory::arena_memory<pinned_resource> pinned;
        memory::arena_memory<device_resource> on_device;
        ticket last_use = {};
    };

public:
    /// A slot on loan to one copy, the only one at a time.
    class loan {
    public:
        explicit loan(slot& s) : slot_{&s} {}
        loan(loan&& other) noexcept
            : slot_{other.slot_}, sent_on_{std::exchange(other.sent_on_, std::nullopt)} {}
        loan& operator=(loan&&) = delete;
        /// A copy that fails after it sent has no ticket: this waits for its stream on the host.
        ~loan() {
            if (sent_on_) cuda_events::finish(*sent_on_);
        }
        [[nodiscard]] std::byte* host() const { return slot_->pinned.data(); }
        [[nodiscard]] std::byte* device() const { return slot_->on_device.data(); }

        /// Copies what was written on the host to the device, ahead of what the stream does next.
        void send(std::size_t bytes, stream_ref on) {
            check(cudaMemcpyAsync(device(), host(), bytes, cudaMemcpyHostToDevice, on.get()),
                  "cudaMemcpyAsync");
            sent_on_ = on;
        }
        void used_by(ticket t) noexcept {
            slot_->last_use = t;
            sent_on_.reset();
        }

    private:
        slot* slot_;
        std::optional<stream_ref> sent_on_;
    };

    explicit staging(int device) : device_{device} {
        for (std::size_t i = 0; i < at_first; ++i)
            grow(least_bytes);
    }
    staging(staging const&) = delete;
    staging& operator=(staging const&) = delete;

    /// Asks the device about a few buffers that are large enough, those lent longest ago first.
    template <class Order>
    [[nodiscard]] loan take(std::size_t bytes, Order& order) {
        std::size_t asked = 0;
        for (std::size_t i = 0; i < slots_.size() && asked < most_asked; ++i) {
            std::size_t const at = (oldest_ + i) % slots_.size();
            if (slots_[at].pinned.bytes() < bytes) continue;
            if (order.done(slots_[at].last_use)) return lend(at);
            ++asked;
        }
        grow(std::max(least_bytes, std::bit_ceil(bytes)));
        return lend(oldest_);
    }
    [[nodiscard]] std::size_t slots() const { return slots_.size(); }

private:
    static constexpr std::size_t at_first = 4, most_asked = 8;
    static constexpr std::size_t least_bytes = 64 << 10;

    /// Puts the new one where the oldest is.
    void grow(std::size_t bytes) {
        slots_.reserve(slots_.size() + 1);
        slots_.insert(slots_.begin() + static_cast<std::ptrdiff_t>(oldest_),
                      slot{{pinned_resource{}, bytes}, {device_resource{device_}, bytes}});
    }
    /// What was lent is the newest.
    [[nodiscard]] loan lend(std::size_t at) {
        oldest_ = (at + 1) % slots_.size();
        return loan{slots_[at]};
    }

    int device_;
    std::vector<slot> slots_; ///< in a circle: lent longest ago from `oldest_` on
    std::size_t oldest_ = 0;
};

} // namespace marconi::gpu
