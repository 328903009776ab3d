#pragma once

// Copies of pages between a device and the host's memory, over the link: by the library's
// spill_room, one launch for all of them, and by cudaMemcpyAsync, in one piece or in a loop over
// the pages.

#include <gpu/methods.hpp>

#include <marconi/gpu.cuh>
#include <marconi/model/presets.hpp>

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace gpu_bench {

/// A model's pages, as many as 64 MiB hold, in any order on both sides.
class spill_workload {
public:
    explicit spill_workload(std::string const& model)
        : layout_{marconi::model::find_preset(model).footprint({}), {}},
          pages_(static_cast<std::size_t>((64 << 20) / layout_.page_bytes().value())),
          outside_(pages_.size()),
          store_{layout_.model(), bytes_each() * pages_.size()},
          room_{store_, bytes_each() * pages_.size()} {
        store_.pages().allocate(pages_);
        room_.pages().allocate(outside_);
        std::shuffle(pages_.begin(), pages_.end(), std::mt19937{1});
        std::shuffle(outside_.begin(), outside_.end(), std::mt19937{2});
    }
    /// How many pages have changed after going out and coming back.
    [[nodiscard]] std::size_t wrong() {
        std::size_t differ = 0;
        auto const number = [](std::size_t i) { return static_cast<int>(1 + i % 255); };
        auto const fill = [&](auto&& value) {
            for (std::size_t i = 0; i < pages_.size(); ++i)
                marconi::gpu::check(cudaMemsetAsync(store_.page(pages_[i]).data(), value(i),
                                                    bytes_each().value(), room_.stream().get()),
                                    "cudaMemsetAsync");
        };
        fill(number);
        copy(method::marconi, true);
        fill([](std::size_t) { return 0; });
        copy(method::marconi, false);
        std::vector<std::byte> here(bytes_each().value());
        for (std::size_t i = 0; i < pages_.size(); ++i) {
            marconi::gpu::check(cudaMemcpyAsync(here.data(), store_.page(pages_[i]).data(),
                                                here.size(), cudaMemcpyDefault,
                                                room_.stream().get()),
                                "cudaMemcpyAsync");
            room_.stream().synchronize();
            differ += !std::ranges::all_of(
                here, [&](std::byte b) { return b == static_cast<std::byte>(number(i)); });
        }
        return differ;
    }
    [[nodiscard]] std::size_t bytes() const { return pages_.size() * bytes_each().value(); }
    [[nodiscard]] marconi::gpu::stream_ref stream() const { return room_.stream(); }

    /// Copies by one of the first three methods.
    void copy(method how, bool out) {
        if (how == method::marconi) {
            (void)(out ? room_.spill(pages_, outside_) : room_.fetch(outside_, pages_));
        } else if (how == method::loop) {
            for (std::size_t i = 0; i < pages_.size(); ++i)
                plain(store_.page(pages_[i]), room_.page(outside_[i]), bytes_each().value(), out);
        } else {
            plain(store_.page(marconi::page_id{0}), room_.page(marconi::page_id{0}), bytes(), out);
        }
    }

private:
    [[nodiscard]] marconi::byte_count bytes_each() const { return layout_.page_bytes(); }
    void plain(std::span<std::byte> here, std::span<std::byte> there, std::size_t n, bool out) {
        marconi::gpu::check(cudaMemcpyAsync(out ? there.data() : here.data(),
                                            out ? here.data() : there.data(), n, cudaMemcpyDefault,
                                            room_.stream().get()),
                            "cudaMemcpyAsync");
    }

    marconi::memory::page_layout layout_;
    std::vector<marconi::page_id> pages_, outside_;
    marconi::gpu::device_store store_;
    marconi::gpu::spill_room<marconi::gpu::kernel_launcher> room_;
};

} // namespace gpu_bench
