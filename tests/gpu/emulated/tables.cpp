// What a copy is told goes with its launch where there is room, and ahead of it where there is not:
// tables of all sizes, those about each boundary among them, and the bytes that come of them.

#include <contracts/engine_kv.hpp>
#include <contracts/store.hpp>
#include <gpu/device_access.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/gpu/job_tables.hpp>
#include <marconi/gpu/launcher.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using contracts::byte_vector;
using contracts::random_bytes;
using device_store = gpu::basic_device_store<emulated::emulated_launcher>;

namespace {

constexpr std::size_t row = 16, most_pages = 9'000;

/// One layer's keys, a page for each token: a table has one part, and 4 bytes for each token; with
/// an engine that has blocks of a token, too, 4 more.
class copies {
public:
    copies() {
        store_.pages().allocate(pages_);
        std::shuffle(pages_.begin(), pages_.end(), std::mt19937{1});
        std::iota(blocks_.begin(), blocks_.end(), 0);
        std::shuffle(blocks_.begin(), blocks_.end(), std::mt19937{2});
    }

    /// Saves some tokens and loads them elsewhere, checks the bytes; the size of the tables.
    std::size_t there_and_back(std::size_t tokens, bool in_blocks) {
        byte_vector const contents =
            random_bytes(row * most_pages, static_cast<std::uint32_t>(tokens));
        gpu_tests::device_engine_memory from{contents}, to{byte_vector(row * most_pages)};
        memory::kv_layer_view const source{.key = from.data()}, target{.key = to.data()};
        auto const transfer = [&](memory::kv_layer_view const& layer) {
            memory::kv_view view{{&layer, 1}};
            if (in_blocks) view.blocks = std::span{blocks_}.first(tokens), view.block_tokens = 1;
            return memory::transfer{
                .kv = {0_tokens, token_count{tokens}, std::span{pages_}.first(tokens), view}};
        };
        std::size_t const size = gpu::job_tables{transfer(source), store_.layout()}.bytes();
        std::size_t const before = emulated::counts().copies;
        store_.save(transfer(source), on_);
        store_.load(transfer(target), on_);
        CHECK(emulated::counts().copies - before == (size > gpu::most_inline_bytes ? 2 : 0));
        emulated::finish_all();
        byte_vector expected(row * most_pages);
        for (std::size_t t = 0; t < tokens; ++t) {
            std::size_t const at = row * (in_blocks ? static_cast<std::size_t>(blocks_[t]) : t);
            std::copy_n(contents.begin() + static_cast<std::ptrdiff_t>(at), row,
                        expected.begin() + static_cast<std::ptrdiff_t>(at));
        }
        REQUIRE(to.contents() == expected);
        return size;
    }

private:
    device_store store_{footprint{.kv_layers = {{row, 0}}},
                        byte_count{256 * most_pages},
                        {.block_tokens = 1_tokens}};
    std::vector<page_id> pages_ = std::vector<page_id>(most_pages);
    std::vector<std::int32_t> blocks_ = std::vector<std::int32_t>(most_pages);
    gpu::owned_stream on_;
};

} // namespace

TEST_CASE("tables of all sizes, with the launch and ahead of it: every byte is right") {
    emulated::restart(1);
    copies work;
    for (bool const in_blocks : {false, true}) {
        std::size_t const page = in_blocks ? 8 : 4, part = work.there_and_back(1, in_blocks) - page;
        std::set<std::size_t> sizes;
        for (std::size_t tokens = 1; tokens < 40; ++tokens)
            (void)work.there_and_back(tokens, in_blocks);
        for (std::size_t tokens = 40; tokens * page < 36'000; tokens += 97)
            sizes.insert(work.there_and_back(tokens, in_blocks));
        gpu::each_inline_size([&](auto boundary) {
            std::size_t const full = (boundary() - part) / page;
            for (std::size_t tokens = full - 2; tokens <= full + 2; ++tokens)
                sizes.insert(work.there_and_back(tokens, in_blocks));
            CHECK(sizes.contains(boundary()));
        });
        CHECK(*sizes.rbegin() > gpu::most_inline_bytes);
    }
}
