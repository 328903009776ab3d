#pragma once

// A request's copies between pages and an engine's memory, by the library and by other methods that
// could make them.

#include <gpu/bulk_copy.cuh>
#include <gpu/methods.hpp>
#include <gpu/request_copies.hpp>

#include <marconi/gpu.cuh>
#include <marconi/model/presets.hpp>

#include <cub/device/device_memcpy.cuh>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace gpu_bench {

using namespace marconi;
using gpu::check;

/// Kernels are templates, so that they can be in a header.
template <class Word>
__global__ void fill(Word* words, std::size_t count, std::uint32_t seed) {
    std::size_t const step = std::size_t{gridDim.x} * blockDim.x;
    for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step)
        words[i] = static_cast<Word>((i + seed) * 2654435761u);
}
inline void fill_all(std::byte* memory, std::size_t bytes, std::uint32_t seed, gpu::stream_ref on) {
    fill<<<1024, 256, 0, on.get()>>>(reinterpret_cast<std::uint32_t*>(memory), bytes / 4, seed);
    check(cudaGetLastError(), "fill");
}
template <class Byte>
__global__ void count_differences(Byte const* a, Byte const* b, std::size_t count,
                                  unsigned long long* differences) {
    std::size_t const step = std::size_t{gridDim.x} * blockDim.x;
    unsigned long long mine = 0;
    for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step)
        mine += a[i] != b[i];
    if (mine != 0) atomicAdd(differences, mine);
}

/// Counts bytes in which memory on the device differs.
class difference_counter {
public:
    explicit difference_counter(gpu::stream_ref on) : on_{on} {
        check(cudaMemsetAsync(count_.data(), 0, count_.bytes(), on_.get()), "cudaMemsetAsync");
    }
    void add(std::byte const* a, std::byte const* b, std::size_t bytes) {
        count_differences<<<1024, 256, 0, on_.get()>>>(
            a, b, bytes, reinterpret_cast<unsigned long long*>(count_.data()));
        check(cudaGetLastError(), "count_differences");
    }
    /// Waits for what is enqueued.
    [[nodiscard]] unsigned long long get() const {
        unsigned long long found = 0;
        check(cudaMemcpyAsync(&found, count_.data(), sizeof(found), cudaMemcpyDeviceToHost,
                              on_.get()),
              "cudaMemcpyAsync");
        check(cudaStreamSynchronize(on_.get()), "cudaStreamSynchronize");
        return found;
    }

private:
    gpu::stream_ref on_;
    device_memory count_{gpu::device_resource{}, sizeof(unsigned long long)};
};

inline int device_attribute(cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, 0), "cudaDeviceGetAttribute");
    return value;
}

struct workload_shape {
    std::string model{};
    std::uint64_t tokens = 0, block = 16;
    arrangement arranged = arrangement::one_piece;

    friend bool operator==(workload_shape const&, workload_shape const&) = default;
};

/// A store with some requests of one shape in it, enough for copies to miss the caches. Only the
/// library copies KV in blocks: the other methods know nothing of it.
class workload {
public:
    explicit workload(workload_shape const& shape)
        : arranged_{shape.arranged}, store_{make_store(shape, rotations_)} {
        token_count const length{shape.tokens};
        std::vector<page_id> pages(store_.pages().capacity());
        store_.pages().allocate(pages);
        std::shuffle(pages.begin(), pages.end(), std::mt19937{1}); // as after long use
        std::uint64_t const each = request_copy::page_count(store_.layout(), length);
        for (std::uint64_t i = 0; i < rotations_; ++i)
            requests_.emplace_back(store_.layout(), length,
                                   std::span{pages}.subspan(i * each, each), shape.arranged);
        for (request_copy const& r : requests_)
            segments_.push_back(r.segments(store_.layout(), arena(), r.engine));
        bytes_ =
            std::accumulate(segments_[0].bytes.begin(), segments_[0].bytes.end(), std::size_t{0});
        plain_ =
            std::make_unique<device_memory>(gpu::device_resource{}, 2 * requests_.size() * bytes_);
        gpu::owned_stream const on;
        fill_all(arena(), arena_bytes(), 7, on);
        check_library(on);
        fill_all(plain_->data(), plain_->bytes(), 8, on);
        for (request_copy const& r : requests_)
            fill_all(r.engine.data(), r.engine.bytes(), 9, on);
        on.synchronize();
    }

    /// From now on the library's copies take at most `most` multiprocessors; 0: as many as serve.
    void limit_multiprocessors(std::uint32_t most, gpu::stream_ref on) {
        store_.limit_multiprocessors(most);
        if (std::exchange(most_, most) != most) check_library(on); // fewer of them loop
    }
    /// How many bytes a method gets wrong, for the library and bulk copies. The others are trusted.
    [[nodiscard]] unsigned long long wrong(method how, gpu::stream_ref on) {
        if (how == method::bulk && !bulk_wrong_) {
            bulk_wrong_ = differences(how, on);
            fill_all(arena(), arena_bytes(), 7, on);
        }
        return how == method::marconi ? wrong_ : how == method::bulk ? *bulk_wrong_ : 0;
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] std::size_t segments() const { return segments_[0].bytes.size(); }

