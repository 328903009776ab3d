// A cache that outlives its process: what it can resume is written to a file, and read into a new
// cache. Here that is a file of one machine, and the engine's memory has a request in one piece; an
// engine with pages would write these, by the same calls.

#include "small_engine.hpp"

#include <marconi/marconi.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

using namespace marconi;
using namespace marconi::literals;
using namespace small_engine;

namespace {

using cache_type = prefix_cache<host_store>;

/// A position that can be resumed: the tokens up to it, of which the nearest such position above
/// has `from`.
struct resumable {
    scope in;
    token_list tokens;
    token_count from;
    bool in_answer = false;
};

/// Listens to a snapshot, which tells of nodes before those below them, and of a checkpoint after
/// its node.
class inventory {
public:
    void observe(cache::event<std::int32_t> const& e) {
        path& here = paths_[e.node.value()];
        if (e.kind == cache::event_kind::kv_published) {
            auto const above = paths_.find(e.parent.value()); // nothing for a scope's root
            if (above != paths_.end()) here = above->second;
            here.tokens.insert(here.tokens.end(), e.tokens.begin(), e.tokens.end());
        } else {
            found_.push_back({e.in, here.tokens, here.resume_at, e.in_answer});
            here.resume_at = e.position;
        }
    }
    /// From the top down.
    [[nodiscard]] std::vector<resumable> const& found() const { return found_; }

private:
    struct path {
        token_list tokens;
        token_count resume_at;
    };
    std::unordered_map<std::uint32_t, path> paths_; // by node
    std::vector<resumable> found_;
};

// ---- The file: a line that says what it is for, then a record for each resumable position. ----

constexpr std::string_view kind_of_file = "marconi example 2, ";

/// What has to be equal where the file is read. The size of blocks may differ.
std::string title_of(cache_type const& cache) {
    return std::string{kind_of_file} + cache.store().layout().model().model;
}

/// Whether saving to this name would replace a file that something else has made.
bool is_taken(std::string const& name) {
    if (!std::filesystem::exists(name)) return false;
    std::string begin(kind_of_file.size(), '\0');
    std::ifstream{name, std::ios::binary}.read(begin.data(),
                                               static_cast<std::streamsize>(begin.size()));
    return begin != kind_of_file;
}

/// Its tokens follow, then the KV of those from `from` on, then the state.
struct record {
    scope in;
    std::uint64_t tokens, from, in_answer;
};

constexpr char const* disk_full = "the file cannot be written: is the disk full?";

template <class T>
void put(std::ostream& file, std::span<T> values) {
    auto const bytes = std::as_bytes(values);
    file.write(reinterpret_cast<char const*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file) throw std::runtime_error{disk_full};
}
/// False at the end of the file.
template <class T>
bool get(std::istream& file, std::span<T> values) {
    auto const bytes = std::as_writable_bytes(values);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (file.gcount() == 0 && file.eof()) return false;
    if (!file) throw std::runtime_error{"the file ends inside a record"};
    return true;
}

/// Returns how many positions were written. Nothing else may use the cache meanwhile. What was
/// saved before stays until all is written: a process that ends half-way loses nothing.
std::size_t save(cache_type& cache, std::string const& name) {
    if (is_taken(name)) throw std::runtime_error{name + " is there already, and no saved cache"};
    std::string const unfinished = name + ".new";
    std::ofstream file{unfinished, std::ios::binary};
    if (!file) throw std::runtime_error{unfinished + " cannot be made"};
    file << title_of(cache) << '\n';
    inventory all;
    cache.snapshot(all);
    for (resumable const& one : all.found()) {
        token_count const end{one.tokens.size()};
        working_memory memory{one.tokens.size()};
        auto const lease = cache.open(one.in, one.tokens, {.limit = end, .counted = false});
        cache.restore(lease, memory.kv(), memory.state(), {}, one.from);
        record const head{one.in, end.value(), one.from.value(), one.in_answer};
        put(file, std::span{&head, 1});
        put(file, std::span{one.tokens});
        put(file, memory.rows_from(one.from));
        put(file, memory.state_bytes());
    }
    file.close();
    if (!file) throw std::runtime_error{disk_full};
    std::filesystem::rename(unfinished, name);
    return all.found().size();
}

/// Returns how many positions can be resumed now. A cache that is smaller has the rest evicted, or
/// declines it.
std::size_t load(cache_type& cache, std::string const& name) {
    std::ifstream file{name, std::ios::binary};
    std::string title;
    if (!std::getline(file, title) || title != title_of(cache))
        throw std::runtime_error{name + " is not of \"" + title_of(cache) + '"'};
    record head;
    while (get(file, std::span{&head, 1})) {
        if (head.from > head.tokens) throw std::runtime_error{"a record is not one of a cache"};
        token_list tokens(head.tokens);
        token_count const end{head.tokens}, from{head.from};
        working_memory memory{tokens.size()};
        if (!get(file, std::span{tokens}) || !get(file, memory.rows_from(from)) ||
            !get(file, memory.state_bytes()))
            throw std::runtime_error{"the file ends inside a record"};
        // Where the answer began is not known, but on which side of it the state lies.
        auto const lease = cache.open(
            head.in, tokens,
            {.limit = from, .answer_from = head.in_answer ? 0_tokens : end, .counted = false});
        if (lease.resume_at() != from) continue; // what it goes on from is gone
        captured_state const there{.position = end, .state = memory.state()};
        cache.commit(lease, tokens,
                     {.kv = memory.kv(), .checkpoints = {&there, 1}, .kv_from = from});
    }
    return cache.holds().checkpoint_count;
}

// ---- An engine that has to restart ----

struct tally {
    token_count asked, resumed;
    bool right = true;

