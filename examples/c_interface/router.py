#!/usr/bin/env python3
"""A small router: it learns from their events what the caches of two engines have, and sends each
request to the one that can resume most of it. What it knows is compared with what the caches say.
Between machines events would be messages; a router that misses one starts again from a snapshot.

usage: router.py LIBRARY, the shared library that marconi_c.cpp makes
"""

import array
import ctypes
import random
import sys

import marconi


class Edge:
    """The tokens of one node, which end at a position. Its root's parent is the scope."""

    def __init__(self, parent, end, tokens, resumable=False):
        self.parent, self.end, self.tokens, self.resumable = parent, end, tokens, resumable
        self.children = {}  # by their first token


class View:
    """One engine's cache, as its events tell it."""

    def __init__(self, cache):
        self.cache, self.restarts = cache, -1
        self.start()

    def start(self):
        """Forgets what it knew, and learns what is there: at first, or after an event was lost."""
        self.edges, self.roots = {}, {}
        events, self.next = self.cache.snapshot()
        for event in events:
            self.apply(event)
        self.restarts += 1

    def listen(self):
        events, following = self.cache.take_events()
        new = [event for event in events if event.sequence >= self.next]
        if len(new) != following - self.next:
            return self.start()
        for event in new:
            self.apply(event)
        self.next = following

    def resumable(self, scope, prompt):
        """How far a prompt could be resumed there, all tokens but the last at most."""
        edge, depth, best = self.roots.get(scope), 0, 0
        while edge and depth < len(prompt):
            edge = edge.children.get(prompt[depth])
            if not edge or edge.end >= len(prompt) or prompt[depth:edge.end] != edge.tokens:
                break
            depth = edge.end
            if edge.resumable:
                best = depth
        return best

    def apply(self, event):
        getattr(self, "_" + event.kind)(event)

    def _kv_published(self, event):
        if event.parent not in self.edges:  # no event told of it: it stands for the scope
            root = Edge(event.scope, 0, array.array("i"))
            self.edges[event.parent] = self.roots[event.scope] = root
        self._put(event.node, Edge(event.parent, event.position, event.tokens))

    def _checkpoint_published(self, event):
        self.edges[event.node].resumable = True

    def _checkpoint_removed(self, event):
        self.edges[event.node].resumable = False

    def _removed(self, event):
        edge = self.edges.pop(event.node)
        above = self.edges[edge.parent]
        del above.children[edge.tokens[0]]
        if above.end == 0 and not above.children:  # it goes, and another may get its number
            del self.edges[edge.parent], self.roots[above.parent]

    def _split(self, event):
        lower = self.edges[event.node]
        cut = event.position - (lower.end - len(lower.tokens))
        upper = Edge(lower.parent, event.position, lower.tokens[:cut])
        lower.parent, lower.tokens = event.parent, lower.tokens[cut:]
        upper.children[lower.tokens[0]] = lower
        self._put(event.parent, upper)

    def _merged(self, event):
        upper, lower = self.edges.pop(event.parent), self.edges[event.node]
        lower.parent, lower.tokens = upper.parent, upper.tokens + lower.tokens
        self._put(event.node, lower)

    def _put(self, node, edge):
        self.edges[node] = self.edges[edge.parent].children[edge.tokens[0]] = edge


class Engine:
    """As much of an engine as fills a cache: it has no model."""

    def __init__(self, library):
        self.cache = marconi.Cache(library, kv_layers=[(4, 4)], state_pieces=[(1024, 0, 0)],
                                   flops_per_token=1e6, flops_per_pair=1e2, capacity=256 << 10,
                                   event_bytes=64 << 10)
        self.state = ctypes.create_string_buffer(1024)
        self.requests = 0

    def serve(self, tokens, tenant):
        with self.cache.open(tokens, tenant=tenant) as lease:
            covered = lease.reserve(len(tokens))
            states = [(at, [ctypes.addressof(self.state)])
                      for at in sorted({*lease.capture_at(), covered}) if at <= covered]
            lease.commit(tokens[:covered], states)
        self.requests += 1


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    library, source = marconi.load(sys.argv[1]), random.Random(3)
    engines = [Engine(library), Engine(library)]
    views = [View(engine.cache) for engine in engines]
    chats = [array.array("i", range(300)) for _ in range(40)]  # all begin alike
    right = asked = 0
    for number in range(600):
        who = source.randrange(len(chats))
        chat, tenant = chats[who], who % 2
        chat.extend(source.randrange(1 << 30) for _ in range(source.randrange(50, 250)))
        if not 200 <= number < 300:  # too long away: events are lost
            for view in views:
                view.listen()
        known = [view.resumable((tenant, 0, 0), chat) for view in views]
        if not 200 <= number < 300:
            found = [engine.cache.match(chat, tenant=tenant).resumable for engine in engines]
            right += sum(map(int.__eq__, known, found))
            asked += 2
        # A prefix that everybody shares is no reason to go where everybody goes.
        knows = max((0, 1), key=known.__getitem__)
        idle = min((0, 1), key=lambda i: engines[i].requests)
        engines[knows if known[knows] > len(chat) / 3 else idle].serve(chat, tenant)
        if len(chat) > 4000:
            chats[who] = array.array("i", range(300))

    restarts = sum(view.restarts for view in views)
    stats = [engine.cache.stats() for engine in engines]
    shares = (f"{100 * s.tokens_resumed / s.tokens_asked:.1f} %" for s in stats)
    print(f"the router knew {right} of {asked} depths, and started anew {restarts} times; engines"
          f" resumed {' and '.join(shares)} of what they were asked,"
          f" with {stats[0].evictions} and {stats[1].evictions} evictions")
    for engine in engines:
        engine.cache.audit()
        engine.cache.destroy()
    at_work = asked > 900 and restarts > 0 and all(s.evictions > 100 for s in stats)
    sys.exit(0 if right == asked and at_work else 1)


if __name__ == "__main__":
    main()
