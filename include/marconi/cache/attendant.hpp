#pragma once

#include <marconi/cache/lease_record.hpp>
#include <marconi/cache/outcome.hpp>
#include <marconi/core/types.hpp>

#include <span>

namespace marconi::cache {

/// An attendant is told by the cache itself of every commit, before and after it is made, and of
/// what is cleared. It may change the policies' parameters, and must not throw. Caches that learn
/// from their requests are made of one (tune/).
///
///   shown = before_commit(lease, tokens, brought, entries)
///   after_commit(shown, lease, tokens, entries, admission)    unless the commit threw
///   cleared(scope), cleared()
///
/// This is the default: it attends to nothing, at no cost.
struct no_attendant {
    /// Makes it, for a cache on any store.
    struct maker {
        template <class Store>
        no_attendant operator()(Store const&) const noexcept {
            return {};
        }
    };
    struct nothing {};
    template <class... Facts>
    nothing before_commit(Facts const&...) const noexcept {
        return {};
    }
    template <class... Facts>
    void after_commit(nothing, Facts const&...) const noexcept {}
    void cleared(scope const&) const noexcept {}
    void cleared() const noexcept {}
};

/// What a cache with these entries asks of one.
template <class A, class Token, class Entries, class Admission>
concept attendant = requires(A a, lease_record const& lease, std::span<Token const> tokens,
                             computed const& brought, Entries& entries, Admission& admission,
                             scope const& in) {
    { a.before_commit(lease, tokens, brought, entries) }
    noexcept;
    {
        a.after_commit(a.before_commit(lease, tokens, brought, entries), lease, tokens, entries,
                       admission)
    }
    noexcept;
    { a.cleared(in) }
    noexcept;
    { a.cleared() }
    noexcept;
};

} // namespace marconi::cache
