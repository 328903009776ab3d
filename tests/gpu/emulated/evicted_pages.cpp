// What a listener copies from pages that are about to go is right, on whatever streams the cache's
// calls and the copies are.

#include <gpu/device_history.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/spill.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>
#include <support/told_paths.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using support::cache_event;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;

namespace {

/// Copies all that goes, on streams of its own.
class archivist {
public:
    void listen_to(device_store const& store) {
        store_ = &store;
        room_.emplace(store, store.layout().page_bytes() * pages_in_room);
    }
    void hear(cache_event const& e) {
        auto told = paths_.hear(e);
        if (!support::is_removal(e)) return;
        copy& one = copies_.emplace_back(
            copy{std::move(told), support::engine_request{store_->layout().model()}, {}});
        auto& room = room_->pages();
        if (copies_.size() % 2 == 0 && e.pages.size() <= room.available()) {
            one.spilled.resize(e.pages.size());
            room.allocate(one.spilled);
            (void)room_->spill(e.pages, one.spilled);
        } else {
            gpu::stream_ref const on = on_[copies_.size() / 2 % 2];
            one.told.copy_by(e.pages, one.memory, [&](auto const& t) { store_->load(t, on); });
        }
    }
    /// The room goes before the store.
    void leave() { room_.reset(); }
    /// How many copies are not what was committed. All that is in flight is done.
    [[nodiscard]] std::size_t wrong() {
        return static_cast<std::size_t>(
            std::ranges::count_if(copies_, [&](copy& one) { return !is_right(one); }));
    }
    [[nodiscard]] std::size_t copies() const { return copies_.size(); }
    [[nodiscard]] std::size_t spilled() const { return room_->pages().used(); }

private:
    static constexpr std::uint64_t pages_in_room = 2000;
    struct copy {
        support::told_pages told;
        support::engine_request memory;
        std::vector<page_id> spilled;
    };

    /// Pages in the room are cut as the store's are: host_copy reads them.
    [[nodiscard]] bool is_right(copy& one) {
        if (!one.spilled.empty())
            one.told.copy_by(one.spilled, one.memory, [&](auto const& t) {
                memory::copy(gpu::direction::to_engine, room_->page(page_id{0}).data(),
                             store_->layout(), t);
            });
        return one.told.is_in(one.memory);
    }

    support::told_paths paths_;
    device_store const* store_ = nullptr;
    gpu::owned_stream on_[2];
    std::optional<gpu::spill_room<emulated::emulated_launcher>> room_;
    std::list<copy> copies_;
};

struct to_archivist {
    archivist* all;
    void observe(cache_event const& e) noexcept { all->hear(e); }
};
using watched_cache =
    cache::prefix_cache<device_store, policy::branch_and_tail, policy::gdsf, to_archivist>;

struct copies_made {
    std::size_t copies = 0, spilled = 0, wrong_copies = 0, wrong_restores = 0;
};

/// Four streams of requests, in which pages soon have new owners.
copies_made evict_all_along(footprint const& model, std::uint64_t block, std::uint64_t seed) {
    emulated::restart(seed);
    emulated::reaching_all const hosts_memory;
    copies_made r;
    memory::page_options const cut{token_count{block}, 256_B};
    byte_count const page = memory::page_layout{model, cut}.page_bytes();
    archivist all;
    {
        watched_cache cache{device_store{model, page * 24, cut}, {}, {}, {}, {&all}};
        all.listen_to(cache.store());
        gpu_tests::device_history story{cache, seed, 4};
        for (int i = 0; i < 1500; ++i)
            story.step();
        story.finish();
        emulated::finish_all();
        r = {all.copies(), all.spilled(), all.wrong(), story.wrong()};
        all.leave();
    }
    return r;
}

} // namespace

TEST_CASE("what goes is copied on any stream, before its pages' next owners write there") {
    std::size_t copies = 0, spilled = 0;
    for (auto const& model :
         {support::hybrid_model(), support::attention_model(), support::recurrent_model()})
        for (std::uint64_t const block : {1u, 4u}) {
            CAPTURE(model.model, block);
            copies_made const r = evict_all_along(model, block, block);
            CHECK(r.wrong_copies == 0);
            CHECK(r.wrong_restores == 0);
            copies += r.copies;
            spilled += r.spilled;
        }
    CHECK(copies > 1'000);
    CHECK(spilled > 1'000);
}

TEST_CASE("without waits some of what goes would be copied wrong") {
    std::size_t wrong = 0;
    emulated::without_waits const none;
    for (std::uint64_t seed = 1; seed <= 4; ++seed)
        wrong += evict_all_along(support::hybrid_model(), 4, seed).wrong_copies;
    CHECK(wrong > 0);
}
