#pragma once

// Every layer kind that is described here. A kind of your own needs no place in this list: any
// type that models layer_kind goes into a spec.

#include <marconi/model/layers/attention.hpp>
#include <marconi/model/layers/delta_rule.hpp>
#include <marconi/model/layers/feed_forward.hpp>
#include <marconi/model/layers/kind.hpp>
#include <marconi/model/layers/paper.hpp>
#include <marconi/model/layers/state_space.hpp>
