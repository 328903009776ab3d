#pragma once

#include <marconi/memory/concepts.hpp>

#include <cstddef>
#include <new>
#include <utility>

namespace marconi::memory {

/// Ordinary host memory, aligned to 4 KiB. The system backs it with memory as it is touched.
class host_resource {
public:
    [[nodiscard]] void* allocate(std::size_t bytes) { return ::operator new(bytes, alignment); }
    void deallocate(void* memory, std::size_t) noexcept { ::operator delete(memory, alignment); }

private:
    static constexpr std::align_val_t alignment{4096};
};

static_assert(resource<host_resource>);

/// Memory on loan from a resource; given back on destruction.
template <resource Resource>
class arena_memory {
public:
    arena_memory(Resource resource, std::size_t bytes)
        : resource_{std::move(resource)},
          bytes_{bytes},
          data_{static_cast<std::byte*>(resource_.allocate(bytes))} {}
    arena_memory(arena_memory&& other) noexcept
        : resource_{std::move(other.resource_)},
          bytes_{other.bytes_},
          data_{std::exchange(other.data_, nullptr)} {}
    arena_memory& operator=(arena_memory&& other) noexcept {
        std::swap(resource_, other.resource_);
        std::swap(bytes_, other.bytes_);
        std::swap(data_, other.data_);
        return *this;
    }
    ~arena_memory() {
        if (data_) resource_.deallocate(data_, bytes_);
    }

    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    Resource resource_;
    std::size_t bytes_;
    std::byte* data_;
};

} // namespace marconi::memory
