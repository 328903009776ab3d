// A store of your own: it keeps pages compressed by run lengths, and stands in for any memory that
// the library does not know (a file, another machine, an accelerator). It passes what the library's
// stores pass: the store concept.

#include <marconi/marconi.hpp>
#include <marconi/memory/concepts.hpp>
#include <marconi/memory/host_copy.hpp>

#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

class compressed_store {
public:
    using stream = memory::no_stream;
    static constexpr bool holds_bytes = true;

    compressed_store(footprint model, byte_count capacity, page_options options = {})
        : layout_{std::move(model), options},
          pages_{capacity.value() / layout_.page_bytes().value()} {}

    [[nodiscard]] memory::page_layout const& layout() const { return layout_; }
    [[nodiscard]] memory::page_pool& pages() { return pages_; }
    [[nodiscard]] memory::page_pool const& pages() const { return pages_; }

    void save(memory::transfer const& t, stream) {
        auto arena = unpack(t); // a page may be written in part, so start from what was there
        memory::copy(memory::direction::to_pages, arena.data(), layout_, t);
        pack(t, arena);
    }
    void load(memory::transfer const& t, stream) const {
        auto arena = unpack(t);
        memory::copy(memory::direction::to_engine, arena.data(), layout_, t);
    }
    void copy_block(page_id from, page_id to, stream) {
        packed_.resize(std::max<std::size_t>(packed_.size(), to.value() + 1));
        packed_[to.value()] = packed_[from.value()];
    }

    [[nodiscard]] std::size_t bytes() const {
        std::size_t sum = 0;
        for (auto const& page : packed_)
            sum += page.size() * sizeof(page[0]);
        return sum;
    }

private:
    using run = std::pair<std::uint32_t, std::byte>; // this many times this byte

    template <class Visit>
    static void each_page(memory::transfer const& t, Visit visit) {
        for (page_id const page : t.kv.pages)
            visit(page);
        for (auto const& checkpoint : t.checkpoints)
            for (page_id const page : checkpoint.pages)
                visit(page);
    }
    std::vector<std::byte> unpack(memory::transfer const& t) const {
        std::size_t const page_bytes = layout_.page_bytes().value();
        std::size_t end = 0;
        each_page(t, [&](page_id p) { end = std::max<std::size_t>(end, p.value() + 1); });
        std::vector<std::byte> arena(end * page_bytes);
        each_page(t, [&](page_id p) {
            if (p.value() >= packed_.size()) return;
            std::byte* to = arena.data() + p.value() * page_bytes;
            for (auto const& [count, value] : packed_[p.value()]) {
                std::memset(to, static_cast<int>(value), count);
                to += count;
            }
        });
        return arena;
    }
    void pack(memory::transfer const& t, std::vector<std::byte> const& arena) {
        std::size_t const page_bytes = layout_.page_bytes().value();
        packed_.resize(std::max(packed_.size(), arena.size() / page_bytes));
        each_page(t, [&](page_id p) {
            auto& runs = packed_[p.value()];
            runs.clear();
            for (std::size_t i = 0; i < page_bytes; ++i) {
                std::byte const value = arena[p.value() * page_bytes + i];
                if (runs.empty() || runs.back().second != value) runs.push_back({0, value});
                ++runs.back().first;
            }
        });
    }

    memory::page_layout layout_;
    memory::page_pool pages_;
    std::vector<std::vector<run>> packed_;
};
static_assert(memory::store<compressed_store>);

int main() {
    footprint const model{.model = "two attention layers and a recurrence",
                          .kv_layers = {{256, 256}, {256, 256}},
                          .state_pieces = {{.fixed_bytes = 4096}},
                          .flops = {.per_token = 1e6, .per_pair = 1e3}};
    prefix_cache cache{compressed_store{model, 1_MB}};

    std::vector<std::int32_t> const prompt(100, 5);
    std::vector<std::byte> kv(1024 * 200, std::byte{3});
    std::vector<std::byte> state(4096, std::byte{9});
    std::vector<kv_layer_view> layers;
    for (std::size_t l = 0; l < 2; ++l)
        layers.push_back({.key = kv.data() + 512 * l,
                          .key_stride = 1024,
                          .value = kv.data() + 512 * l + 256,
                          .value_stride = 1024});
    std::vector<std::byte*> const pieces{state.data()};

    {
        auto lease = cache.open({}, prompt);
        std::vector<captured_state> const tail{{token_count{prompt.size()}, {pieces}}};
        cache.commit(lease, prompt, {.kv = {layers}, .checkpoints = tail});
    }
    std::vector<std::int32_t> longer = prompt;
    longer.resize(150, 6);
    std::fill(kv.begin(), kv.end(), std::byte{0});
    std::fill(state.begin(), state.end(), std::byte{0});
    auto lease = cache.open({}, longer);
    cache.restore(lease, {layers}, {pieces});

    bool const right = lease.resume_at() == 100_tokens && kv[0] == std::byte{3} &&
                       kv[1024 * 100 - 1] == std::byte{3} && kv[1024 * 100] == std::byte{0} &&
                       state[4095] == std::byte{9};
    std::printf("resumed at token %lu, %lu bytes of pages kept in %zu bytes\n",
                lease.resume_at().value(), cache.holds().used.value(), cache.store().bytes());
    return right ? 0 : 1;
}
