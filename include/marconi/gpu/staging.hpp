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
#include <utility>
#include <vector>

namespace marconi::gpu {

/// Buffers for the tables of copies: written on the host, sent to the device on the copy's own
/// stream, reused when the copy is done. If none that is large enough is free, one more is made:
/// after construction, memory is allocated then and only then.
class staging {
    struct slot {
        memory::arena_memory<pinned_resource> pinned;
        memory::arena_memory<device_resource> on_device;
        ticket last_use = {};
        bool taken = false; ///< by a copy that is being enqueued, or failed to be
    };

public:
    /// A slot on loan to one copy. Unless used_by() is called it is never lent again: the copy
    /// failed, and some of it may have been enqueued.
    class loan {
    public:
        explicit loan(slot& s) : slot_{&s} { s.taken = true; }
        [[nodiscard]] std::byte* host() const { return slot_->pinned.data(); }
        [[nodiscard]] std::byte* device() const { return slot_->on_device.data(); }

        /// Copies what was written on the host to the device, ahead of what the stream does next.
        void send(std::size_t bytes, stream_ref on) const {
            check(cudaMemcpyAsync(device(), host(), bytes, cudaMemcpyHostToDevice, on.get()),
                  "cudaMemcpyAsync");
        }
        void used_by(ticket t) const noexcept {
            slot_->last_use = t;
            slot_->taken = false;
        }

    private:
        slot* slot_;
    };

    explicit staging(int device) : device_{device} {
        for (std::size_t i = 0; i < at_first; ++i)
            grow(least_bytes);
    }
    staging(staging const&) = delete;
    staging& operator=(staging const&) = delete;
    /// Copies that used a slot are done, by their tickets. A copy that failed has none: since some
    /// of it may have been enqueued, this waits for all of the device.
    ~staging() {
        if (std::ranges::none_of(slots_, &slot::taken)) return;
        try {
            beside_captures const aside;
            device_scope const here{device_};
            (void)cudaDeviceSynchronize();
        } catch (...) { // a device that cannot be made current does nothing any more
        }
    }

    /// Asks the device about one large enough buffer after another: about those in flight at most.
    template <class Order>
    [[nodiscard]] loan take(std::size_t bytes, Order& order) {
        for (std::size_t seen = 0; seen < slots_.size(); ++seen) {
            slot& s = slots_[turn_++ % slots_.size()];
            if (!s.taken && bytes <= s.pinned.bytes() && order.done(s.last_use)) return loan{s};
        }
        grow(std::max(least_bytes, std::bit_ceil(bytes)));
        return loan{slots_.back()};
    }
    [[nodiscard]] std::size_t slots() const { return slots_.size(); }

private:
    static constexpr std::size_t at_first = 4;
    static constexpr std::size_t least_bytes = 64 << 10;

    void grow(std::size_t bytes) {
        slots_.reserve(slots_.size() + 1);
        slots_.push_back({{pinned_resource{}, bytes}, {device_resource{device_}, bytes}});
    }

    int device_;
    std::vector<slot> slots_;
    std::size_t turn_ = 0;
};

} // namespace marconi::gpu
