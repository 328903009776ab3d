#!/usr/bin/env python3
"""A small engine in Python: requests in flight beside each other, prefilled in chunks, with KV in
place in memory that is the engine's own. Its model is a hybrid in which every row of KV and the
recurrent state depend on all tokens so far, and every answer on all of these: what the cache gets
wrong shows in an answer. All answers are compared with those of the same model without a cache.

usage: engine.py LIBRARY, the shared library that marconi_c.cpp makes
"""

import array
import collections
import ctypes
import random
import sys

import marconi

LAYERS = 2  # of attention: 8 bytes of key and of value a token
CHUNK = 64
BLOCK = 16
ALL_ONES = 2**64 - 1


class Model:
    """The state is two words; a row is a word for the key and one for the value."""

    FOOTPRINT = dict(kv_layers=[(8, 8)] * LAYERS, state_pieces=[(16, 0, 0)], flops_per_token=1e6,
                     flops_per_pair=1e3)

    @staticmethod
    def step(state, token):
        """The state after one more token, and its rows."""
        first = ((state[0] ^ token) * 0x9E3779B97F4A7C15 + 1) & ALL_ONES
        second = (state[1] + (first >> 7)) & ALL_ONES
        return (first, second), [(first ^ layer, second ^ layer) for layer in range(LAYERS)]

    @staticmethod
    def sample(state, rows):
        """The next token: attention over all rows, and the state."""
        total = state[0] ^ state[1]
        for at, (key, value) in enumerate(rows):
            total += key * (2 * at + 1) ^ value
        return total % 50_000

    @classmethod
    def answer_from_scratch(cls, prompt, length):
        tokens, state, rows = list(prompt), (0, 0), []
        for _ in range(length):
            for token in tokens[len(rows) // LAYERS:]:
                state, new = cls.step(state, token)
                rows += new
            tokens.append(cls.sample(state, rows))
        return tokens[len(prompt):]


class Request:
    def __init__(self, tenant, prompt, answer_length, weight):
        self.tenant, self.prompt, self.tokens = tenant, prompt, array.array("i", prompt)
        self.answer_length, self.weight = answer_length, weight
        self.state = (ctypes.c_uint64 * 2)()
        self.lease = None

    @property
    def answer(self):
        return list(self.tokens[len(self.prompt):])

    @property
    def done(self):
        return len(self.answer) == self.answer_length


class Engine:
    def __init__(self, library, capacity, most_in_flight):
        self.pool = (ctypes.c_uint64 * (capacity // 8))()  # pages for KV and checkpoints
        self.cache = marconi.Cache(library, **Model.FOOTPRINT, block_tokens=BLOCK,
                                   memory=self.pool)
        pages = self.cache.pages
        self.two_states = 2 * pages.checkpoint_pages * pages.page_bytes
        self.waiting, self.running = collections.deque(), []
        self.most_in_flight, self.preemptions = most_in_flight, 0
        self.admits = True  # False after a lack of room, until a request has ended

    def serve(self, requests):
        self.waiting.extend(requests)
        while self.waiting or self.running:
            if self.waiting and self.admits and len(self.running) < self.most_in_flight:
                self.admit_next()
            for request in list(self.running):
                if request in self.running:  # no earlier step has preempted it
                    self.step(request)

    def admit_next(self):
        request = self.waiting[0]
        self.admits = not self.running or self.has_room_for(request)
        if not self.admits:
            return
        request.lease = self.cache.open(request.tokens, tenant=request.tenant,
                                        weight=request.weight,
                                        answer_from=len(request.prompt))
        ctypes.memset(request.state, 0, ctypes.sizeof(request.state))
        request.lease.restore(state=[ctypes.addressof(request.state)])
        request.lease.let_go_checkpoint()  # the model goes on in its copy
        request.computed = request.lease.resume_at
        request.pages, request.settled, request.copies = [], 0, []
        self.running.append(self.waiting.popleft())

    def has_room_for(self, request):
        """For its prompt past what it resumes from, a block for each request's answer, and what
        each step leaves to spare."""
        tokens, tenant = request.tokens, request.tenant
        known = self.cache.match(tokens, tenant=tenant).resumable
        blocks = len(tokens) // BLOCK - known // BLOCK + 1 + len(self.running)
        wanted = blocks * self.cache.pages.page_bytes + self.two_states
        return self.cache.obtainable(wanted, tokens, tenant=tenant) >= wanted

    def step(self, request):
        wanted = [at for at in request.lease.capture_at() if at > request.computed]
        end = min([(request.computed // CHUNK + 1) * CHUNK, len(request.tokens), *wanted[:1]])
        # Room for the state of a request that makes way, and for one where two requests part.
        spare = self.two_states if len(self.running) > 1 else 0
        if request.lease.reserve(end, spare=spare) < end:
            return self.preempt()
        # Blocks that were whole when published stay; a partly filled one may have become a copy.
        request.pages[request.settled:] = request.lease.block_table(request.settled)
        request.settled = request.lease.position // BLOCK
        self.forward(request, end)
        if request.lease.should_capture(end):
            self.copy_state(request)
        if request.computed < len(request.tokens):
            return
        if not request.answer:
            self.commit(request)  # so that others can use the prompt while this one decodes
        request.tokens.append(Model.sample(tuple(request.state), self.rows(request)))
        if request.done:
            self.release(request)

    def forward(self, request, end):
        for at in range(request.computed, end):
            request.state[:], rows = Model.step(tuple(request.state), request.tokens[at])
            for layer, row in enumerate(rows):
                for word, place in zip(row, self.places(request, layer, at)):
                    self.pool[place] = word
        request.computed = end

    def places(self, request, layer, at):
        """Where the key and the value of a token are, in words of the pool."""
        page = request.pages[at // BLOCK] * self.cache.pages.page_bytes
        of = self.cache.layers[layer]
        return ((page + of.key_offset + at % BLOCK * of.bytes.key_bytes) // 8,
                (page + of.value_offset + at % BLOCK * of.bytes.value_bytes) // 8)

    def rows(self, request):
        return [tuple(self.pool[place] for place in self.places(request, layer, at))
                for at in range(request.computed) for layer in range(LAYERS)]

    def copy_state(self, request):
        copy = (ctypes.c_uint64 * 2)(*request.state)
        request.copies.append((request.computed, copy))

    def commit(self, request):
        request.lease.commit(
            memoryview(request.tokens)[:request.computed],
            [(at, [ctypes.addressof(copy)]) for at, copy in request.copies])
        request.copies.clear()  # the cache has its own

    def release(self, request):
        """No token follows, for now: keeps what went through the model for whoever goes on."""
        copied = request.copies and request.copies[-1][0] == request.computed
        if not copied and request.lease.should_capture(request.computed, last=True):
            self.copy_state(request)
        self.commit(request)
        request.lease.close()
        self.running.remove(request)
        self.admits = True

    def preempt(self):
        """Sends the request admitted last back to the queue, to go on from what it has committed.
        Until another is done, none is admitted, or they would push each other out again."""
        if len(self.running) == 1:
            raise MemoryError("the cache is too small for one request")
        request = self.running[-1]
        request.lease.unreserve(request.computed)  # so that its state finds pages
        self.release(request)
        self.waiting.appendleft(request)
        self.admits = False
        self.preemptions += 1


def made_up_requests(random_source):
    """Conversations of two tenants, who share the system prompt's tokens and nothing else."""
    system = [random_source.randrange(50_000) for _ in range(150)]
    said = [(number % 2, list(system)) for number in range(12)]
    for _ in range(120):
        tenant, so_far = random_source.choice(said)
        so_far += [random_source.randrange(50_000) for _ in range(random_source.randint(5, 60))]
        request = Request(tenant, list(so_far), random_source.randint(1, 12),
                          weight=random_source.choice([0.1, 1.0]))
        so_far += Model.answer_from_scratch(request.prompt, request.answer_length)
        if len(so_far) > 600:
            del so_far[150:]  # a new conversation
        yield request


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    engine = Engine(marconi.load(sys.argv[1]), capacity=64 << 10, most_in_flight=6)
    requests = list(made_up_requests(random.Random(1)))
    engine.serve(requests)

    wrong = sum(request.answer != Model.answer_from_scratch(request.prompt, request.answer_length)
                for request in requests)
    engine.cache.audit()
    stats = engine.cache.stats()
    print(f"{len(requests)} requests, {wrong} wrong answers, {engine.preemptions} preemptions")
    print(f"resumed {stats.tokens_resumed} of {stats.tokens_asked} prompt tokens,"
          f" saved {100 * stats.flops_saved / stats.flops_asked:.0f} % of their FLOPs;"
          f" {stats.evictions} evictions")
    learned = engine.cache.learning()
    print(f"16 times the memory would save {100 * learned.shadow_saved / learned.flops_asked:.0f} %"
          f" by plain LRU; victims are chosen"
          f" {'by what was learned' if learned.rules_by_odds else 'by greedy-dual'}")
    engine.cache.destroy()
    at_work = stats.tokens_resumed > 0 and stats.evictions > 0 and engine.preemptions > 0
    sys.exit(0 if wrong == 0 and at_work else 1)


if __name__ == "__main__":
    main()
