#pragma once

#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/views.hpp>

#include <concepts>
#include <cstddef>

namespace marconi::memory {

/// Where an arena's memory comes from. allocate throws std::bad_alloc; deallocate gets back what
/// allocate returned, with the same size.
template <class R>
concept resource = std::movable<R> && requires(R r, std::size_t bytes, void* memory) {
    { r.allocate(bytes) } -> std::same_as<void*>;
    { r.deallocate(memory, bytes) }
    noexcept;
};

/// A store keeps what the tree's nodes refer to: an arena of equal pages, the count of their
/// owners, and the copies between pages and an engine's memory.
///
///   stream            the type that orders its copies; empty for stores on the host.
///   holds_bytes       false for a store that only counts: save, load and copy_block do nothing
///                     and views may be empty.
///   layout()          how pages are cut; fixed for the store's life.
///   pages()           who owns which page. Only the cache changes it.
///   save(t, s)        engine -> pages. Throws invalid_argument as check() does, before it copies.
///   load(t, s)        pages -> engine. Likewise.
///   copy_block(a,b,s) page a -> page b, whole.
///
/// Copies are ordered on the stream; a store without streams has copied when the call returns.
template <class S>
concept store = std::movable<S> && std::default_initializable<typename S::stream> &&
    requires(S s, S const& view, transfer const& t, page_id page, typename S::stream const& on) {
    { S::holds_bytes } -> std::convertible_to<bool>;
    { view.layout() } -> std::same_as<page_layout const&>;
    { s.pages() } -> std::same_as<page_pool&>;
    { view.pages() } -> std::same_as<page_pool const&>;
    s.save(t, on);
    view.load(t, on);
    s.copy_block(page, page, on);
};

/// The stream of stores on the host: every copy is done when its call returns.
struct no_stream {};

} // namespace marconi::memory
