/* An engine in C: chats whose turns resume from what the cache kept of the turns before. Its model
 * is arithmetic, so that what comes back can be checked: the state after a token depends on all
 * tokens so far, and so does the token's row of KV. */

#include "marconi_c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most = 4000, chats = 12, turns = 8, asked = 100, answered = 40, chunk = 256 };

typedef struct engine {
    marconi_cache* cache;
    int32_t tokens[most];
    uint64_t rows[most], state, computed, resumed;
    uint64_t captured; /* one copy a commit: with these options no prompt has more */
} engine;

static void must(int failure) {
    if (failure == MARCONI_OK) return;
    fprintf(stderr, "%s\n", marconi_last_error());
    exit(1);
}

static uint64_t after(uint64_t state, int32_t token) {
    return (state ^ (uint64_t)(uint32_t)token) * 0x9E3779B97F4A7C15u + 1;
}

/* A token's row is the state after it. */
static void compute(engine* e, uint64_t end) {
    for (; e->computed < end; ++e->computed)
        e->rows[e->computed] = e->state = after(e->state, e->tokens[e->computed]);
}

static int is_right(engine const* e) {
    uint64_t state = 0, i;
    for (i = 0; i < e->computed; ++i)
        if (e->rows[i] != (state = after(state, e->tokens[i]))) return 0;
    return e->state == state;
}

static void commit(engine* e, marconi_lease* lease, uint64_t at) {
    marconi_kv_layer_view const layer = {.key = e->rows};
    marconi_kv_view const kv = {.layers = &layer, .layer_count = 1};
    void* const piece = &e->captured;
    marconi_captured const copy = {at, {.pieces = &piece, .piece_count = 1}};
    must(marconi_commit(lease, e->tokens, e->computed, &kv, 0, &copy, at != 0, NULL, NULL));
}

/* Computes tokens[0, prompt), decodes up to `end`, and returns whether all rows are right. */
static int serve(engine* e, marconi_scope in, uint64_t prompt, uint64_t end) {
    marconi_kv_layer_view const layer = {.key = e->rows};
    marconi_kv_view const kv = {.layers = &layer, .layer_count = 1};
    void* const piece = &e->state;
    marconi_state_view const state = {.pieces = &piece, .piece_count = 1};
    uint64_t wanted[8], at = 0;
    size_t count, next = 0;
    marconi_lease* lease = NULL;

    must(marconi_open(e->cache, &in, e->tokens, prompt, NULL, &lease));
    memset(e->rows, 0, sizeof e->rows); /* what is there now was computed to make the prompt */
    e->state = 0;                       /* with nothing to resume, restore writes nothing */
    must(marconi_restore(lease, &kv, &state, 0, NULL));
    e->computed = marconi_resume_at(lease);
    e->resumed += e->computed;

    /* The prefill ends its chunks where the state is wanted, and copies it there. */
    count = marconi_capture_at(lease, wanted, 8);
    if (count > 8) count = 8; /* those of the rest cost their checkpoints, and nothing else */
    while (e->computed < prompt) {
        uint64_t stop = e->computed + chunk < prompt ? e->computed + chunk : prompt;
        while (next < count && wanted[next] <= e->computed)
            ++next;
        if (next < count && wanted[next] < stop) stop = wanted[next];
        compute(e, stop);
        if (marconi_should_capture(lease, stop, /*last=*/0)) {
            e->captured = e->state;
            at = stop;
        }
    }
    commit(e, lease, at); /* while this one decodes, others find the prompt */

    while (e->computed < end) {
        e->tokens[e->computed] = (int32_t)(e->state >> 40);
        compute(e, e->computed + 1);
    }
    e->captured = e->state;
    commit(e, lease, marconi_should_capture(lease, end, /*last=*/1) ? end : 0);
    marconi_close(lease);
    return is_right(e);
}

int main(void) {
    marconi_kv_layer const layer = {sizeof(uint64_t), 0};
    marconi_state_piece const piece = {sizeof(uint64_t), 0, 0};
    marconi_options const options = {.kv_layers = &layer,
                                     .kv_layer_count = 1,
                                     .state_pieces = &piece,
                                     .state_piece_count = 1,
                                     .flops_per_token = 1e6,
                                     .flops_per_pair = 1e2,
                                     .block_tokens = 32,
                                     .capacity = 1 << 16};
    static engine e;
    uint64_t served = 0, right = 0, tokens = 0, t, turn, chat;
    marconi_stats stats;

    must(marconi_create(&options, &e.cache));
    for (turn = 0; turn < turns; ++turn)
        for (chat = 0; chat < chats; ++chat) {
            uint64_t const before = turn * (asked + answered), prompt = before + asked;
            marconi_scope const in = {.tenant = chat % 3};
            /* What was said before comes back as it was: here, computed once more. */
            e.state = e.computed = 0;
            for (t = 0; t < prompt; ++t) {
                int const by_user = t % (asked + answered) < asked;
                e.tokens[t] = by_user ? (int32_t)(chat << 16 | t) : (int32_t)(e.state >> 40);
                compute(&e, t + 1);
            }
            right += (uint64_t)serve(&e, in, prompt, prompt + answered);
            tokens += prompt;
            ++served;
        }
    must(marconi_read_stats(e.cache, &stats));
    printf("%llu of %llu requests right; %.0f %% of %llu prompt tokens resumed, %.0f %% of their "
           "FLOPs saved; %llu evictions\n",
           (unsigned long long)right, (unsigned long long)served,
           100.0 * (double)e.resumed / (double)tokens, (unsigned long long)tokens,
           100.0 * stats.flops_saved / stats.flops_asked, (unsigned long long)stats.evictions);
    must(marconi_audit(e.cache));
    must(marconi_destroy(e.cache));
    return right == served && e.resumed != 0 ? 0 : 1;
}
