#pragma once

// Everything that needs no GPU, and the names that most programs use.

#include <marconi/cache/audit.hpp>
#include <marconi/cache/concurrent_cache.hpp>
#include <marconi/cache/prefix_cache.hpp>
#include <marconi/core/config.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <marconi/core/units.hpp>
#include <marconi/memory/copy_order.hpp>
#include <marconi/memory/host_store.hpp>
#include <marconi/memory/ledger_store.hpp>
#include <marconi/memory/rank_memory.hpp>
#include <marconi/memory/relay_store.hpp>
#include <marconi/memory/tensors.hpp>
#include <marconi/model/presets.hpp>
#include <marconi/policy/admission/always.hpp>
#include <marconi/policy/admission/branch_and_tail.hpp>
#include <marconi/policy/eviction/expected_savings.hpp>
#include <marconi/policy/eviction/flop_aware.hpp>
#include <marconi/policy/eviction/gdsf.hpp>
#include <marconi/policy/eviction/lru.hpp>
#include <marconi/policy/eviction/scored.hpp>
#include <marconi/tune/learning_cache.hpp>
#include <marconi/tune/tuned_cache.hpp>

namespace marconi {

using cache::audit;
using cache::cache_options;
using cache::captured_state;
using cache::commit_outcome;
using cache::computed;
using cache::concurrent_cache;
using cache::counters;
using cache::event;
using cache::event_kind;
using cache::eviction_reason;
using cache::match_options;
using cache::match_result;
using cache::no_observer;
using cache::occupancy;
using cache::prefix_cache;
using cache::request_plan;
using memory::copy_order;
using memory::head_order;
using memory::head_shape;
using memory::host_store;
using memory::kv_layer_view;
using memory::kv_view;
using memory::layer_in;
using memory::ledger_store;
using memory::page_layout;
using memory::page_options;
using memory::rank_memory;
using memory::relay_store;
using memory::request_tag;
using memory::slot_of;
using memory::state_tensor;
using memory::state_view;
using policy::age_bucket;
using policy::always;
using policy::branch_and_tail;
using policy::candidate_facts;
using policy::capture_rule;
using policy::expected_savings;
using policy::flop_aware;
using policy::gdsf;
using policy::lru;
using policy::request_facts;
using policy::reuse_class;
using policy::reuse_kind;
using policy::reuse_odds;
using policy::scored;
using policy::usage;
using tune::learning_cache;
using tune::learning_options;
using tune::learning_report;
using tune::tuned_cache;
using tune::tuning_options;
using tune::tuning_report;
using tune::tuning_state;

} // namespace marconi
