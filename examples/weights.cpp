// Requests of different worth: people who wait for the first token share a cache with jobs that
// nobody waits for. As the jobs' requests weigh less and less, what the cache saves moves over to
// the people. (On a ledger, which counts bytes and holds none.)

#include <marconi/marconi.hpp>

#include <cstdio>
#include <random>
#include <utility>
#include <vector>

using namespace marconi;
using namespace marconi::literals;

namespace {

using conversation = std::vector<std::int32_t>;

std::mt19937 dice{1};

void say(conversation& to, std::size_t tokens) {
    for (; tokens > 0; --tokens)
        to.push_back(static_cast<std::int32_t>(dice() % 30'000));
}

struct tally {
    double asked = 0, saved = 0; // FLOPs of prefills
    [[nodiscard]] double share() const { return 100 * saved / asked; }
};

/// Serves one turn of a conversation, as an engine would; only the weight is new here.
template <class Cache>
void serve(Cache& cache, conversation& turns, double weight, tally& count) {
    auto lease = cache.open({}, turns, {.weight = weight});
    flop_curve const& flops = cache.store().layout().model().flops;
    count.asked += flops.up_to(token_count{turns.size()}).value();
    count.saved += flops.up_to(lease.resume_at()).value();

    std::vector<captured_state> captured;
    for (token_count const position : lease.capture_at())
        captured.push_back({position});
    say(turns, 150); // the answer
    captured.push_back({token_count{turns.size()}});
    cache.commit(lease, turns, {.checkpoints = captured});
}

/// What people and jobs save if a job's requests have this weight.
std::pair<double, double> share_cache(double weight_of_jobs) {
    footprint const model = model::find_preset("nemotron-h-8b").footprint();
    prefix_cache cache{ledger_store{model, 2_GB}};
    conversation system_prompt, instructions;
    say(system_prompt, 800);
    say(instructions, 2000);
    std::vector<conversation> people(30, system_prompt), jobs(30, instructions);
    tally by_people, by_jobs;
    for (int i = 0; i < 3000; ++i) {
        bool const waits = dice() % 2 == 0;
        conversation& turns = (waits ? people : jobs)[dice() % 30];
        if (turns.size() > 8000) turns = waits ? system_prompt : instructions;
        say(turns, 100 + dice() % 300);
        serve(cache, turns, waits ? 1 : weight_of_jobs, waits ? by_people : by_jobs);
    }
    if (!cache::audit(cache).empty()) return {};
    return {by_people.share(), by_jobs.share()};
}

} // namespace

int main() {
    std::printf("%14s %20s %16s\n", "a job's weight", "saved for people", "saved for jobs");
    double before = 0;
    bool rises = true;
    for (double const weight : {1.0, 0.5, 0.2, 0.05}) {
        dice.seed(1); // the same requests each time
        auto const [people, jobs] = share_cache(weight);
        std::printf("%14g %18.1f %% %14.1f %%\n", weight, people, jobs);
        rises = rises && people > before;
        before = people;
    }
    return rises ? 0 : 1;
}
