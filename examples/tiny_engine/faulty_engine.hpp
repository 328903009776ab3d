#pragma once

// The engine with one classic mistake planted in it, to show that the proof would find it. No
// mistake crashes or is refused by the cache: the model just goes on from a wrong state.

#include "engine.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace tiny {

enum class bug {
    none,
    checkpoint_off_by_one, ///< the state is copied one token before the position it is said to be
                           ///< at
    late_capture,          ///< the chunk is not cut: the state is copied at its end
    early_page_reuse,      ///< memory is given back after the prefill, though decoding reads it
    tail_block_shared,     ///< a shared, partly filled block is written to, not a copy of it
    wrong_scope,           ///< the adapter is left out of the scope
};

inline constexpr std::array<std::pair<std::string_view, bug>, 6> bug_names = {{
    {"none", bug::none},
    {"checkpoint-off-by-one", bug::checkpoint_off_by_one},
    {"late-capture", bug::late_capture},
    {"early-page-reuse", bug::early_page_reuse},
    {"tail-block-shared", bug::tail_block_shared},
    {"wrong-scope", bug::wrong_scope},
}};

template <class Cache>
class faulty_engine : public engine<Cache> {
    using base = engine<Cache>;
    using typename base::running_request;

public:
    faulty_engine(model& runs, Cache* cache, engine_options options, bug planted)
        : base{runs, cache, options}, planted_{planted} {}

protected:
    [[nodiscard]] marconi::scope scope_of(sequence const& s) const override {
        marconi::scope in = base::scope_of(s);
        if (planted_ == bug::wrong_scope) in.adapter = 0;
        return in;
    }

    [[nodiscard]] std::size_t next_stop(running_request const& r) const override {
        if (planted_ == bug::late_capture) return r.of.tokens.size();
        if (planted_ != bug::checkpoint_off_by_one) return base::next_stop(r);
        for (marconi::token_count const at : r.lease.capture_at())
            if (at.value() - 1 > r.computed) return at.value() - 1;
        return r.of.tokens.size();
    }

    void capture_state(running_request& r, std::size_t from) override {
        if (planted_ != bug::late_capture && planted_ != bug::checkpoint_off_by_one)
            return base::capture_state(r, from);
        std::size_t const early = planted_ == bug::checkpoint_off_by_one ? 1 : 0;
        for (marconi::token_count const at : r.lease.capture_at())
            if (from < at.value() - early && at.value() - early <= r.computed)
                this->copy_state(r, at.value());
    }

    bool reserve(running_request& r, std::size_t until) override {
        if (gave_back_.contains(r.of.id)) return true;
        if (planted_ == bug::tail_block_shared && this->in_place() && r.kv.blocks.empty())
            base::take_table(r);
        return base::reserve(r, until);
    }

    void take_table(running_request& r) override {
        auto const before = r.kv.blocks;
        base::take_table(r);
        if (planted_ == bug::tail_block_shared) std::ranges::copy(before, r.kv.blocks.begin());
    }

    void publish(running_request& r) override {
        if (gave_back_.contains(r.of.id) && this->in_place()) return;
        std::erase_if(r.captured, [&](capture const& c) {
            return c.position > r.computed; // the cache would refuse it
        });
        if (planted_ != bug::tail_block_shared || this->in_place()) return base::publish(r);
        // What a slot holds before the new tokens is left out, though the block begins there.
        std::vector<std::byte> staging(this->options_.longest * this->geometry_.token_bytes);
        std::size_t const begin = r.lease.position().value() * this->geometry_.token_bytes;
        std::size_t const end = r.computed * this->geometry_.token_bytes;
        std::memcpy(staging.data() + begin, r.slot + begin, end - begin);
        base::publish(r, staging.data());
    }

    void after_prefill(running_request& r) override {
        if (planted_ != bug::early_page_reuse) return;
        if (this->in_place()) {
            auto const all = r.of.asked.prompt.size() + r.of.asked.answer_tokens;
            if (!base::reserve(r, all)) return;
            r.lease.let_go_kv();
        } else {
            this->free_slots_.push_back(r.slot);
        }
        gave_back_.insert(r.of.id);
    }
    void give_back_slot(running_request& r) override {
        // What was given back early is the first to be used again.
        if (gave_back_.erase(r.of.id) == 0 && r.slot)
            this->free_slots_.insert(this->free_slots_.begin(), r.slot);
        r.slot = nullptr;
    }

private:
    bug planted_;
    std::set<std::uint64_t> gave_back_;
};

} // namespace tiny
