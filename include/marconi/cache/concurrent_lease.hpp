#pragma once

#include <marconi/cache/fair_shared_mutex.hpp>
#include <marconi/core/types.hpp>

#include <mutex>
#include <shared_mutex>
#include <span>
#include <utility>

namespace marconi::cache {

template <class Cache>
class concurrent_cache;

/// Means what prefix_cache's lease means. It must not outlive its cache.
template <class Cache>
class concurrent_lease {
public:
    /// Holds nothing.
    concurrent_lease() = default;
    concurrent_lease(concurrent_lease&&) noexcept = default;
    concurrent_lease& operator=(concurrent_lease other) noexcept {
        std::swap(of_, other.of_);
        std::swap(inner_, other.inner_);
        return *this;
    }
    ~concurrent_lease() { release(); }

    [[nodiscard]] explicit operator bool() const { return bool{inner_}; }
    [[nodiscard]] bool stale() const { return inner_.stale(); }

    [[nodiscard]] token_count resume_at() const { return inner_.resume_at(); }
    [[nodiscard]] token_count position() const {
        return read([](auto const& l) { return l.position(); });
    }
    /// Valid while the lease lives.
    [[nodiscard]] std::span<token_count const> capture_at() const { return inner_.capture_at(); }
    [[nodiscard]] bool should_capture(token_count position, bool last = false) const {
        return inner_.should_capture(position, last);
    }
    void used_on(typename Cache::stream const& on) const {
        change([&](auto& l) { l.used_on(on); }, inner_);
    }

    void let_go_checkpoint() noexcept {
        change([](auto& l) { l.let_go_checkpoint(); }, inner_);
    }
    void let_go_kv() noexcept {
        change([](auto& l) { l.let_go_kv(); }, inner_);
    }
    void release() noexcept {
        change([](auto& l) { l.release(); }, inner_);
    }

private:
    friend concurrent_cache<Cache>;
    concurrent_lease(concurrent_cache<Cache>& of, typename Cache::lease inner)
        : of_{&of}, inner_{std::move(inner)} {}

    template <class Read>
    auto read(Read&& what) const {
        std::shared_lock<fair_shared_mutex> held;
        if (inner_) held = std::shared_lock{of_->mutex_};
        return what(inner_);
    }
    template <class Change, class Inner>
    void change(Change&& what, Inner& inner) const {
        std::unique_lock<fair_shared_mutex> held;
        if (inner_) held = std::unique_lock{of_->mutex_};
        what(inner);
    }

    concurrent_cache<Cache>* of_ = nullptr; ///< whose lock to take while there is an inner lease
    typename Cache::lease inner_;
};

} // namespace marconi::cache
