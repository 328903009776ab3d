// Four streams at once, in the worst order that events allow; and the same with each of the things
// that keep them apart left out in turn, which must show.

#include <gpu/device_history.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/basic_device_store.hpp>

#include <support/catch.hpp>
#include <support/engine.hpp>

#include <cstdint>
#include <optional>

using namespace marconi;
using namespace marconi::literals;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;

namespace {

enum class left_out { nothing, admit_reader, admit_writer, written, used };

/// A store that is not told all that the cache says.
struct forgetful_store : device_store {
    using device_store::device_store;
    left_out omission = left_out::nothing;

    void admit_reader(std::span<page_id const> pages, gpu::stream_ref on) const {
        if (omission != left_out::admit_reader) device_store::admit_reader(pages, on);
    }
    void admit_writer(std::span<page_id const> pages, gpu::stream_ref on) {
        if (omission != left_out::admit_writer) device_store::admit_writer(pages, on);
    }
    void written(std::span<page_id const> pages, gpu::stream_ref on) {
        if (omission != left_out::written) device_store::written(pages, on);
    }
    void used(std::span<page_id const> pages, gpu::ticket by) noexcept {
        if (omission != left_out::used) device_store::used(pages, by);
    }
};
static_assert(memory::ordered_store<forgetful_store>);

struct result {
    std::size_t checked = 0, wrong = 0;
    emulated::call_counts calls = {};
};

result play(footprint const& model, std::uint64_t block, std::uint64_t pages, int steps,
            std::uint64_t seed, left_out omission = left_out::nothing) {
    emulated::restart(seed);
    memory::page_options const cut{token_count{block}, 256_B};
    byte_count const page = memory::page_layout{model, cut}.page_bytes();
    forgetful_store store{model, page * pages, cut};
    store.omission = omission;
    cache::prefix_cache<forgetful_store> cache{std::move(store)};
    gpu_tests::device_history story{cache, seed, 4};
    auto const host_waits = emulated::counts().host_waits;
    for (int i = 0; i < steps; ++i)
        story.step();
    REQUIRE(emulated::counts().host_waits == host_waits);
    story.finish();
    return {story.checked(), story.wrong(), emulated::counts()};
}

/// Wrong bytes in histories of different seeds. (Of a hybrid model alone some would not show: who
/// waits for a checkpoint has waited for the KV before it.)
std::size_t wrong_without(left_out omission) {
    std::size_t wrong = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed)
        for (auto const& model : {support::hybrid_model(), support::attention_model()})
            for (std::uint64_t const pages : {24u, 60u})
                if (wrong == 0 || omission == left_out::nothing)
                    wrong += play(model, 4, pages, 1500, seed, omission).wrong;
    return wrong;
}

} // namespace

TEST_CASE("four streams, copying and in place: every byte is right, and the host never waits") {
    std::size_t checked = 0, waits = 0;
    for (auto const& model :
         {support::hybrid_model(), support::attention_model(), support::recurrent_model()})
        for (std::uint64_t const block : {1u, 4u, 17u})
            for (std::uint64_t const pages : {12u, 40u, 200u}) {
                CAPTURE(model.model, block, pages);
                result const r = play(model, block, pages, 1000, 100 * block + pages);
                CHECK(r.wrong == 0);
                checked += r.checked;
                waits += r.calls.waits;
            }
    CHECK(checked > 2'000);
    CHECK(waits > 2'000);
}

TEST_CASE("without what keeps streams apart, bytes are wrong: the test above would see it") {
    SECTION("nothing left out") { CHECK(wrong_without(left_out::nothing) == 0); }
    SECTION("in-place readers that do not wait for writes") {
        CHECK(wrong_without(left_out::admit_reader) > 0);
    }
    SECTION("in-place writers that do not wait for a page's last owner") {
        CHECK(wrong_without(left_out::admit_writer) > 0);
    }
    SECTION("pages written in place that others are not told of") {
        CHECK(wrong_without(left_out::written) > 0);
    }
    SECTION("leases that end without a trace of who read their pages") {
        CHECK(wrong_without(left_out::used) > 0);
    }
    SECTION("no waits at all, those of the engine included") {
        emulated::without_waits const none;
        CHECK(wrong_without(left_out::nothing) > 0);
    }
}

TEST_CASE("a cache that learns on a store with streams: every byte is right") {
    emulated::restart(5);
    gpu_tests::learn_in_four_streams<device_store>([](device_store const&) {});
}