    void copy(method how, way direction, gpu::stream_ref on) {
        std::size_t const i = turn_++ % requests_.size();
        request_copy const& r = *std::next(requests_.begin(), static_cast<std::ptrdiff_t>(i));
        bool const restores = direction == way::restore;
        segment_list& list = segments_[i];
        auto& from = restores ? list.in_pages : list.in_engine;
        auto& to = restores ? list.in_engine : list.in_pages;
        switch (how) {
        case method::marconi:
            restores ? store_.load(r.work(), on) : store_.save(r.work(), on);
            break;
        case method::one_piece:
            one_piece(i, on);
            break;
        case method::loop:
            loop(from, to, list.bytes, on);
            break;
        case method::batch:
            batch(from, to, list.bytes, on);
            break;
        case method::cub:
            cub_batched(i, restores, on);
            break;
        case method::bulk:
            bulk(i, restores, on);
            break;
        }
    }

private:
    /// Finds out what the library gets wrong. Fills the pages anew.
    void check_library(gpu::stream_ref on) {
        wrong_ = arranged_ == arrangement::one_piece ? differences(method::marconi, on)
                                                     : lost_on_the_way(on);
        fill_all(arena(), arena_bytes(), 7, on);
    }
    /// In how many bytes what a method restores, and then what it commits, differs from copies of
    /// each segment. Overwrites the pages.
    [[nodiscard]] unsigned long long differences(method how, gpu::stream_ref on) {
        request_copy const& r = requests_.front();
        engine_request const other{store_.layout(), r.tokens};
        segment_list const list = r.segments(store_.layout(), arena(), other);
        difference_counter counter{on};
        auto const compare = [&] {
            clear(other.data(), other.bytes(), on);
            loop(list.in_pages, list.in_engine, list.bytes, on);
            counter.add(r.engine.data(), other.data(), other.bytes());
        };
        clear(r.engine.data(), r.engine.bytes(), on);
        turn_ = 0;
        copy(how, way::restore, on);
        compare();
        clear(arena(), arena_bytes(), on);
        turn_ = 0;
        copy(how, way::commit, on);
        compare();
        return counter.get();
    }
    /// How many of the bytes that the library restores are different after it has committed and
    /// restored them again; all, if it restores next to nothing. Overwrites the pages.
    [[nodiscard]] unsigned long long lost_on_the_way(gpu::stream_ref on) {
        request_copy const& r = requests_.front();
        device_memory const first{gpu::device_resource{}, r.engine.bytes()};
        clear(r.engine.data(), r.engine.bytes(), on);
        store_.load(r.work(), on);
        check(cudaMemcpyAsync(first.data(), r.engine.data(), first.bytes(),
                              cudaMemcpyDeviceToDevice, on.get()),
              "cudaMemcpyAsync");
        clear(arena(), arena_bytes(), on);
        store_.save(r.work(), on);
        clear(r.engine.data(), r.engine.bytes(), on);
        difference_counter restored{on}, lost{on};
        restored.add(first.data(), r.engine.data(), first.bytes());
        store_.load(r.work(), on);
        lost.add(first.data(), r.engine.data(), first.bytes());
        return restored.get() < bytes_ / 10 * 9 ? bytes_ : lost.get();
    }
    static void clear(std::byte* memory, std::size_t bytes, gpu::stream_ref on) {
        check(cudaMemsetAsync(memory, 0, bytes, on.get()), "cudaMemsetAsync");
    }

    static gpu::device_store make_store(workload_shape const& shape, std::uint64_t& rotations) {
        // The paper's model by the paper's formulas, with its checkpoint of 27 MB.
        footprint const bytes_of =
            model::find_preset(shape.model)
                .footprint({.flavour = shape.model == "paper-7b" ? model::cost::paper
                                                                 : model::cost::shape});
        memory::page_options const cut{.block_tokens = token_count{shape.block}};
        memory::page_layout const layout{bytes_of, cut};
        std::uint64_t const pages = request_copy::page_count(layout, token_count{shape.tokens});
        std::uint64_t const bytes = pages * layout.page_bytes().value();
        int const cache = device_attribute(cudaDevAttrL2CacheSize);
        rotations = 1 + 4 * static_cast<std::uint64_t>(cache) / bytes;
        return gpu::device_store{bytes_of, layout.page_bytes() * (pages * rotations), cut};
    }
    [[nodiscard]] std::byte* arena() const { return store_.page(page_id{0}).data(); }
    [[nodiscard]] std::size_t arena_bytes() const {
        return store_.pages().capacity() * store_.layout().page_bytes().value();
    }

