#pragma once

#include <marconi/core/types.hpp>
#include <marconi/gpu/arena_place.hpp>
#include <marconi/gpu/job_tables.hpp>
#include <marconi/gpu/launcher.hpp>
#include <marconi/gpu/staging.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/gpu/stream_order.hpp>
#include <marconi/memory/host_copy.hpp>
#include <marconi/memory/layout.hpp>
#include <marconi/memory/transfer.hpp>
#include <marconi/memory/view_checks.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>

namespace marconi::gpu {

/// Enqueues copies in and out of one arena on a device, in the order that stream_order gives them.
/// Several host threads may call.
template <launcher Launcher>
class device_copies {
    using order = stream_order<cuda_events>;

public:
    /// On the current device.
    device_copies(arena_place arena, memory::page_layout const& layout)
        : arena_{arena.at},
          page_bytes_{layout.page_bytes().value()},
          device_{current_device()},
          size_{device_, arena.on_host},
          staging_{device_} {
        Launcher::load();
    }
    /// Waits on the host for all enqueued copies: their memory goes next, and frees need not wait.
    ~device_copies() { order_.finish(); }

    [[nodiscard]] int device() const { return device_; }
    [[nodiscard]] std::byte* arena() const { return arena_; }

    /// From now on copies take at most `most` multiprocessors; 0: as many as serve. Copies to
    /// another arena, or from it, take few in any case: they wait for the link to the host.
    void limit_multiprocessors(std::uint32_t most) {
        std::scoped_lock const alone{mutex_};
        size_.limit(most);
    }

    /// Copies all of a transfer in one launch. Every page's id is less than `touched`.
    void copy(direction way, memory::transfer const& t, memory::page_layout const& layout,
              std::uint64_t touched, stream_ref on) {
        memory::check(t, layout);
        job_tables const tables{t, layout};
        if (tables.bytes() == 0) return;
        turn const mine{*this, touched, on};
        order::operation work{order_, on};
        bool const saves = way == direction::to_pages;
        auto const each_list = [&](auto&& visit) {
            if (t.kv.begin != t.kv.end) visit(t.kv.pages);
            for (memory::checkpoint_transfer const& c : t.checkpoints)
                visit(c.pages);
        };
        each_list([&](auto pages) { saves ? work.writes(pages) : work.reads(pages); });
        ticket const done = tables.bytes() <= most_inline_bytes ? launch(way, tables, work, on)
                                                                : send(way, tables, work, on);
        each_list([&](auto pages) {
            saves ? order_.note_written(done, pages) : order_.note_read(done, pages);
        });
    }

    /// Whole pages within the arena; no page is named twice.
    void copy_pages(std::span<page_id const> from, std::span<page_id const> to,
                    std::uint64_t touched, stream_ref on) {
        (void)move_pages(
            arena_, arena_, from, to, touched, on,
            [&](order::operation& work) {
                work.reads(from);
                work.writes(to);
            },
            [&](ticket done) {
                order_.note_read(done, from);
                order_.note_written(done, to);
            });
    }
    /// Copies pages of the arena to those of another that the device can write: pinned host memory.
    /// The other arena's pages are ordered by the stream alone.
    ticket copy_out(std::span<page_id const> from, std::byte* other, std::span<page_id const> to,
                    std::uint64_t touched, stream_ref on) {
        return move_pages(
            arena_, other, from, to, touched, on, [&](order::operation& work) { work.reads(from); },
            [&](ticket done) { order_.note_read(done, from); });
    }
    /// And back.
    ticket copy_in(std::byte const* other, std::span<page_id const> from,
                   std::span<page_id const> to, std::uint64_t touched, stream_ref on) {
        return move_pages(
            other, arena_, from, to, touched, on, [&](order::operation& work) { work.writes(to); },
            [&](ticket done) { order_.note_written(done, to); });
    }

    // ---- pages that an engine reads and writes in place ----

