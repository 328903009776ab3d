#include <support/no_memory.hpp>

#include <cstdlib>
#include <new>

namespace {

bool limited = false;
std::size_t left = 0;
std::size_t refusals_left = 0;
bool refused = false;
bool spared = false;

void* allocate(std::size_t size) {
    if (limited && !spared) {
        if (left != 0) {
            --left;
        } else if (refusals_left != 0) {
            --refusals_left;
            refused = true;
            throw std::bad_alloc{};
        }
    }
    if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
    throw std::bad_alloc{};
}

} // namespace

// All forms, so that none of them meets a sanitizer's idea of its counterpart.
void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::nothrow_t const&) noexcept { return std::malloc(size); }
void* operator new[](std::size_t size, std::nothrow_t const&) noexcept { return std::malloc(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

namespace testing {

no_memory::no_memory(std::size_t allowed, std::size_t refusals) {
    limited = true;
    left = allowed;
    refusals_left = refusals;
    refused = false;
}
no_memory::~no_memory() { limited = false; }
bool no_memory::was_asked() const { return refused; }

void spare_memory(bool on) { spared = on; }

} // namespace testing
