#ifndef MARCONI_C_H
#define MARCONI_C_H

/* A cache behind C functions, for engines in languages that call C: Python (marconi.py), Rust, Go.
 *
 *     open ──► restore ──►  prefill + decode  ──► commit ──► close
 *     lease    copies        (the engine's)        publish    unpin
 *
 * It is a concurrent_cache over a learning_cache. marconi_c.cpp has its pages in the host's memory,
 * marconi_c.cu in that of the current CUDA device; an engine may hand that memory in.
 * examples/README.md shows an engine's side of these calls, <marconi/cache/prefix_cache.hpp> says
 * what each promises.
 *
 * Functions that return an int, except marconi_should_capture, can fail: they return MARCONI_OK or
 * what went wrong, and marconi_last_error() puts it in words. A call that failed has changed
 * nothing, and written no result, but may have evicted entries to make room and, in a commit, moved
 * the time. Any thread may call, but only one at a time may use a lease (to close it while another
 * commits with it ends the process), nobody once it is closed, and marconi_destroy comes after all
 * other calls. Arrays and what they point to are the caller's; arrays are read or written before
 * the call returns. A position is the number of tokens before it.
 *
 * A stream is a cudaStream_t; null is CUDA's default one. On a device, a call that names a stream
 * enqueues there and returns, views point to memory that the device reaches, and a stream must live
 * as long as the leases that were given it; <marconi/gpu/basic_device_store.hpp> has the rest. On
 * the host, copies are done when their call returns, and streams are ignored.
 *
 * request.c is an engine in C. Built beside the other examples, into build/lib (alone by cmake
 * --build build --target marconi_c), or by hand:
 *
 *     c++ -std=c++20 -O2 -DNDEBUG -shared -fPIC -fvisibility=hidden -I include \
 *         examples/c_interface/marconi_c.cpp -o libmarconi_c.so */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct marconi_cache marconi_cache;
typedef struct marconi_lease marconi_lease;

#ifdef __GNUC__ /* from here on, all that the shared library shows */
#pragma GCC visibility push(default)
#endif

enum marconi_failure {
    MARCONI_OK = 0,
    MARCONI_INVALID_ARGUMENT = 1,   /* outside its range, a null pointer included */
    MARCONI_CONTRACT_VIOLATION = 2, /* a call that does not fit those before it */
    MARCONI_OUT_OF_MEMORY = 3,      /* for pages, or for what is kept about them */
    MARCONI_OTHER_FAILURE = 4
};

/* The message of this thread's last failure; valid until the next one. */
char const* marconi_last_error(void);

/* It goes up with any change of a struct, a signature, or what either means, after which a caller
 * of before would read and write garbage; a function that comes new breaks nobody. Who links gets
 * the library that fits, by its name. Who loads it at run time calls marconi_interface_version()
 * before all else, and goes on only if that is the number of the header that was read. */
#define MARCONI_C_VERSION 4
uint64_t marconi_interface_version(void);

/* ---- The model, and its cache ---- */

/* A full-attention layer: bytes of a token's key and value. */
typedef struct marconi_kv_layer {
    uint64_t key_bytes, value_bytes;
} marconi_kv_layer;

/* A tensor of per-position state: bytes that are always there, then a row for each of the last
 * min(position, window) tokens, oldest first. No more of it is read or written. */
typedef struct marconi_state_piece {
    uint64_t fixed_bytes, window, bytes_per_window_token;
} marconi_state_piece;

/* FLOPs of the pairs of tokens that sliding-window layers of one window see. */
typedef struct marconi_window_flops {
    uint64_t window;
    double per_pair;
} marconi_window_flops;

