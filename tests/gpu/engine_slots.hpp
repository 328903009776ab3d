#pragma once

// An engine's memory on a device, in slots of one request each, and what it copies between them
// and the host without ever waiting: buffers of the host are pinned, and used again when their copy
// is known to be done.

#include <gpu/device_access.hpp>

#include <marconi/core/footprint.hpp>
#include <marconi/gpu/pinned_resource.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/memory/views.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <utility>
#include <vector>

namespace gpu_tests {

using marconi::gpu::stream_ref;

/// Pinned buffers that are on their way, and what to do with each when its copy is done.
class pinned_buffers {
    struct buffer {
        memory_of<pinned_resource> memory;
        cudaEvent_t done = nullptr;
        std::function<void(std::byte const*)> then = {};
        bool busy = false;
    };

public:
    explicit pinned_buffers(std::size_t bytes) : bytes_{bytes} {}
    pinned_buffers(pinned_buffers const&) = delete;
    pinned_buffers& operator=(pinned_buffers const&) = delete;
    ~pinned_buffers() {
        for (buffer& b : all_)
            marconi::gpu::cuda_events::destroy(b.done);
    }

    /// Calls enqueue(buffer's memory); when what it enqueued is done, `then` with the same.
    template <class Enqueue>
    void use(stream_ref on, Enqueue&& enqueue, std::function<void(std::byte const*)> then = {}) {
        buffer& b = free_one();
        enqueue(b.memory.data());
        marconi::gpu::cuda_events::record(b.done, on);
        b.busy = true;
        b.then = std::move(then);
    }
    /// Looks which copies are done, without waiting.
    void poll() {
        for (buffer& b : all_) {
            if (!b.busy || !marconi::gpu::cuda_events::done(b.done)) continue;
            b.busy = false;
            if (b.then) b.then(b.memory.data());
        }
    }
    [[nodiscard]] bool all_done() {
        poll();
        for (buffer const& b : all_)
            if (b.busy) return false;
        return true;
    }

private:
    buffer& free_one() {
        for (buffer& b : all_)
            if (!b.busy) return b;
        all_.push_back({{pinned_resource{}, bytes_}});
        all_.back().done = marconi::gpu::cuda_events::create();
        return all_.back();
    }

    std::size_t bytes_;
    std::list<buffer> all_;
};

inline void enqueue_copy(void* to, void const* from, std::size_t bytes, stream_ref on) {
    if (bytes == 0) return;
    marconi::gpu::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, on.get()),
                        "cudaMemcpyAsync");
}

/// The memory of one request: per layer all keys, then all values; then its state, and room for
/// copies of the state at some positions.
class engine_slot {
public:
    static constexpr std::size_t max_tokens = 200;
    static constexpr std::size_t max_captures = 6;

    explicit engine_slot(marconi::footprint const& model)
        : memory_{device_resource{}, bytes_for(model)} {
        std::byte* at = memory_.data();
        auto const take = [&](std::size_t bytes) {
            return std::exchange(at, at + (bytes + 15) / 16 * 16);
        };
        for (auto const& layer : model.kv_layers) {
            std::byte* const key = take(layer.key_bytes * max_tokens);
            layers_.push_back({.key = key, .value = take(layer.value_bytes * max_tokens)});
        }
        for (std::size_t i = 0; i <= max_captures; ++i)
            for (auto const& piece : model.state_pieces)
                states_[i].push_back(take(piece.bytes_at(1u << 20)));
    }

    [[nodiscard]] marconi::memory::kv_view kv() const { return {layers_}; }
    /// The state that the model works on.
    [[nodiscard]] marconi::memory::state_view state() const { return {states_[max_captures]}; }
    [[nodiscard]] marconi::memory::state_view capture(std::size_t i) const { return {states_[i]}; }

    cudaEvent_t idle = nullptr; ///< behind the last request's work

private:
    static std::size_t bytes_for(marconi::footprint const& model) {
        std::size_t bytes = 64 * (1 + model.kv_layers.size());
        for (auto const& layer : model.kv_layers)
            bytes += (layer.key_bytes + layer.value_bytes) * max_tokens;
        for (auto const& piece : model.state_pieces)
            bytes += (piece.bytes_at(1u << 20) + 16) * (max_captures + 1);
        return bytes;
    }

    memory_of<device_resource> memory_;
    std::vector<marconi::memory::kv_layer_view> layers_{};
    std::vector<std::byte*> states_[max_captures + 1];
};

} // namespace gpu_tests
