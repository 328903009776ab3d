// What bench/gpu copies, where there is a device to measure on, fits the library: of every model
// and arrangement, so that it is not found out there.

#include <gpu/emulated/runtime.hpp>
#include <gpu/request_copies.hpp>

#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/stream.hpp>
#include <marconi/model/presets.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using gpu_bench::arrangement;
using gpu_bench::request_copy;

TEST_CASE("the requests that bench/gpu copies come back as they were") {
    emulated::restart(1);
    auto const arranged =
        GENERATE(arrangement::one_piece, arrangement::blocks, arrangement::blocks_by_head);
    std::string const model = GENERATE("paper-7b", "llama-3.1-8b");
    CAPTURE(name(arranged), model);
    footprint const bytes_of = model::find_preset(model).footprint();
    memory::page_options const cut{.block_tokens = 16_tokens};
    memory::page_layout const layout{bytes_of, cut};
    token_count const length{70};
    std::uint64_t const count = request_copy::page_count(layout, length);
    gpu::basic_device_store<emulated::emulated_launcher> store{bytes_of,
                                                               layout.page_bytes() * count, cut};
    std::vector<page_id> pages(count);
    store.pages().allocate(pages);
    gpu::owned_stream const on;
    request_copy const r{store.layout(), length, pages, arranged};

    auto const fill = [](std::byte* memory, std::size_t bytes, unsigned char with) {
        for (std::size_t i = 0; i < bytes; ++i) // no two rows alike
            memory[i] = static_cast<std::byte>((i * 2654435761u >> 13) + with);
    };
    fill(store.page(page_id{0}).data(), count * layout.page_bytes().value(), 7);
    std::memset(r.engine.data(), 0, r.engine.bytes());
    store.load(r.work(), on);
    emulated::finish_all();
    std::vector<std::byte> const first{r.engine.data(), r.engine.data() + r.engine.bytes()};
    auto const segments = r.segments(store.layout(), store.page(page_id{0}).data(), r.engine);
    std::size_t bytes = 0, wrong = 0;
    for (std::size_t s = 0; s < segments.bytes.size(); ++s) {
        bytes += segments.bytes[s];
        wrong += std::memcmp(segments.in_pages[s], segments.in_engine[s], segments.bytes[s]) != 0;
    }
    if (arranged == arrangement::one_piece) CHECK(wrong == 0);
    auto const zeros = static_cast<std::size_t>(std::ranges::count(first, std::byte{0}));
    CHECK(first.size() - zeros > bytes / 10 * 9);

    std::memset(store.page(page_id{0}).data(), 0, count * layout.page_bytes().value());
    store.save(r.work(), on);
    emulated::finish_all();
    std::memset(r.engine.data(), 0, r.engine.bytes());
    store.load(r.work(), on);
    emulated::finish_all();
    CHECK(std::memcmp(first.data(), r.engine.data(), first.size()) == 0);
}