    /// Copies half of a buffer to its other half, at places that rotate.
    void one_piece(std::size_t i, gpu::stream_ref on) {
        std::byte* const from = plain_->data() + 2 * i * bytes_;
        check(cudaMemcpyAsync(from + bytes_, from, bytes_, cudaMemcpyDeviceToDevice, on.get()),
              "cudaMemcpyAsync");
    }
    static void loop(std::vector<std::byte*> const& from, std::vector<std::byte*> const& to,
                     std::vector<std::size_t> const& bytes, gpu::stream_ref on) {
        for (std::size_t s = 0; s < bytes.size(); ++s)
            check(cudaMemcpyAsync(to[s], from[s], bytes[s], cudaMemcpyDeviceToDevice, on.get()),
                  "cudaMemcpyAsync");
    }
    static void batch(std::vector<std::byte*>& from, std::vector<std::byte*>& to,
                      std::vector<std::size_t>& bytes, gpu::stream_ref on) {
#if CUDART_VERSION >= 13000
        cudaMemcpyAttributes all{};
        all.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        std::size_t first = 0;
        check(cudaMemcpyBatchAsync(reinterpret_cast<void* const*>(to.data()),
                                   reinterpret_cast<void const* const*>(from.data()), bytes.data(),
                                   bytes.size(), &all, &first, 1, on.get()),
              "cudaMemcpyBatchAsync");
#elif CUDART_VERSION >= 12080
        cudaMemcpyAttributes all{};
        all.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        std::size_t first = 0, failed = 0;
        check(cudaMemcpyBatchAsync(reinterpret_cast<void**>(to.data()),
                                   reinterpret_cast<void**>(from.data()), bytes.data(),
                                   bytes.size(), &all, &first, 1, &failed, on.get()),
              "cudaMemcpyBatchAsync");
#else
        (void)from, (void)to, (void)bytes, (void)on;
        throw error{"cudaMemcpyBatchAsync came with CUDA 12.8"};
#endif
    }

    /// A request's lists on the device.
    struct device_lists {
        device_lists(segment_list const& list, gpu::stream_ref on)
            : memory{gpu::device_resource{}, list.bytes.size() * (3 * sizeof(void*))},
              in_pages{reinterpret_cast<void**>(memory.data())},
              in_engine{in_pages + list.bytes.size()},
              bytes{reinterpret_cast<std::size_t*>(in_engine + list.bytes.size())},
              count{static_cast<std::uint32_t>(list.bytes.size())} {
            auto const send = [&](void* to, void const* from) {
                check(cudaMemcpyAsync(to, from, list.bytes.size() * sizeof(void*),
                                      cudaMemcpyHostToDevice, on.get()),
                      "cudaMemcpyAsync");
            };
            send(in_pages, list.in_pages.data());
            send(in_engine, list.in_engine.data());
            send(bytes, list.bytes.data());
        }
        device_memory memory;
        void **in_pages, **in_engine;
        std::size_t* bytes;
        std::uint32_t count;
    };
    void cub_batched(std::size_t i, bool restores, gpu::stream_ref on) {
        if (lists_.empty())
            for (segment_list const& list : segments_)
                lists_.emplace_back(list, on);
        device_lists const& l = lists_[i];
        void** const from = restores ? l.in_pages : l.in_engine;
        void** const to = restores ? l.in_engine : l.in_pages;
        std::size_t needed = 0;
        check(cub::DeviceMemcpy::Batched(nullptr, needed, from, to, l.bytes, l.count, on.get()),
              "cub::DeviceMemcpy::Batched");
        if (!scratch_ || scratch_->bytes() < needed)
            scratch_ = std::make_unique<device_memory>(gpu::device_resource{}, needed);
        check(cub::DeviceMemcpy::Batched(scratch_->data(), needed, from, to, l.bytes, l.count,
                                         on.get()),
              "cub::DeviceMemcpy::Batched");
    }

    void bulk(std::size_t i, bool restores, gpu::stream_ref on) {
        if (chunks_.empty()) {
            if (!has_bulk_copies()) throw error{"bulk copies take sm_90 and its shared memory"};
            for (segment_list const& list : segments_) {
                if (!list.all_multiples_of(16)) throw error{"segments of no multiples of 16 bytes"};
                chunks_.emplace_back(list.cut(bulk_chunk_bytes), on);
            }
            multiprocessors_ = device_attribute(cudaDevAttrMultiProcessorCount);
        }
        device_lists const& l = chunks_[i];
        auto* const pages = reinterpret_cast<std::byte**>(l.in_pages);
        auto* const engine = reinterpret_cast<std::byte**>(l.in_engine);
        bulk_copy({restores ? pages : engine, restores ? engine : pages, l.bytes, l.count},
                  static_cast<std::uint32_t>(multiprocessors_), on);
    }

    arrangement arranged_;
    std::uint64_t rotations_ = 0;
    gpu::device_store store_;
    std::list<request_copy> requests_;
    std::vector<segment_list> segments_;
    std::vector<device_lists> lists_, chunks_; ///< chunks: segments cut for bulk copies
    std::unique_ptr<device_memory> plain_, scratch_;
    std::size_t bytes_ = 0, turn_ = 0;
    std::uint32_t most_ = 0; ///< multiprocessors for the library; 0: as many as serve
    int multiprocessors_ = 0;
    unsigned long long wrong_ = 0;
    std::optional<unsigned long long> bulk_wrong_; ///< once asked for
};

} // namespace gpu_bench
