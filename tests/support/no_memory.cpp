#include <support/no_memory.hpp>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

// Threads of what is tested allocate, too.
std::atomic<bool> limited = false;
std::atomic<std::size_t> left = 0;
std::atomic<std::size_t> refusals_left = 0;
std::atomic<bool> refused = false;
std::atomic<bool> spared = false;
std::atomic<std::size_t> made = 0;
std::atomic<std::size_t> held = 0;

/// Room for the size, before what is handed out: not every delete says it.
constexpr std::size_t before = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
static_assert(before >= sizeof(std::size_t));

void* take(std::size_t size) noexcept {
    void* const begin = std::malloc(before + size);
    if (!begin) return nullptr;
    std::memcpy(begin, &size, sizeof(size));
    held += size;
    return static_cast<std::byte*>(begin) + before;
}

void* allocate(std::size_t size) {
    if (!spared) ++made;
    if (limited && !spared) {
        if (left != 0) {
            --left;
        } else if (refusals_left != 0) {
            --refusals_left;
            refused = true;
            throw std::bad_alloc{};
        }
    }
    if (void* p = take(size)) return p;
    throw std::bad_alloc{};
}

void give_back(void* p) noexcept {
    if (!p) return;
    void* const begin = static_cast<std::byte*>(p) - before;
    std::size_t size = 0;
    std::memcpy(&size, begin, sizeof(size));
    held -= size;
    std::free(begin);
}

} // namespace

// All forms, so that none of them meets a sanitizer's idea of its counterpart.
void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::nothrow_t const&) noexcept { return take(size); }
void* operator new[](std::size_t size, std::nothrow_t const&) noexcept { return take(size); }
void operator delete(void* p) noexcept { give_back(p); }
void operator delete[](void* p) noexcept { give_back(p); }
void operator delete(void* p, std::size_t) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t) noexcept { give_back(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { give_back(p); }
void operator delete[](void* p, std::nothrow_t const&) noexcept { give_back(p); }

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

std::size_t allocations() { return made; }
std::size_t bytes_held() { return held; }

} // namespace testing