/* Members that are 0 take their defaults. */
typedef struct marconi_options {
    char const* preset;       /* a model that the library knows, "nemotron-h-8b" say; a layer's */
                              /* state pieces are those of its kind in model/layers/ */
    uint64_t tensor_parallel; /* one rank of so many; default 1 */

    marconi_kv_layer const* kv_layers; /* or a model by hand: bytes on one rank */
    size_t kv_layer_count;
    marconi_state_piece const* state_pieces;
    size_t state_piece_count;
    double flops_per_token; /* FLOPs of L tokens: per_token * L + per_pair * L^2 + windows';
                             * without any the cache is plain LRU */
    double flops_per_pair;
    marconi_window_flops const* window_flops;
    size_t window_flops_count;

    uint64_t block_tokens;     /* of the attention kernel, 1 to 256; default 16 */
    uint64_t page_bytes;       /* for models without full attention; default 65,536 */
    uint64_t zero_freed_pages; /* 1: what was in a page is wiped when nobody needs it any more
                                * (refused on a device); default 0 */
    uint64_t checkpoint_grid;  /* marconi_capture_at() names multiples of it; default 1 */
    uint64_t checkpoint_every; /* and, for documents that many ask about, positions this far apart
                                * in the new part of a prompt, while these pay; default none */
    uint64_t checkpoint_before_answer; /* and, for reasoning models whose thoughts later prompts
                                        * leave out, so many tokens before a prompt's end: as many
                                        * as the chat template puts there, or a few more (16 is
                                        * enough for most), while that pays; default none */

    void* memory;      /* for the pages, until marconi_destroy; null: the cache's own. On a device
                        * at a multiple of 256, in its memory or pinned on the host */
    uint64_t capacity; /* its size in bytes, or how many bytes to take */

    uint64_t multiprocessors; /* on a device, the most that a copy may take; default all,
                               * or 8 where memory is the host's */

    uint64_t event_bytes; /* for events until they are taken (their memory may be three times that
                           * while it grows); default: none are kept */

    uint64_t shadow_multiple; /* what comes back is learned from an index of the requests that has
                               * so many times the capacity, and no pages; 1 to 1000, default 16 */
    uint64_t shadow_bytes;    /* bound on that index's memory on the host; default 256 MiB */
} marconi_options;

int marconi_create(marconi_options const* options, marconi_cache** made);
/* Fails with MARCONI_CONTRACT_VIOLATION while leases are open. Null does nothing. */
int marconi_destroy(marconi_cache* cache);

typedef struct marconi_pages {
    void* memory; /* page i is at memory + i * page_bytes */
    uint64_t page_bytes;
    uint64_t count;
    uint64_t block_tokens; /* a page holds a block: row s of each layer is that of its token s */
    uint64_t checkpoint_pages; /* that a checkpoint takes, at most */
    size_t kv_layer_count;
    size_t state_piece_count;
} marconi_pages;

/* Where a layer's rows are in a page: key of row s at key_offset + s * bytes.key_bytes. */
typedef struct marconi_layer_place {
    uint64_t key_offset, value_offset;
    marconi_kv_layer bytes;
} marconi_layer_place;

int marconi_describe_pages(marconi_cache const* cache, marconi_pages* found);
int marconi_describe_layer(marconi_cache const* cache, size_t layer, marconi_layer_place* found);
int marconi_describe_state(marconi_cache const* cache, size_t piece, marconi_state_piece* found);

/* ---- A request ---- */

/* Nothing is shared between scopes that differ. */
typedef struct marconi_scope {
    uint64_t tenant, adapter, revision;
} marconi_scope;

/* The limit that leaves one token to compute, for its logits. */
#define MARCONI_ALL_BUT_ONE UINT64_MAX
/* Where the answer begins, if it is still to come. */
#define MARCONI_AFTER_ALL UINT64_MAX

typedef struct marconi_match_result {
    uint64_t matched;   /* leading tokens whose KV is here */
    uint64_t resumable; /* how many of them a request need not compute again; */
    uint64_t lost_past_limit, lost_without_checkpoint; /* the others, by the reason */
} marconi_match_result;

/* What else there is to say of a request, if it is not like most: begin with
 * MARCONI_REQUEST_DEFAULTS, which stays right when members are added. (Zeros are no defaults: with
 * a limit of 0 nothing is resumed, and with a weight of 0 nothing is worth keeping.) */
