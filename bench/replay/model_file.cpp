#include "model_file.hpp"

#include "json_value.hpp"

#include <marconi/core/error.hpp>
#include <marconi/core/types.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace marconi::replay {

namespace {

using nlohmann::json;

constexpr std::uint64_t most_bytes = std::uint64_t{1} << 48;
constexpr double most_flops = 1e24;
constexpr std::size_t most_text = std::size_t{1} << 20;

/// One object of the file; `where` names it in messages.
class members {
public:
    members(std::string where, json const& object, std::initializer_list<std::string_view> known)
        : where_{std::move(where)}, object_{object} {
        if (!object.is_object()) throw invalid_argument{where_ + ": expected a JSON object"};
        for (auto const& [name, value] : object.items())
            if (std::find(known.begin(), known.end(), name) == known.end()) {
                std::string names;
                for (std::string_view const one : known)
                    names.append(names.empty() ? "" : ", ").append(one);
                fail(name, "is not known; expected " + names);
            }
    }
    [[nodiscard]] std::uint64_t count(char const* name, std::uint64_t most) const {
        auto const found = object_.find(name);
        if (found == object_.end()) return 0;
        if (!is_count(*found, 0, most))
            fail(name, "is " + describe(*found) + "; expected " + count_from_to(0, most));
        return found->get<std::uint64_t>();
    }
    [[nodiscard]] double flops(char const* name) const {
        auto const found = object_.find(name);
        if (found == object_.end()) return 0;
        if (!found->is_number() ||
            !(found->get<double>() >= 0 && found->get<double>() <= most_flops))
            fail(name, "is " + describe(*found) + "; expected a number from 0 to 1e24");
        return found->get<double>();
    }
    [[nodiscard]] json array(char const* name) const {
        auto const found = object_.find(name);
        if (found == object_.end()) return json::array();
        if (!found->is_array() || found->size() > 1000)
            fail(name, "is not an array of at most 1,000 objects");
        return *found;
    }
    [[noreturn]] void fail(std::string const& name, std::string const& problem) const {
        throw invalid_argument{where_ + ": '" + name + "' " + problem};
    }

private:
    std::string where_;
    json const& object_;
};

json parsed(std::string const& path) {
    errno = 0;
    std::ifstream file{path, std::ios::binary};
    if (!file)
        throw invalid_argument{"model '" + path + "' cannot be opened: " + std::strerror(errno)};
    std::string text(most_text + 1, ' ');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    auto const fail = [&](std::string const& problem) {
        throw invalid_argument{"model " + path + ": " + problem};
    };
    if (file.bad()) fail("cannot be read");
    if (text.empty()) fail("is empty; expected a JSON object");
    if (text.size() > most_text) fail("is longer than 1 MiB");
    return parse_json(text, fail);
}

} // namespace

bool is_model_file(std::string const& name) { return name.ends_with(".json"); }

footprint read_model(std::string const& path) {
    json const object = parsed(path);
    std::string const where = "model " + path;
    members const of{
        where,
        object,
        {"flops_per_token", "flops_per_pair", "kv_bytes_per_token", "state_bytes", "windows"}};
    footprint model{.model = path,
                    .flops = {of.flops("flops_per_token"), of.flops("flops_per_pair")}};
    if (std::uint64_t const bytes = of.count("kv_bytes_per_token", most_bytes))
        model.kv_layers.push_back({.key_bytes = bytes});
    if (std::uint64_t const bytes = of.count("state_bytes", most_bytes))
        model.state_pieces.push_back({.fixed_bytes = bytes});
    for (json const& entry : of.array("windows")) {
        members const window{
            where + ", windows", entry, {"tokens", "bytes_per_token", "flops_per_pair"}};
        std::uint64_t const tokens = window.count("tokens", most_tokens);
        if (tokens == 0) window.fail("tokens", "is missing or 0; expected at least 1");
        if (std::uint64_t const bytes = window.count("bytes_per_token", most_bytes >> 31))
            model.state_pieces.push_back({.window = tokens, .bytes_per_window_token = bytes});
        model.flops.windows.push_back({tokens, window.flops("flops_per_pair")});
    }
    if (!(model.flops.up_to(token_count{1000}) > flop_count{}))
        of.fail("flops_per_token", "is missing or 0; expected the FLOPs that a token takes");
    if (!model.has_kv() && !model.has_checkpoints())
        of.fail("kv_bytes_per_token", "is missing or 0, and so is state_bytes: nothing to keep");
    return model;
}

} // namespace marconi::replay