    /// What is enqueued on the stream from now on may read, or write, the pages.
    void admit_reader(std::span<page_id const> pages, std::uint64_t touched, stream_ref on) {
        turn const mine{*this, touched, on};
        order::operation{order_, on}.reads(pages);
    }
    void admit_writer(std::span<page_id const> pages, std::uint64_t touched, stream_ref on) {
        turn const mine{*this, touched, on};
        order::operation{order_, on}.writes(pages);
    }
    /// What was enqueued on the stream until now has written the pages.
    void written(std::span<page_id const> pages, std::uint64_t touched, stream_ref on) {
        turn const mine{*this, touched, on};
        order::operation work{order_, on};
        work.writes(pages);
        order_.note_written(work.finish(), pages);
    }
    /// A ticket for what was enqueued on the stream until now. If no event can be had for it, this
    /// waits on the host until all of it is done. A stream that is being captured ends the program.
    [[nodiscard]] ticket mark(std::uint64_t touched, stream_ref on) noexcept {
        try {
            turn const mine{*this, touched, on};
            return order::operation{order_, on}.finish();
        } catch (...) {
            cuda_events::finish_or_stop(on, device_);
            return {};
        }
    }
    /// The work up to `by` may have used the pages. Noted as a read: later writes wait for it.
    void used(std::span<page_id const> pages, ticket by) noexcept {
        if (by.when == 0) return;
        std::scoped_lock const alone{mutex_};
        order_.note_read(by, pages);
    }

    [[nodiscard]] bool done(ticket t) {
        std::scoped_lock const alone{mutex_};
        beside_captures const aside;
        return order_.done(t);
    }
    /// Events and staging buffers in existence, idle ones too. Not beside other calls.
    [[nodiscard]] std::size_t events() const { return order_.events(); }
    [[nodiscard]] std::size_t staging_slots() const { return staging_.slots(); }

private:
    /// What a call holds: the mutex, the arena's device as the current one (events belong to it),
    /// and room for notes on pages below `touched`.
    struct turn {
        turn(device_copies& of, std::uint64_t touched, stream_ref on)
            : alone{of.mutex_}, here{of.device_, on} {
            of.order_.reserve(touched);
        }
        std::scoped_lock<std::mutex> alone;
        call_scope here;
    };
    /// A copy whose tables are arguments of its launch.
    ticket launch(direction way, job_tables const& tables, order::operation& work, stream_ref on) {
        copy_job const job = tables.write(inline_.at, arena_);
        if (job.tiles != 0)
            Launcher::copy_inline(way, job, inline_.at, tables.bytes(), size_.shape_for(job.tiles),
                                  on);
        return work.finish();
    }
    /// A copy whose tables are sent ahead of its launch.
    ticket send(direction way, job_tables const& tables, order::operation& work, stream_ref on) {
        staging::loan buffer = staging_.take(tables.bytes(), order_);
        copy_job job = tables.write(buffer.host(), arena_);
        job.read_from(buffer.device());
        buffer.send(tables.bytes(), on);
        if (job.tiles != 0) Launcher::copy(way, job, size_.shape_for(job.tiles), on);
        ticket const done = work.finish();
        buffer.used_by(done);
        return done;
    }

    template <class Wait, class Note>
    ticket move_pages(std::byte const* from_arena, std::byte* to_arena,
                      std::span<page_id const> from, std::span<page_id const> to,
                      std::uint64_t touched, stream_ref on, Wait&& wait, Note&& note) {
        memory::expect_count(to.size(), from.size(), "number of pages to copy to");
        if (from.empty()) return {};
        turn const mine{*this, touched, on};
        order::operation work{order_, on};
        wait(work);
        std::size_t const lists = from.size_bytes();
        std::optional<staging::loan> buffer; // a single pair goes with the launch
        if (from.size() > 1) {
            buffer.emplace(staging_.take(2 * lists, order_));
            std::memcpy(buffer->host(), from.data(), lists);
            std::memcpy(buffer->host() + lists, to.data(), lists);
            buffer->send(2 * lists, on);
        }
        page_job const job = make_page_job(from_arena, to_arena, page_bytes_, from, to,
                                           buffer ? buffer->device() : nullptr);
        Launcher::copy_pages(job,
                             from_arena == to_arena ? size_.shape_for(job.tiles)
                                                    : size_.shape_over_link(job.tiles),
                             on);
        ticket const done = work.finish();
        if (buffer) buffer->used_by(done);
        note(done);
        return done;
    }

    std::byte* arena_;
    std::uint64_t page_bytes_;
    int device_;
    launch_size size_;
    std::mutex mutex_;
    order order_;
    inline_tables<most_inline_bytes> inline_;
    staging staging_;
};

} // namespace marconi::gpu