    [[nodiscard]] double percent() const {
        return 100 * static_cast<double>(resumed.value()) / static_cast<double>(asked.value());
    }
};

tally serve(cache_type& cache, std::span<token_list const> prompts) {
    tally sum;
    for (token_list const& prompt : prompts) {
        token_count const end{prompt.size()};
        working_memory memory{prompt.size()};
        auto const lease = cache.open({}, prompt);
        cache.restore(lease, memory.kv(), memory.state());
        std::vector wanted(lease.capture_at().begin(), lease.capture_at().end());
        if (lease.should_capture(end, /*last=*/true)) wanted.push_back(end);
        auto const copies = memory.prefill(prompt, lease.resume_at().value(), wanted);
        cache.commit(lease, prompt, {.kv = memory.kv(), .checkpoints = copies.captured()});

        sum.asked += end;
        sum.resumed += lease.resume_at();
        sum.right = sum.right && memory.is_right_for(prompt);
    }
    return sum;
}

cache_type cache_of(byte_count capacity, token_count block_tokens = 16_tokens) {
    return cache_type{host_store{hybrid, capacity, {.block_tokens = block_tokens}}};
}

bool survives_a_restart(std::string const& name) {
    auto const prompts = turns_of(20, 160);
    std::span const before = std::span{prompts}.first(120), after = std::span{prompts}.last(40);

    auto first = cache_of(4_MiB);
    serve(first, before);
    std::size_t const saved = save(first, name);
    auto const bytes = std::filesystem::file_size(name);

    auto restarted = cache_of(4_MiB), smaller = cache_of(256_KiB, 64_tokens),
         empty = cache_of(4_MiB);
    std::size_t const loaded = load(restarted, name), fitted = load(smaller, name);
    bool const leaves_no_trace =
        first.stats().requests == before.size() && restarted.stats().requests == 0;
    std::filesystem::remove(name);
    std::printf("%zu resumable positions in a file of %.0f KiB; %zu of them in a new cache, %zu in "
                "one of a sixteenth of the size\n",
                saved, static_cast<double>(bytes) / 1024, loaded, fitted);

    tally const same = serve(first, after), with = serve(restarted, after),
                without = serve(empty, after);
    std::printf("of the next prompts' tokens the new cache resumes %.0f %%; the old one would have "
                "resumed %.0f %%, an empty one %.0f %%\n",
                with.percent(), same.percent(), without.percent());
    return leaves_no_trace && with.right && serve(smaller, after).right && loaded == saved &&
           fitted > 0 && fitted < saved && with.resumed == same.resumed &&
           with.resumed > without.resumed && cache::audit(restarted).empty() &&
           cache::audit(smaller).empty();
}

} // namespace

int main(int argc, char** argv) {
    try {
        return survives_a_restart(argc > 1 ? argv[1] : "saved_cache.bin") ? 0 : 1;
    } catch (std::exception const& problem) {
        std::fprintf(stderr, "save_and_load: %s\n", problem.what());
        return 1;
    }
}