typedef struct marconi_request {
    uint64_t limit;       /* how much may be resumed: MARCONI_ALL_BUT_ONE or, for a further answer
                           * to the same prompt, at most all of its tokens */
    double weight;        /* what a FLOP saved for it is worth, compared with others: 1 for most
                           * requests, 0 to 1,000,000 */
    uint64_t answer_from; /* MARCONI_AFTER_ALL or, for a request that comes back after a preemption
                           * and has some of its answer in its tokens, the length of its prompt */
    uint64_t state_at;    /* 0 or where the engine has the state itself, of these very tokens: if
                           * the request resumes there, and not by a checkpoint that lies deeper,
                           * it has no state to restore */
    uint64_t uncounted;   /* 1: nobody asked for it. It puts something in, or takes it out to be
                           * kept elsewhere: marconi_read_stats() does not count it as a request,
                           * nothing is learned from it, and what it finds is not thought used */
} marconi_request;
#define MARCONI_REQUEST_DEFAULTS                                                                   \
    { MARCONI_ALL_BUT_ONE, 1, MARCONI_AFTER_ALL, 0, 0 }

/* What marconi_open() would find: `request` is what it will be given, null for the defaults.
 * Changes nothing, counts no request, and pins nothing, so what it found may be gone by then. For a
 * scheduler that asks before it admits, or a router. */
int marconi_match(marconi_cache const* cache, marconi_scope const* in, int32_t const* tokens,
                  size_t count, marconi_request const* request, marconi_match_result* found);

/* Looks a prompt up and pins what can be resumed; `request` is null for the defaults. */
int marconi_open(marconi_cache* cache, marconi_scope const* in, int32_t const* tokens, size_t count,
                 marconi_request const* request, marconi_lease** opened);
/* Gives back all but what was committed. Null does nothing. */
void marconi_close(marconi_lease* lease);

/* Position to start the prefill at. */
uint64_t marconi_resume_at(marconi_lease const* lease);
/* Tokens published so far on the request's path. */
uint64_t marconi_position(marconi_lease const* lease);
/* Positions in the prompt where the prefill is to copy the state, ascending: writes at most `room`
 * of them and returns how many there are. */
size_t marconi_capture_at(marconi_lease const* lease, uint64_t* positions, size_t room);
/* 1 if the state at `position` is to be copied; `last`: no token will be processed after it. The
 * last position follows no grid: if its state cannot be had, none is copied. */
int marconi_should_capture(marconi_lease const* lease, uint64_t position, int last);

/* Where the engine's own KV of one layer is. Token t's key is at
 *
 *     key + t * key_stride                                    (+ h * key_head_stride for head h)
 *
 * and in an engine with blocks at
 *
 *     key + block * key_block_stride + slot * key_stride      (+ h * key_head_stride)
 *
 * in bytes; likewise its value. A stride of 0 means dense packing: heads within tokens within
 * blocks. Strides so small that rows would overlap are refused. Positions count from the request's
 * first token, after a resume, too. */
typedef struct marconi_kv_layer_view {
    void* key;
    ptrdiff_t key_stride;
    void* value;
    ptrdiff_t value_stride;
    uint64_t heads; /* equal parts of a token's key, and of its value; default 1 */
    ptrdiff_t key_head_stride, value_head_stride;
    ptrdiff_t key_block_stride, value_block_stride;
} marconi_kv_layer_view;

/* The engine's own KV of one request. Its blocks need not be as long as the cache's: blocks[i]
 * holds tokens [i * block_tokens, (i + 1) * block_tokens), and only those of tokens that are copied
 * are looked at. A commit reads rows from the start of the cache's block that marconi_position() is
 * in up to its last token, and after marconi_let_go_kv() possibly any row before that, too; but
 * none before its kv_from. */
typedef struct marconi_kv_view {
    marconi_kv_layer_view const* layers; /* one for each KV layer */
    size_t layer_count;
    int32_t const* blocks;
    size_t block_count;
    uint64_t block_tokens; /* 0: it has no blocks, but each request in one piece */
    uint64_t pool_blocks;  /* how many it has, to refuse numbers past them; 0: unchecked */
    uint64_t first_layer, only_layers; /* of marconi_restore(): copies only_layers layers from
                                        * number first_layer on; 0: all */
} marconi_kv_view;

/* A window's rows where an engine keeps them by position: token t's row is at piece + block *
 * block_stride + slot * row_stride, in bytes. A stride of 0: rows, or blocks, are dense. All of
 * this 0: the piece is in one run. (Dense rows without blocks: give the row_stride.) */
