// Histories in which the cache once disagreed with the reference, as marconi_histories printed
// them, named after what went wrong.

#include <support/catch.hpp>
#include <support/histories/run.hpp>

#include <string>

using histories::call;

namespace {

void replay(std::string const& name, histories::history const& calls) {
    auto const found = histories::replay(histories::named(name), calls);
    INFO((found ? found->what : std::string{}));
    CHECK(!found);
}

} // namespace

TEST_CASE("a lease that reserved pages and then commits a copy has no unwritten rows in them") {
    // What another had published of the block it went on in was never copied into its own page.
    replay("hybrid-b2-p50-gdsf-every3",
           {
               {.what = call::match, .plan = 2, .scope = 'A', .tokens = "baabbaaabaaaabab"},
               {.what = call::acquire, .lease = 1, .plan = 2},
               {.what = call::commit, .lease = 1, .tokens = "baabbaaabaaaabab"},
               {.what = call::match, .plan = 1, .scope = 'A', .tokens = "baabbaabaaa"},
               {.what = call::acquire, .lease = 2, .plan = 1},
               {.what = call::reserve, .lease = 2, .amount = 11},
               {.what = call::commit, .lease = 2, .tokens = "baabbaa"},
               {.what = call::commit, .lease = 2, .tokens = "baabbaabaaa"},
           });
}

TEST_CASE("pages that several leases own, and no node, are not counted as obtainable") {
    // A commit evicted for what it could not store.
    replay("hybrid-b17-p16-lru-tail",
           {
               {.what = call::match, .plan = 2, .scope = 'A', .tokens = "baaa"},
               {.what = call::acquire, .lease = 0, .plan = 2},
               {.what = call::commit, .lease = 0, .tokens = "baaa", .checkpoints = {4}},
               {.what = call::match, .plan = 1, .scope = 'A', .tokens = "baaaaaaabaaaaaaaaaaa"},
               {.what = call::acquire, .lease = 3, .plan = 1},
               {.what = call::release, .lease = 0},
               {.what = call::match,
                .plan = 0,
                .scope = 'A',
                .tokens = "baaaaaaabaaaaaaaaaaaaaaaaaababbbaaaaabaaabaaabababaaaaaaabaaaababab",
                .limit = 67},
               {.what = call::acquire, .lease = 0, .plan = 0},
               {.what = call::commit_in_place, .lease = 3, .tokens = "baaaaaaabaaaaaaaaaaabaaaaa"},
               {.what = call::match,
                .plan = 0,
                .scope = 'A',
                .tokens = "babbbaaaabbbabaaababaaababaaaaaaabaaabaabaaaaaababaaabaaababaaabababa"},
               {.what = call::acquire, .lease = 2, .plan = 0},
               {.what = call::commit_in_place,
                .lease = 0,
                .tokens = "baaaaaaabaaaaaaaaaaaaaaaaaababbbaaaaabaaabaaabababaaaaaaabaaaabababaa"},
               {.what = call::evict, .amount = 1728},
               {.what = call::commit_in_place,
                .lease = 0,
                .tokens = "baaaaaaabaaaaaaaaaaaaaaaaaababbbaaaaabaaabaaabababaaaaaaabaaaabababaa",
                .checkpoints = {69}},
               {.what = call::commit,
                .lease = 2,
                .tokens = "babbbaaaabbbabaaababaaababaaaaaaabaaabaabaaaaaababaaabaaababaaabababa",
                .checkpoints = {16, 18, 20, 36}},
           });
}

TEST_CASE("a duplicate page that a merge will drop is room for a commit") {
    // What would have fitted was declined.
    replay("hybrid-b16-p5-gdsf-every3",
           {
               {.what = call::match, .plan = 1, .scope = 'B', .tokens = "bba"},
               {.what = call::acquire, .lease = 0, .plan = 1},
               {.what = call::match, .plan = 2, .scope = 'B', .tokens = "ba"},
               {.what = call::commit, .lease = 0, .tokens = "bba"},
               {.what = call::release, .lease = 0},
               {.what = call::acquire, .lease = 0, .plan = 2},
               {.what = call::commit_in_place, .lease = 0, .tokens = "ba"},
               {.what = call::commit, .lease = 0, .tokens = "baa", .checkpoints = {2, 3}},
           });
}

TEST_CASE("who is left as a page's only owner off the lease's path is ranked anew") {
    replay("attention-b16-p16-lru-tail",
           {
               {.what = call::match, .plan = 0, .scope = 'A', .tokens = "b"},
               {.what = call::acquire, .lease = 0, .plan = 0},
               {.what = call::commit, .lease = 0, .tokens = "b"},
               {.what = call::match, .plan = 0, .scope = 'A', .tokens = "bba", .limit = 3},
               {.what = call::acquire, .lease = 3, .plan = 0},
               {.what = call::commit_in_place, .lease = 3, .tokens = "bba"},
               {.what = call::commit_in_place, .lease = 0, .tokens = "bbb"},
               {.what = call::release, .lease = 0},
               {.what = call::release, .lease = 3},
           });
}
