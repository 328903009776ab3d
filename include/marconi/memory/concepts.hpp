#pragma once

#include <marconi/core/types.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/page_pool.hpp>
#include <marconi/memory/transfer.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace marconi::memory {

/// Where an arena's memory comes from. allocate throws std::bad_alloc; deallocate gets back what
/// allocate returned, with the same size.
template <class R>
concept resource = std::movable<R> && requires(R r, std::size_t bytes, void* memory) {
    { r.allocate(bytes) } -> std::same_as<void*>;
    { r.deallocate(memory, bytes) }
    noexcept;
};

/// A store owns what the tree's nodes refer to: an arena of equal pages, with a count of the owners
/// of each. It copies between pages and an engine's memory.
///
///   stream            tells a call where its copies belong: a CUDA stream or, for a relay_store,
///                     the request; no_stream where there is nothing to tell.
///   holds_bytes       false for a store that only counts: save, load and copy_block do nothing and
///                     views may be empty. True if copies are made, here or elsewhere (by the
///                     ranks of a relay_store).
///   reads_views       optional, by default holds_bytes: false where views stand for memory
///                     elsewhere (relay_store); if true, a commit checks them as check() does
///                     before it evicts anything.
///   copies_beside_calls  optional, by default false: true if save, load and copy_block may run
///                     beside every other call. None of those writes rows that they read or write
///                     (copy_block may read what a save is writing: nobody uses that part of its
///                     copy). A concurrent_cache then copies with no lock held; otherwise it copies
///                     alone.
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
    typename std::bool_constant<S::holds_bytes>;
    { view.layout() } -> std::same_as<page_layout const&>;
    { s.pages() } -> std::same_as<page_pool&>;
    { view.pages() } -> std::same_as<page_pool const&>;
    s.save(t, on);
    view.load(t, on);
    s.copy_block(page, page, on);
};

template <class S>
inline constexpr bool reads_views = S::holds_bytes;
template <class S>
    requires requires { S::reads_views; }
inline constexpr bool reads_views<S> = S::reads_views;

template <class S>
inline constexpr bool copies_beside_calls = false;
template <class S>
    requires requires { S::copies_beside_calls; }
inline constexpr bool copies_beside_calls<S> = S::copies_beside_calls;

/// A store whose copies go on after their calls return, beside the host and, on several streams,
/// beside each other. Its own copies wait for each other where they must: a reader of a page for
/// the last write, a writer for the last write and all reads since, also where the page has a new
/// owner. For pages that an engine reads and writes in place, the cache tells the store the rest:
///
///   admit_reader(pages, s)  before work that reads the pages is enqueued on s. Throws for a stream
///                           that the store does not take, also if there are no pages.
///   admit_writer(pages, s)  before work that writes them is enqueued on s.
///   written(pages, s)       once that work is enqueued: from here on others may read the pages.
///   mark(s)                 returns a mark for all that is enqueued on s so far. Cannot fail.
///   used(pages, m)          the work that m stands for may have read or written the pages: whoever
///                           gets them next waits for it. Cannot fail; O(pages).
///
/// None of them waits on the host, except mark() where there is no other way to stand for that
/// work. What the cache calls as const must be safe to call beside itself.
template <class S>
concept ordered_store = store<S> &&
    requires(S s, S const& view, std::span<page_id const> pages, typename S::stream const& on,
             typename S::mark_type mark) {
    view.admit_reader(pages, on);
    s.admit_writer(pages, on);
    s.written(pages, on);
    { s.mark(on) }
    noexcept->std::same_as<typename S::mark_type>;
    { s.used(pages, mark) }
    noexcept;
};

/// The stream of stores on the host: every copy is done when its call returns.
struct no_stream {};

} // namespace marconi::memory