typedef struct marconi_window_view {
    ptrdiff_t row_stride, block_stride;
    int32_t const* blocks; /* its own block table, where windows have not all the same one */
    size_t block_count;
    uint64_t block_tokens; /* of its own blocks; 0: as many as the state view's */
} marconi_window_view;

/* The engine's own state of one request: where each state piece is. A piece that is in one run has
 * its fixed bytes, then its window's rows, oldest first and without a gap.
 *
 * An engine that keeps windows in blocks says how their rows lie (`windows`, or null if none are so
 * kept), and gives the block table of these rows, as in a marconi_kv_view, of which only the
 * window's blocks are looked at. Without blocks, rows lie by position in one piece. A ring of R
 * rows, R at least the window, is a table of blocks of R tokens which are all the same one: for
 * position p, p / R entries, rounded up. */
typedef struct marconi_state_view {
    void* const* pieces;
    size_t piece_count;
    marconi_window_view const* windows; /* one for each piece */
    int32_t const* blocks;
    size_t block_count;
    uint64_t block_tokens, pool_blocks;
} marconi_state_view;

/* Copies the state at resume_at() and, unless `kv` is null, the KV of tokens [from, resume_at()):
 * `from` is for an engine that has the rows before it, as when a second cache in slower memory
 * completes what a first one had. `state` is null where the request resumes by the engine's own
 * state, and where only some layers are copied and the state is not, so that an engine can begin
 * while later layers still load. Writes nothing if there is nothing to resume. */
int marconi_restore(marconi_lease const* lease, marconi_kv_view const* kv,
                    marconi_state_view const* state, uint64_t from, void* stream);

/* In place: gets pages for the request's first `tokens` tokens; `covered` says for how many. Where
 * new pages are needed, and there is no room for all, or marconi_obtainable() would not be `spare`
 * after (for the state of a request that is preempted, say; or 0), these are fewer, and nothing is
 * evicted. Rows from marconi_position() up
 * to there may be written, and no others, however long the block table is. */
int marconi_reserve(marconi_lease* lease, uint64_t tokens, uint64_t spare, void* stream,
                    uint64_t* covered);
/* Gives back reserved pages past `tokens`. */
int marconi_unreserve(marconi_lease* lease, uint64_t tokens);
/* The pages of blocks `first` and on: writes at most `room`; `count` says how many there are. Page
 * numbers fit a kv_view's blocks: layers whose key is at memory + key_offset, with page_bytes as
 * block strides, are a view of the pages. */
int marconi_block_table(marconi_lease const* lease, size_t first, uint32_t* pages, size_t room,
                        size_t* count);
/* The engine is about to read pages of a block table on a stream that neither restore (with no kv)
 * nor reserve has named for this lease since its last commit, deduplicate, or reserve on another
 * stream. */
int marconi_used_on(marconi_lease* lease, void* stream);
/* Gives back pages of tokens that others published first, and those that only older block tables
 * name: block tables taken before are invalid.
 * `freed`, in bytes, may be null. */
int marconi_deduplicate(marconi_lease* lease, uint64_t* freed);

/* A copy of the state at one position. */
typedef struct marconi_captured {
    uint64_t position;
    marconi_state_view state;
} marconi_captured;

typedef struct marconi_outcome {
    uint64_t position; /* tokens of the sequence that are in the cache now */
    uint64_t stored_tokens, declined_tokens;
    uint64_t stored_checkpoints, known_checkpoints, declined_checkpoints;
    uint64_t evicted_entries, evicted_bytes;
    uint64_t forgotten; /* 1 if the lease goes on from what was forgotten: nobody finds what it
                         * stores, and its states are declined */
} marconi_outcome;

/* Publishes the tokens that went through the model, those of earlier commits included, and states
 * at positions from marconi_position() on, ascending: one that is not brought in time is lost. Of
 * the tokens before that position the last 64 are compared with those committed. `kv` is null if
 * the engine works in place: rows in pages that it has reserved are taken to be written. No row
 * before `kv_from` is read: 0, unless the engine has lost those before, up to marconi_position() at
 * most (and if what they hold was evicted after marconi_let_go_kv(), this is a
 * MARCONI_CONTRACT_VIOLATION). `outcome` may be null. What finds no room is declined, which is no
 * failure. */
