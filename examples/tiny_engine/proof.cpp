#include "proof.hpp"

#include "workload.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tiny {

std::span<float const> from_scratch::logits(std::span<token const> tokens, std::uint64_t adapter) {
    auto const geometry = block_geometry::of_slots(model_.footprint(), tokens.size());
    memory_.resize(std::max(memory_.size(), tokens.size() * geometry.token_bytes));
    paged_kv kv{geometry};
    kv.blocks = {memory_.data()};
    recurrent_state state{model_.footprint()};
    batch_item const alone{tokens, 0, adapter, &state, &kv};
    return model_.forward({&alone, 1}, wanted::all);
}

namespace {

constexpr std::uint64_t weights_seed = 7;

/// The state of a proof under way.
class prover {
public:
    explicit prover(proof_options const& options)
        : options_{options},
          random_{options.seed},
          model_{options.shape, weights_seed},
          reference_{options.shape, weights_seed} {}

    proof_result run() {
        while (result_.requests < options_.requests)
            switch (random_.below(3)) {
            case 0:
                run_episode(marconi::branch_and_tail{}, marconi::gdsf{});
                break;
            case 1:
                run_episode(marconi::branch_and_tail{marconi::token_count{random_.between(0, 20)}},
                            marconi::lru{});
                break;
            default:
                run_episode(marconi::always{marconi::token_count{random_.between(5, 30)}},
                            marconi::flop_aware{1.0});
            }
        return result_;
    }

private:
    template <class Admission, class Eviction>
    void run_episode(Admission admission, Eviction eviction) {
        using cache_type = marconi::prefix_cache<marconi::host_store, Admission, Eviction>;
        static constexpr std::size_t sizes[] = {1, 3, 4, 7, 16};
        static constexpr std::size_t chunks[] = {1, 5, 16, 33, 200};
        std::size_t const block = random_.pick(sizes);
        engine_options const set_up{.memory = options_.memory,
                                    .chunk = random_.pick(chunks),
                                    .batch = random_.between(1, 6),
                                    .longest = workload::longest_prompt + workload::longest_answer,
                                    .block_tokens = block,
                                    .record = true};
        cache_type cache{marconi::host_store{model_.footprint(),
                                             some_capacity(set_up),
                                             {.block_tokens = marconi::token_count{block}}},
                         {.checkpoint_grid = marconi::token_count{random_.chance(70) ? 1u : 8u}},
                         admission,
                         eviction};
        {
            faulty_engine<cache_type> engine{model_, &cache, set_up, options_.planted};
            serve(engine, cache);
            result_.preemptions += engine.preemptions();
        }
        auto const& stats = cache.stats();
        result_.resumed += stats.hits;
        result_.asked_tokens += stats.tokens_asked.value();
        result_.resumed_tokens += stats.tokens_resumed.value();
        result_.evictions += stats.evictions();
        check_soundness(cache);
    }

    /// Room for two to twenty long requests, or for four pages: those of a model without KV are
    /// large.
    marconi::byte_count some_capacity(engine_options const& set_up) {
        auto const& of = model_.footprint();
        auto const request = of.kv_bytes_per_token() * set_up.longest +
                             of.checkpoint_bytes(marconi::token_count{set_up.longest}) * 2;
        marconi::memory::page_layout const pages{
            of, {.block_tokens = marconi::token_count{set_up.block_tokens}}};
        return std::max(marconi::byte_count{request.value() * random_.between(20, 200) / 10},
                        pages.page_bytes() * 4);
    }

    template <class Engine, class Cache>
    void serve(Engine& engine, Cache const& cache) {
        workload requests{options_.shape.vocabulary, random_.below(1u << 30)};
        std::uint64_t const episode =
            std::min<std::uint64_t>(100, options_.requests - result_.requests);
        std::uint64_t submitted = 0, ended = 0;
        while (ended < episode) {
            while (submitted < episode && submitted < ended + 8 && random_.chance(60)) {
                engine.submit(requests.next());
                ++submitted;
            }
            interfere(engine, submitted);
            engine.step();
            for (sequence const& s : engine.take_finished()) {
                ++ended;
                requests.remember(s.asked.in, s.tokens);
                count(s);
                compare(s);
            }
            if (random_.chance(2)) check_soundness(cache);
            options_.progress(result_.requests);
        }
    }

    /// Now and then a user goes away, or somebody more important comes.
    template <class Engine>
    void interfere(Engine& engine, std::uint64_t last_id) {
        if (random_.chance(3) && last_id > 0)
            engine.abort(last_id - random_.below(std::min<std::uint64_t>(last_id, 8)));
        auto const ids = engine.running_ids();
        if (random_.chance(2) && !ids.empty()) engine.preempt(ids[random_.below(ids.size())]);
    }

    void count(sequence const& s) {
        ++result_.requests;
        result_.answered += s.end == ending::answered;
        result_.aborted += s.end == ending::aborted;
        result_.no_room += s.end == ending::no_room;
    }

    void compare(sequence const& s) {
        if (s.positions.empty()) return;
        std::size_t const width = options_.shape.vocabulary;
        std::size_t const length = *std::ranges::max_element(s.positions) + 1;
        auto const right = reference_.logits(std::span{s.tokens}.first(length), s.asked.in.adapter);
        std::uint64_t wrong = 0;
        for (std::size_t i = 0; i < s.positions.size(); ++i)
            for (std::size_t v = 0; v < width; ++v)
                wrong += std::bit_cast<std::uint32_t>(s.logits[i * width + v]) !=
                         std::bit_cast<std::uint32_t>(right[s.positions[i] * width + v]);
        result_.compared += s.logits.size();
        result_.differing += wrong;
        if (wrong && !result_.first_wrong) result_.first_wrong = result_.requests;
    }

    template <class Cache>
    void check_soundness(Cache const& cache) {
        for (std::string& fault : marconi::audit(cache))
            result_.faults.push_back(std::move(fault));
    }

    proof_options const& options_;
    dice random_;
    model model_;
    from_scratch reference_;
    proof_result result_;
};

} // namespace

proof_result prove(proof_options const& options) { return prover{options}.run(); }

} // namespace tiny
