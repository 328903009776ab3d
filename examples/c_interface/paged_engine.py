#!/usr/bin/env python3
"""An engine whose KV stays in paged tensors of its own, with the cache beside it: what a connector
of vLLM's kind does. The cache has memory of its own, in blocks of another size; rows and states are
copied between the two. The model is engine.py's: what the cache gets wrong shows in an answer, and
all answers are compared with those of the model without a cache.

usage: paged_engine.py LIBRARY, the shared library that marconi_c.cpp makes
"""

import array
import collections
import ctypes
import random
import sys

import marconi
import tensors
from engine import ALL_ONES, CHUNK, LAYERS, Model, made_up_requests

BLOCK = 16  # tokens; the cache's blocks have 8


class Tensor:
    """As much of torch's tensor as the example needs, over words of 8 bytes."""

    def __init__(self, *shape):
        self.shape = shape
        self._strides = [1]
        for size in reversed(shape[1:]):
            self._strides.insert(0, self._strides[0] * size)
        self.words = (ctypes.c_uint64 * (shape[0] * self._strides[0]))()

    def data_ptr(self):
        return ctypes.addressof(self.words)

    def stride(self):
        return self._strides

    def element_size(self):
        return 8


class Connector:
    """Everything that the engine says to the cache."""

    def __init__(self, library, capacity, kv, states):
        self.cache = marconi.Cache(library, **Model.FOOTPRINT, block_tokens=BLOCK // 2,
                                   capacity=capacity)
        self.layers = tensors.layer_views(self.cache, kv, "block token size")
        self.states = tensors.StateSlots(self.cache, [states])

    def available(self, request):
        """Tokens that need not be computed: for the scheduler, which may ask often."""
        return self.cache.match(request.tokens, tenant=request.tenant).resumable

    def start_load(self, request):
        """The request has blocks and a slot. Loads its state, and returns where its prefill
        starts."""
        request.lease = self.cache.open(request.tokens, tenant=request.tenant,
                                        weight=request.weight,
                                        answer_from=len(request.prompt))
        request.lease.restore(self.states[request.slot])
        request.lease.let_go_checkpoint()  # the engine has a copy
        request.copies = []
        return request.lease.resume_at

    def load_layer(self, request, layer):
        """Layers need their rows one after the other: on a GPU, where a restore only enqueues the
        copy, the first one computes while the others load."""
        request.lease.restore(kv=self._kv(request), layers=range(layer, layer + 1))
        if layer == LAYERS - 1:
            request.lease.let_go_kv()

    def end_of_chunk(self, request, end):
        """The chunk ends where the state is wanted."""
        wanted = [at for at in request.lease.capture_at() if request.computed < at < end]
        return min([end, *wanted])

    def after_chunk(self, request, state, last=False):
        """Copies the state, if somebody may resume there."""
        copied = request.copies and request.copies[-1][0] == request.computed
        if not copied and request.lease.should_capture(request.computed, last):
            request.copies.append((request.computed, (ctypes.c_uint64 * 2)(*state)))

    def save(self, request):
        """Called when the prompt is computed, and at the end. In between, KV would be stored,
        evicted and stored again where memory is tight, since nothing pins it."""
        copies = [(at, [ctypes.addressof(copy)]) for at, copy in request.copies]
        request.lease.commit(memoryview(request.tokens)[:request.computed], copies,
                             self._kv(request))
        request.lease.let_go_kv()
        request.copies.clear()  # the cache has its own

    def _kv(self, request):
        return self.cache.kv_view(self.layers, request.blocks)


