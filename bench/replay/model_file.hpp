#pragma once

// A model of the user's own, described by its bytes and FLOPs, for --model.

#include <marconi/core/footprint.hpp>

#include <string>

namespace marconi::replay {

/// Whether a model's name is that of a file: it ends in .json. No preset's does.
[[nodiscard]] bool is_model_file(std::string const& name);

/// Reads a JSON object with these members; what is left out is 0, but there must be FLOPs, and KV
/// or a state:
///
///     {"flops_per_token": 1.5e10,       about twice the parameters that a token uses
///      "flops_per_pair": 32768,         FLOPs of L tokens: per_token * L + per_pair * L^2
///      "kv_bytes_per_token": 65536,
///      "state_bytes": 26787840,         of a checkpoint, without windows
///      "windows": [{"tokens": 4096, "bytes_per_token": 8192, "flops_per_pair": 16384}]}
///
/// Throws invalid_argument, which names the file and the member, for what is missing, unknown or
/// out of range.
[[nodiscard]] footprint read_model(std::string const& path);

} // namespace marconi::replay