int marconi_commit(marconi_lease* lease, int32_t const* tokens, size_t count,
                   marconi_kv_view const* kv, uint64_t kv_from, marconi_captured const* captured,
                   size_t captured_count, void* stream, marconi_outcome* outcome);

/* Lets the checkpoint go early, once it was restored. */
void marconi_let_go_checkpoint(marconi_lease* lease);
/* Unpins the KV, for an engine that has its own copy of all rows. What was published may then be
 * evicted; the next commit stores again what is missing, and the position may be less after it. */
void marconi_let_go_kv(marconi_lease* lease);

/* ---- The whole ---- */

/* Bytes that are free or could be freed: at least `wanted`, or else just so many. Evicts nothing.
 */
int marconi_obtainable(marconi_cache const* cache, uint64_t wanted, uint64_t* bytes);
/* The same as if such a request were open already, and had let its checkpoint go: what is left for
 * it, to decide whether to admit it. Arguments as marconi_match()'s. */
int marconi_obtainable_for(marconi_cache const* cache, uint64_t wanted, marconi_scope const* in,
                           int32_t const* tokens, size_t count, marconi_request const* request,
                           uint64_t* bytes);
/* Evicts until so many bytes are freed, or all that may go is gone: in the policy's order, or
 * (`only` is not null) of one scope, what was used longest ago. `freed` may be null. */
int marconi_evict(marconi_cache* cache, marconi_scope const* only, uint64_t bytes, uint64_t* freed);
/* Forgets what no request that is counted has resumed from or committed after `since`, which
 * marconi_stats.now was once, except what leases hold and what leads to entries used later. (A
 * beginning with a single continuation here is one entry with it, as old as its end. What the cache
 * learns from keeps tokens until they are cleared, or their scope is forgotten.) `freed` may be
 * null. */
int marconi_forget_unused(marconi_cache* cache, uint64_t since, uint64_t* freed);
/* Forgets a scope, or all scopes (null), except what leases hold. */
int marconi_clear(marconi_cache* cache, marconi_scope const* only);
/* Forgets what is here past the first `from` of these tokens, however it goes on after the next
 * one: KV that turned out to be wrong, say. Nobody finds it any more, and others may commit the
 * tokens anew; leases that hold some of it go on with what they have. `from` is less than `count`.
 * `freed`, at once and in bytes, may be null. */
int marconi_forget(marconi_cache* cache, marconi_scope const* in, int32_t const* tokens,
                   size_t count, uint64_t from, uint64_t* freed);
/* The same for all of a scope; more than marconi_clear(), nobody finds what leases hold, either. */
int marconi_forget_scope(marconi_cache* cache, marconi_scope const* in, uint64_t* freed);

typedef struct marconi_holdings {
    uint64_t tokens, kv_bytes, checkpoint_bytes, nodes, checkpoints;
} marconi_holdings;

/* What is here of a scope, except pages that only leases have. O(its nodes). */
int marconi_holds(marconi_cache const* cache, marconi_scope const* in, marconi_holdings* found);
/* The scopes of which anything is here, by tenant, adapter and revision: writes at most `room` of
 * them (with 0, `list` may be null); `count` says how many there are. */
int marconi_scopes(marconi_cache const* cache, marconi_scope* list, size_t room, size_t* count);

typedef struct marconi_stats {
    uint64_t requests, hits;
    uint64_t abandoned; /* requests that ended, and brought no token to any commit */
    uint64_t tokens_asked, tokens_matched, tokens_resumed;
    uint64_t lost_past_limit, lost_without_checkpoint; /* matched and not resumed, by the reason */
    double flops_asked, flops_saved;
    uint64_t commits, declined_commits, short_reserves; /* the last two for want of room */
    uint64_t evictions, cleared;                        /* of these, MARCONI_NOT_WANTED */
    uint64_t evicted_bytes;
    uint64_t capacity_bytes, used_bytes, kv_bytes, checkpoint_bytes; /* now */
    uint64_t peak_bytes;                                             /* the most that were in use */
    uint64_t metadata_bytes; /* on the host, for tree and tokens; what learning takes is apart */
    uint64_t nodes, checkpoints, leases;
    uint64_t now; /* the time, in ticks: one for each request and each commit */
} marconi_stats;