class Engine:
    def __init__(self, library, capacity, blocks, slots):
        self.kv = [(Tensor(blocks, BLOCK, 1), Tensor(blocks, BLOCK, 1)) for _ in range(LAYERS)]
        self.states = Tensor(slots, 2)
        self.connector = Connector(library, capacity, self.kv, self.states)
        self.free_blocks, self.free_slots = list(range(blocks)), list(range(slots))
        random.Random(2).shuffle(self.free_blocks)
        self.waiting, self.running = collections.deque(), []
        self.preemptions = self.aborts = 0

    def serve(self, requests):
        self.waiting.extend(requests)
        while self.waiting or self.running:
            while self.waiting and self.free_slots and self.admit(self.waiting[0]):
                self.running.append(self.waiting.popleft())
            for request in list(self.running):
                if request in self.running:  # no earlier step has preempted it
                    self.step(request)

    def admit(self, request):
        chunk = self.connector.available(request) + CHUNK
        request.blocks = array.array("i")
        if not self.has_blocks(request, min(chunk, len(request.tokens)), spare=len(self.running)):
            return False
        request.slot = self.free_slots.pop()
        request.computed = self.connector.start_load(request)
        for layer in range(LAYERS):
            self.connector.load_layer(request, layer)
        if request.computed == 0:
            self.set_state(request, (0, 0))
        return True

    def has_blocks(self, request, tokens, spare=0):
        missing = -(-tokens // BLOCK) - len(request.blocks)
        if missing + spare > len(self.free_blocks):
            return False
        for _ in range(missing):
            request.blocks.append(self.free_blocks.pop())
        return True

    def step(self, request):
        end = min((request.computed // CHUNK + 1) * CHUNK, len(request.tokens))
        end = self.connector.end_of_chunk(request, end)
        while not self.has_blocks(request, end):
            self.preempt()
            if request not in self.running:
                return
        self.forward(request, end)
        if request.is_aborted:
            self.aborts += 1
            return self.leave(request)
        self.connector.after_chunk(request, self.state(request))
        if request.computed < len(request.tokens):
            return
        if not request.answer:
            self.connector.save(request)
        request.tokens.append(Model.sample(self.state(request), self.rows(request)))
        if request.done:
            self.finish(request)

    def forward(self, request, end):
        state = self.state(request)
        for at in range(request.computed, end):
            state, rows = Model.step(state, request.tokens[at])
            place = request.blocks[at // BLOCK] * BLOCK + at % BLOCK
            for (keys, values), (key, value) in zip(self.kv, rows):
                keys.words[place], values.words[place] = key, value
        self.set_state(request, state)
        request.computed = end

    def rows(self, request):
        return [(keys.words[place], values.words[place])
                for at in range(request.computed)
                for place in [request.blocks[at // BLOCK] * BLOCK + at % BLOCK]
                for keys, values in self.kv]

    def state(self, request):
        return tuple(self.states.words[2 * request.slot:2 * request.slot + 2])

    def set_state(self, request, state):
        self.states.words[2 * request.slot:2 * request.slot + 2] = state

    def finish(self, request):
        """No token follows, for now."""
        self.connector.after_chunk(request, self.state(request), last=True)
        self.connector.save(request)
        self.leave(request)

    def preempt(self):
        """Sends the request admitted last back to the queue, to go on from what the cache has."""
        if len(self.running) == 1:
            raise MemoryError("there are not enough blocks for one request")
        request = self.running[-1]
        self.finish(request)
        self.waiting.appendleft(request)
        self.preemptions += 1

    def leave(self, request):
        request.lease.close()
        for block in request.blocks:  # whoever still reads them shall see it
            for keys, values in self.kv:
                for place in range(block * BLOCK, (block + 1) * BLOCK):
                    keys.words[place] = values.words[place] = ALL_ONES
        self.free_blocks.extend(request.blocks)
        self.free_slots.append(request.slot)
        self.running.remove(request)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    engine = Engine(marconi.load(sys.argv[1]), capacity=64 << 10, blocks=120, slots=5)
    requests = list(made_up_requests(random.Random(3)))
    for number, request in enumerate(requests):
        request.is_aborted = number % 10 == 9
    engine.serve(requests)

    served = [request for request in requests if request.done]
    wrong = sum(request.answer != Model.answer_from_scratch(request.prompt, request.answer_length)
                for request in served)
    cache = engine.connector.cache
    cache.audit()
    stats = cache.stats()
    print(f"{len(requests)} requests, {wrong} wrong answers, {engine.aborts} aborts,"
          f" {engine.preemptions} preemptions")
    print(f"resumed {stats.tokens_resumed} of {stats.tokens_asked} prompt tokens,"
          f" saved {100 * stats.flops_saved / stats.flops_asked:.0f} % of their FLOPs;"
          f" {stats.evictions} evictions")
    cache.destroy()
    at_work = min(len(served), stats.tokens_resumed, stats.evictions, engine.aborts,
                  engine.preemptions) > 0
    sys.exit(0 if wrong == 0 and at_work else 1)


if __name__ == "__main__":
    main()