int marconi_read_stats(marconi_cache const* cache, marconi_stats* found);

/* What the cache has learned from its requests, and what that is worth. FLOPs are unweighted. */
typedef struct marconi_learning {
    uint64_t requests; /* seen: those whose prompt a commit completed */
    double flops_asked;
    double shadow_saved;    /* of these by shadow_multiple times the capacity, and plain LRU; */
    double odds_saved;      /* by this capacity, if learned odds had chosen all victims; */
    double gdsf_saved;      /* and if greedy-dual had. All of these see requests one at a time */
    uint64_t rules_by_odds; /* 1 while learned odds choose the victims, 0: greedy-dual does */
    uint64_t changes;       /* how often that changed */
    uint64_t spacing_pays;  /* 1 while marconi_capture_at() heeds checkpoint_every */
    uint64_t before_answer_pays; /* 1 while it heeds checkpoint_before_answer */
    uint64_t memory_bytes;       /* on the host, for all of this */
    uint64_t ended; /* 1 if learning has ended, for lack of memory for example: FLOPs and
                     * memory_bytes are 0 then */
} marconi_learning;

/* If learning has ended, marconi_last_error() then says why. */
int marconi_read_learning(marconi_cache const* cache, marconi_learning* found);
/* Checks all invariants anew, O(all that is cached), and fails with the first that does not hold:
 * MARCONI_OTHER_FAILURE. */
int marconi_audit(marconi_cache const* cache);

/* ---- What changes, for routers and metrics ---- */

enum marconi_event_kind {
    MARCONI_KV_PUBLISHED = 0,         /* `node`, below `parent`, holds `tokens`, up to `position` */
    MARCONI_CHECKPOINT_PUBLISHED = 1, /* `node` can be resumed at `position` */
    MARCONI_CHECKPOINT_REMOVED = 2,   /* not any more */
    MARCONI_REMOVED = 3,              /* `node`, which ended at `position`, is gone */
    MARCONI_SPLIT = 4,                /* new `parent` took the tokens of `node` before `position` */
    MARCONI_MERGED = 5                /* `parent` is gone; its child `node` took its tokens over */
};
enum marconi_eviction_reason {
    MARCONI_NOT_EVICTED = 0, /* no removal, or all that there was had gone before */
    MARCONI_FOR_COMMIT = 1,  /* to make room */
    MARCONI_FOR_RESERVE = 2, /* likewise */
    MARCONI_ON_DEMAND = 3,   /* marconi_evict() */
    MARCONI_NOT_WANTED = 4   /* marconi_clear(), marconi_forget(), marconi_forget_unused() */
};

/* <marconi/cache/observer.hpp> says more of them. */
typedef struct marconi_event {
    uint64_t sequence; /* counts up by one: a gap means that some were lost */
    uint64_t kind, node, parent, position;
    marconi_scope in;      /* of publications */
    uint64_t in_answer;    /* of MARCONI_CHECKPOINT_PUBLISHED: 1 if it lies in an answer */
    uint64_t why;          /* of removals: a marconi_eviction_reason */
    int32_t const* tokens; /* of MARCONI_KV_PUBLISHED */
    size_t token_count;
} marconi_event;

typedef struct marconi_events {
    marconi_event const* list; /* in order; valid with their tokens until marconi_free_events() */
    size_t count;
    uint64_t next; /* sequence of the first event after these */
} marconi_events;

/* What changed since the last call. Events that found no room in `event_bytes` are lost. Fails with
 * MARCONI_CONTRACT_VIOLATION in a cache that was made to keep none. */
int marconi_take_events(marconi_cache* cache, marconi_events** taken);
/* All that is here, as if it had just been published, parents first: for a listener that begins, or
 * lost an event. It covers the events before `next`, even those not taken yet. O(all that is
 * cached); the sequence of all its events is `next`. */
int marconi_snapshot(marconi_cache const* cache, marconi_events** taken);
/* Null does nothing. */
void marconi_free_events(marconi_events* taken);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
