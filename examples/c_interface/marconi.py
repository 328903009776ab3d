"""The C interface of marconi_c.h for Python, with nothing but ctypes.

    library = marconi.load("libmarconi_c.so")
    cache = marconi.Cache(library, preset="nemotron-h-8b",
                          memory=pool.data_ptr(), capacity=pool.nbytes)
    lease = cache.open(tokens, tenant=7)
    lease.restore(state=[tensor.data_ptr() for tensor in states])

marconi_c.h says what each call promises. Tokens are a buffer of int32, which is not copied if it is
writable (an array.array("i"), a numpy array, a memoryview of part of one), or a list, which is: 22
ns a token. Addresses are integers: a tensor's data_ptr(), ctypes.addressof(buffer); tensors.py
makes views of tensors, and checks their shapes. What the cache refuses raises marconi.Error; a
wrong type raises what Python raises for that. A lease is used by one thread at a time (to close it
while another commits with it ends the process). It ends with close(), with its with block, or when
nothing names it any more; a cache that nothing names ends when its leases have ended. destroy()
comes after all other calls.
"""

import array
import ctypes
import operator
import typing
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_size_t, c_ssize_t
from ctypes import c_uint32, c_uint64, c_void_p

VERSION = 4  # MARCONI_C_VERSION of the header that the records below repeat
FAILURES = {1: "invalid argument", 2: "contract violation", 3: "out of memory", 4: "failure"}
INVALID_ARGUMENT = 1
EVENT_KINDS = ("kv_published", "checkpoint_published", "checkpoint_removed", "removed", "split",
               "merged")
REASONS = ("", "commit", "reserve", "on_demand", "not_wanted")
ALL_BUT_ONE = 2**64 - 1
AFTER_ALL = 2**64 - 1


class Error(RuntimeError):
    def __init__(self, kind, message):
        super().__init__(kind, message)
        self.kind, self.message = kind, message

    def __str__(self):
        return f"{FAILURES.get(self.kind, self.kind)}: {self.message}"


def _count(value, name):
    """ctypes takes integers modulo 2^64: one that does not fit would become another value."""
    number = operator.index(value)
    if not 0 <= number < 2**64:
        raise Error(INVALID_ARGUMENT, f"{name} is {number}; expected 0 to 2^64 - 1")
    return number


def _stream(value):
    """A handle: ctypes would take text for one, and integers modulo 2^64."""
    return None if value is None else _count(value, "stream")


# ---- Records ----


class _Record(ctypes.Structure):
    def __init__(self, *values, **named):
        kinds = dict(self._fields_)
        if len(values) > len(kinds):
            raise Error(INVALID_ARGUMENT, f"{len(values)} values; expected {', '.join(kinds)}")
        named.update(zip(kinds, values))
        for name, value in named.items():
            if kinds[name] in (c_uint64, c_size_t):
                named[name] = _count(value, name)
            elif kinds[name] in (c_void_p, c_ssize_t) and value is not None:
                named[name] = operator.index(value)
        super().__init__(**named)

    def _values(self):
        return [(name, getattr(self, name)) for name, _ in self._fields_]

    def __eq__(self, other):
        return type(self) is type(other) and self._values() == other._values()

    def __repr__(self):
        members = ", ".join(f"{name}={value}" for name, value in self._values())
        return f"{type(self).__name__}({members})"


def _record(name, members):
    return type(name, (_Record,), {"_fields_": members})


def _counts(names):
    return [(name, c_uint64) for name in names.split()]


KvLayer = _record("KvLayer", _counts("key_bytes value_bytes"))
StatePiece = _record("StatePiece", _counts("fixed_bytes window bytes_per_window_token"))
WindowFlops = _record("WindowFlops", [("window", c_uint64), ("per_pair", c_double)])
Options = _record("Options", [
    ("preset", c_char_p), ("tensor_parallel", c_uint64),
    ("kv_layers", POINTER(KvLayer)), ("kv_layer_count", c_size_t),
    ("state_pieces", POINTER(StatePiece)), ("state_piece_count", c_size_t),
    ("flops_per_token", c_double), ("flops_per_pair", c_double),
    ("window_flops", POINTER(WindowFlops)), ("window_flops_count", c_size_t),
    *_counts("block_tokens page_bytes zero_freed_pages checkpoint_grid checkpoint_every"
             " checkpoint_before_answer"),
    ("memory", c_void_p),
    *_counts("capacity multiprocessors event_bytes shadow_multiple shadow_bytes")])
Pages = _record("Pages", [
    ("memory", c_void_p), *_counts("page_bytes count block_tokens checkpoint_pages"),
    ("kv_layer_count", c_size_t), ("state_piece_count", c_size_t)])
LayerPlace = _record("LayerPlace", [*_counts("key_offset value_offset"), ("bytes", KvLayer)])
Scope = _record("Scope", _counts("tenant adapter revision"))
Request = _record("Request", [
    ("limit", c_uint64), ("weight", c_double), *_counts("answer_from state_at uncounted")])
MatchResult = _record("MatchResult", _counts(
    "matched resumable lost_past_limit lost_without_checkpoint"))
KvLayerView = _record("KvLayerView", [
    ("key", c_void_p), ("key_stride", c_ssize_t), ("value", c_void_p), ("value_stride", c_ssize_t),
    ("heads", c_uint64), ("key_head_stride", c_ssize_t), ("value_head_stride", c_ssize_t),
    ("key_block_stride", c_ssize_t), ("value_block_stride", c_ssize_t)])
KvView = _record("KvView", [
    ("layers", POINTER(KvLayerView)), ("layer_count", c_size_t),
    ("blocks", POINTER(c_int32)), ("block_count", c_size_t),
    *_counts("block_tokens pool_blocks first_layer only_layers")])
WindowView = _record("WindowView", [
    ("row_stride", c_ssize_t), ("block_stride", c_ssize_t),
    ("blocks", POINTER(c_int32)), ("block_count", c_size_t), ("block_tokens", c_uint64)])
StateView = _record("StateView", [
    ("pieces", POINTER(c_void_p)), ("piece_count", c_size_t), ("windows", POINTER(WindowView)),
    ("blocks", POINTER(c_int32)), ("block_count", c_size_t),
    *_counts("block_tokens pool_blocks")])
Captured = _record("Captured", [("position", c_uint64), ("state", StateView)])
Outcome = _record("Outcome", _counts(
    "position stored_tokens declined_tokens stored_checkpoints known_checkpoints"
    " declined_checkpoints evicted_entries evicted_bytes forgotten"))
Holdings = _record("Holdings", _counts("tokens kv_bytes checkpoint_bytes nodes checkpoints"))
Stats = _record("Stats", [
    *_counts("requests hits abandoned tokens_asked tokens_matched tokens_resumed"
             " lost_past_limit lost_without_checkpoint"),
    ("flops_asked", c_double), ("flops_saved", c_double),
    *_counts("commits declined_commits short_reserves evictions cleared evicted_bytes"
             " capacity_bytes used_bytes kv_bytes checkpoint_bytes peak_bytes metadata_bytes"
             " nodes checkpoints leases now")])
Learning = _record("Learning", [
    ("requests", c_uint64),
    *((name, c_double) for name in "flops_asked shadow_saved odds_saved gdsf_saved".split()),
    *_counts("rules_by_odds changes spacing_pays before_answer_pays memory_bytes ended")])
Event = _record("Event", [
    *_counts("sequence kind node parent position"), ("in", Scope),
    *_counts("in_answer why"), ("tokens", POINTER(c_int32)), ("token_count", c_size_t)])
Events = _record("Events", [
    ("list", POINTER(Event)), ("count", c_size_t), ("next", c_uint64)])

# ---- Functions ----

_CACHE = _LEASE = _STREAM = c_void_p
_TOKENS = POINTER(c_int32)
_ASKED = [POINTER(Scope), _TOKENS, c_size_t, POINTER(Request)]
_CAN_FAIL = {
    "create": [POINTER(Options), POINTER(_CACHE)],
    "destroy": [_CACHE],
    "describe_pages": [_CACHE, POINTER(Pages)],
    "describe_layer": [_CACHE, c_size_t, POINTER(LayerPlace)],
    "describe_state": [_CACHE, c_size_t, POINTER(StatePiece)],
    "match": [_CACHE, *_ASKED, POINTER(MatchResult)],
    "open": [_CACHE, *_ASKED, POINTER(_LEASE)],
    "restore": [_LEASE, POINTER(KvView), POINTER(StateView), c_uint64, _STREAM],
    "reserve": [_LEASE, c_uint64, c_uint64, _STREAM, POINTER(c_uint64)],
    "unreserve": [_LEASE, c_uint64],
    "block_table": [_LEASE, c_size_t, POINTER(c_uint32), c_size_t, POINTER(c_size_t)],
    "used_on": [_LEASE, _STREAM],
    "deduplicate": [_LEASE, POINTER(c_uint64)],
    "commit": [_LEASE, _TOKENS, c_size_t, POINTER(KvView), c_uint64, POINTER(Captured), c_size_t,
               _STREAM, POINTER(Outcome)],
    "obtainable": [_CACHE, c_uint64, POINTER(c_uint64)],
    "obtainable_for": [_CACHE, c_uint64, *_ASKED, POINTER(c_uint64)],
    "evict": [_CACHE, POINTER(Scope), c_uint64, POINTER(c_uint64)],
    "forget_unused": [_CACHE, c_uint64, POINTER(c_uint64)],
    "clear": [_CACHE, POINTER(Scope)],
    "forget_scope": [_CACHE, POINTER(Scope), POINTER(c_uint64)],
    "forget": [_CACHE, POINTER(Scope), _TOKENS, c_size_t, c_uint64, POINTER(c_uint64)],
    "holds": [_CACHE, POINTER(Scope), POINTER(Holdings)],
    "scopes": [_CACHE, POINTER(Scope), c_size_t, POINTER(c_size_t)],
    "read_stats": [_CACHE, POINTER(Stats)],
    "read_learning": [_CACHE, POINTER(Learning)],
    "audit": [_CACHE],
    "take_events": [_CACHE, POINTER(POINTER(Events))],
    "snapshot": [_CACHE, POINTER(POINTER(Events))],
}
_CANNOT_FAIL = {
    "last_error": (c_char_p, []),
    "interface_version": (c_uint64, []),
    "close": (None, [_LEASE]),
    "resume_at": (c_uint64, [_LEASE]),
    "position": (c_uint64, [_LEASE]),
    "capture_at": (c_size_t, [_LEASE, POINTER(c_uint64), c_size_t]),
    "should_capture": (c_int, [_LEASE, c_uint64, c_int]),
    "let_go_checkpoint": (None, [_LEASE]),
    "let_go_kv": (None, [_LEASE]),
    "free_events": (None, [POINTER(Events)]),
}


def _expect_version(library, path):
    """One of another version would take a record's members for others."""
    tells = getattr(library, "marconi_interface_version", None)
    if tells is not None:
        tells.restype = c_uint64
    found = tells() if tells else "none"
    if found != VERSION:
        raise Error(INVALID_ARGUMENT, f"interface version of {path} is {found}; expected {VERSION},"
                                      " that of this marconi.py")


def load(path):
    """The library at a path, its functions declared; those that can fail raise Error. So does a
    library of another version than this file's."""
    library = ctypes.CDLL(path)
    _expect_version(library, path)

    def check(status, _function, _arguments):
        if status != 0:
            raise Error(status, library.marconi_last_error().decode(errors="replace"))

    for name, arguments in _CAN_FAIL.items():
        function = getattr(library, "marconi_" + name)
        function.argtypes, function.restype, function.errcheck = arguments, c_int, check
    for name, (result, arguments) in _CANNOT_FAIL.items():
        function = getattr(library, "marconi_" + name)
        function.argtypes, function.restype = arguments, result
    return library


def _array(kind, items):
    items = list(items)
    return (kind * len(items))(*items)


def _records(kind, items):
    return _array(kind, (kind(*item) for item in items))


def _window(row_stride, block_stride, blocks=None, block_tokens=0):
    first, count = _int32s(blocks, "blocks") if blocks is not None else (None, 0)
    view = WindowView(row_stride, block_stride, ctypes.cast(first, POINTER(c_int32)), count,
                      block_tokens)
    view.kept = first
    return view


def _int32s(items, name):
    """Where the first is, and how many."""
    try:
        view = memoryview(items)
    except TypeError:
        view = memoryview(array.array("i", items))
    if view.format not in ("i", "<i", "=i") or view.ndim != 1 or not view.contiguous:
        raise Error(INVALID_ARGUMENT,
                    f"{name} have format {view.format!r}, shape {view.shape} and strides"
                    f" {view.strides}; expected int32 in one row without gaps")
    if view.readonly:
        view = memoryview(bytearray(view))
    return (byref(c_int32.from_buffer(view)) if len(view) else None), view.nbytes // 4


def _scope(scope):
    if isinstance(scope, Scope):
        return byref(scope)
    if len(scope) != 3:
        raise Error(INVALID_ARGUMENT, f"scope {scope!r}; expected (tenant, adapter, revision)")
    return byref(Scope(*scope))


def _request(limit, weight, answer_from, state_at, counted=True):
    """Nothing, which means the defaults, where that is what they are."""
    given = (limit, weight, answer_from, state_at, counted)
    if given == (ALL_BUT_ONE, 1.0, AFTER_ALL, 0, True):
        return None
    return byref(Request(*given[:-1], uncounted=not counted))


def _pages_in(memory, capacity):
    """The address of the pages' memory, its size, and what keeps a buffer where it is."""
    try:
        view = memoryview(memory)
    except TypeError:
        return (None if memory is None else operator.index(memory)), capacity, None
    capacity = capacity or view.nbytes
    for wrong, what, expected in (
            (view.readonly, "read-only", "writable"),
            (not view.contiguous, "in several pieces", "in one"),
            (view.nbytes < capacity, f"of {view.nbytes} bytes", f"{capacity}")):
        if wrong:
            raise Error(INVALID_ARGUMENT, f"memory is {what}; expected {expected}")
    held = ctypes.c_char.from_buffer(memory)
    return ctypes.addressof(held), capacity, held


class LayerViews:
    """Where an engine has the KV of each layer; in blocks of block_tokens, unless that is 0."""

    def __init__(self, views, block_tokens=0, pool_blocks=0):
        self.records = _array(KvLayerView, views)
        self.block_tokens, self.pool_blocks = block_tokens, pool_blocks


class CacheEvent(typing.NamedTuple):
    """A marconi_event of C, in Python's memory."""

    sequence: int
    kind: str  # of EVENT_KINDS
    node: int
    parent: int
    position: int
    scope: tuple  # (tenant, adapter, revision)
    tokens: array.array
    in_answer: bool
    why: str  # of REASONS: "" if nothing was evicted

    @classmethod
    def of(cls, event):
        scope = getattr(event, "in")
        tokens = array.array("i")
        if event.token_count:
            tokens.frombytes(ctypes.string_at(event.tokens, 4 * event.token_count))
        return cls(event.sequence, EVENT_KINDS[event.kind], event.node, event.parent,
                   event.position, (scope.tenant, scope.adapter, scope.revision), tokens,
                   bool(event.in_answer),
                   REASONS[event.why])


class _Handle:
    """What C made is given back once, whichever thread asks first, and where Ctrl-C comes between
    two lines, too: C writes it right here, and it is taken from here before C ends it."""

    _handle = None  # when it is given back, or was not made

    def __reduce_ex__(self, _protocol):
        raise TypeError(f"a {type(self).__name__} can be neither copied nor pickled")

    def _taken(self):
        return self.__dict__.pop("_handle", None)  # one step: no thread comes in between


def _expect_loaded(library):
    """In one that load() did not declare every call would seem to succeed."""
    create = getattr(library, "marconi_create", None)
    if getattr(create, "errcheck", None) is None:
        raise TypeError(f"library is {library!r}; expected what marconi.load() returns")


class Cache(_Handle):
    """A preset's model, or one by hand: kv_layers of (key_bytes, value_bytes), state_pieces of
    (fixed_bytes, window, bytes_per_window_token), window_flops of (window, per_pair). `memory` is
    an address, which must stay valid until destroy(), or a writable buffer, which is kept and whose
    size is the default of `capacity`."""

    _unnamed = False  # until __del__
    _leases = ()  # until it is made

    def __init__(self, library, *, capacity=0, memory=None, preset=None, tensor_parallel=0,
                 kv_layers=(), state_pieces=(), flops_per_token=0.0, flops_per_pair=0.0,
                 window_flops=(), block_tokens=0, page_bytes=0, zero_freed_pages=False,
                 checkpoint_grid=0,
                 checkpoint_every=0, checkpoint_before_answer=0, multiprocessors=0, event_bytes=0,
                 shadow_multiple=0, shadow_bytes=0):
        _expect_loaded(library)
        if not isinstance(preset, (str, type(None))):
            raise TypeError(f"preset is {preset!r}; expected a name")
        if "\0" in (preset or ""):  # where it would end for C
            raise Error(INVALID_ARGUMENT, f"preset is {preset!r}; expected a name without NUL")
        self._library, self._leases, self._handle = library, set(), _CACHE()
        address, capacity, self._memory = _pages_in(memory, capacity)
        layers, pieces = _records(KvLayer, kv_layers), _records(StatePiece, state_pieces)
        windows = _records(WindowFlops, window_flops)
        library.marconi_create(byref(Options(
            preset=None if preset is None else preset.encode(), tensor_parallel=tensor_parallel,
            kv_layers=layers, kv_layer_count=len(layers),
            state_pieces=pieces, state_piece_count=len(pieces),
            flops_per_token=flops_per_token, flops_per_pair=flops_per_pair,
            window_flops=windows, window_flops_count=len(windows),
            block_tokens=block_tokens, page_bytes=page_bytes,
            zero_freed_pages=zero_freed_pages, checkpoint_grid=checkpoint_grid,
            checkpoint_every=checkpoint_every,
            checkpoint_before_answer=checkpoint_before_answer,
            memory=address, capacity=capacity, multiprocessors=multiprocessors,
            event_bytes=event_bytes, shadow_multiple=shadow_multiple,
            shadow_bytes=shadow_bytes)), byref(self._handle))
        self.pages = self._read("describe_pages", Pages)
        self.layers = [self._read("describe_layer", LayerPlace, i)
                       for i in range(self.pages.kv_layer_count)]
        self._rows = [(layer.bytes.key_bytes, layer.bytes.value_bytes) for layer in self.layers]
        self.state_pieces = [self._read("describe_state", StatePiece, i)
                             for i in range(self.pages.state_piece_count)]
        self._sizes = [piece._values() for piece in self.state_pieces]

    def _read(self, what, kind, *arguments):
        found = kind()
        getattr(self._library, "marconi_" + what)(self._handle, *arguments, byref(found))
        return found

    def match(self, tokens, *, tenant=0, adapter=0, revision=0, limit=ALL_BUT_ONE, state_at=0):
        """What open() would find; changes nothing."""
        first, count = _int32s(tokens, "tokens")
        return self._read("match", MatchResult, byref(Scope(tenant, adapter, revision)), first,
                          count, _request(limit, 1.0, AFTER_ALL, state_at))

    def open(self, tokens, *, tenant=0, adapter=0, revision=0, limit=ALL_BUT_ONE, weight=1.0,
             answer_from=AFTER_ALL, state_at=0, counted=True):
        """`counted` is false for what nobody asked for: to load what was saved, say."""
        first, count = _int32s(tokens, "tokens")
        lease = Lease(self._library, self)
        self._library.marconi_open(self._handle, byref(Scope(tenant, adapter, revision)), first,
                                   count, _request(limit, weight, answer_from, state_at, counted),
                                   byref(lease._handle))
        self._leases.add(lease._handle.value)
        return lease

    def kv_view(self, layers, blocks=None):
        """A view of one request's KV, as restore and commit take it. `layers`: a LayerViews of
        tensors.py, or for each layer (key, key_stride, value, value_stride), in one piece. `blocks`
        is a paged engine's block table, in int32: a buffer is looked at when the view is used, a
        list is copied."""
        if not isinstance(layers, LayerViews):
            layers = LayerViews(KvLayerView(*layer) for layer in layers)
        _expect_one_each(layers.records, self.layers, "views of KV layers")
        if (blocks is None) != (layers.block_tokens == 0):
            raise Error(INVALID_ARGUMENT, "blocks are given with tensors that have them,"
                                          " and only then")
        first, count = _int32s(blocks, "blocks") if blocks is not None else (None, 0)
        view = KvView(layers=layers.records, layer_count=len(layers.records),
                      blocks=ctypes.cast(first, POINTER(c_int32)), block_count=count,
                      block_tokens=layers.block_tokens, pool_blocks=layers.pool_blocks)
        view.kept, view.rows = (layers, first), self._rows
        return view

    def state_view(self, pieces, windows=None, blocks=None, block_tokens=0, pool_blocks=0):
        """A view of one request's state, as restore and commit take it: an address for each state
        piece. Where the engine keeps windows by position: for each piece (row stride, block stride)
        in bytes, both 0 if it is in one run, and the block table of the rows, in int32, as in
        kv_view(). A window with a table of its own has this, and how many tokens its blocks have,
        as third and fourth. tensors.py makes these of tensors."""
        if not isinstance(pieces, (list, tuple)):  # the contents of a tensor are no addresses
            raise TypeError(f"state is a {type(pieces).__name__}; expected a list of addresses")
        _expect_one_each(pieces, self.state_pieces, "addresses of state pieces")
        pieces, kept = _array(c_void_p, map(operator.index, pieces)), None
        if windows is not None:
            _expect_one_each(windows, self.state_pieces, "strides of state pieces")
            kept = [_window(*window) for window in windows]
            windows = _array(WindowView, kept)
        first, count = _int32s(blocks, "blocks") if blocks is not None else (None, 0)
        view = StateView(pieces=ctypes.cast(pieces, POINTER(c_void_p)), piece_count=len(pieces),
                         windows=windows, blocks=ctypes.cast(first, POINTER(c_int32)),
                         block_count=count, block_tokens=block_tokens, pool_blocks=pool_blocks)
        view.kept, view.sizes = (pieces, windows, kept, first), self._sizes
        return view

    def _layers_in_pages(self):
        pages = self.pages
        return LayerViews((KvLayerView(key=pages.memory + place.key_offset,
                                       value=pages.memory + place.value_offset,
                                       key_block_stride=pages.page_bytes,
                                       value_block_stride=pages.page_bytes)
                           for place in self.layers), pages.block_tokens, pages.count)

    def obtainable(self, wanted, tokens=None, *, tenant=0, adapter=0, revision=0,
                   limit=ALL_BUT_ONE, state_at=0):
        """Bytes that could be had; with tokens, beside what such a request would resume from."""
        if tokens is None:
            return self._read("obtainable", c_uint64, _count(wanted, "wanted")).value
        first, count = _int32s(tokens, "tokens")
        return self._read("obtainable_for", c_uint64, _count(wanted, "wanted"),
                          byref(Scope(tenant, adapter, revision)), first, count,
                          _request(limit, 1.0, AFTER_ALL, state_at)).value

    def evict(self, size, scope=None):
        """In the policy's order, or of one scope, what was used longest ago."""
        only = None if scope is None else _scope(scope)
        return self._read("evict", c_uint64, only, _count(size, "size")).value

    def forget_unused(self, since):
        """What nobody has resumed from or committed after stats().now was that; how many bytes
        came free."""
        return self._read("forget_unused", c_uint64, _count(since, "since")).value

    def clear(self, scope):
        """Forgets a scope: a Scope, or (tenant, adapter, revision)."""
        self._library.marconi_clear(self._handle, _scope(scope))

    def clear_all(self):
        self._library.marconi_clear(self._handle, None)

    def forget(self, tokens, from_token, *, tenant=0, adapter=0, revision=0):
        """What is here past the first `from_token` of these tokens; how many bytes came free."""
        first, count = _int32s(tokens, "tokens")
        return self._read("forget", c_uint64, byref(Scope(tenant, adapter, revision)), first,
                          count, _count(from_token, "from_token")).value

    def forget_scope(self, scope):
        """All of a scope, also what leases hold; how many bytes came free."""
        return self._read("forget_scope", c_uint64, _scope(scope)).value

    def holds(self, scope):
        return self._read("holds", Holdings, _scope(scope))

    def scopes(self):
        """(tenant, adapter, revision) of all scopes of which anything is here, in this order."""
        room, count = 0, c_size_t()
        while True:
            scopes = (Scope * room)()
            self._library.marconi_scopes(self._handle, scopes, room, byref(count))
            if count.value <= room:
                return [(s.tenant, s.adapter, s.revision) for s in scopes[:count.value]]
            room = count.value + 8  # another thread may add some

    def stats(self):
        return self._read("read_stats", Stats)

    def learning(self):
        """What the cache learns, and what comes of it; `failure` says why that ended, if it did."""
        found = self._read("read_learning", Learning)
        found.failure = self._library.marconi_last_error().decode() if found.ended else ""
        return found

    def audit(self):
        self._library.marconi_audit(self._handle)

    def take_events(self):
        """What changed since the last call, in a cache that was given `event_bytes`: CacheEvents,
        and the number of the one after these."""
        return self._events("take_events")

    def snapshot(self):
        """All that is here, as if it were published just now, parents first: CacheEvents, and the
        number of the first event that is not in it."""
        return self._events("snapshot")

    def _events(self, call):
        events = self._read(call, POINTER(Events))
        try:
            taken = events[0]
            return [CacheEvent.of(event) for event in taken.list[:taken.count]], taken.next
        finally:
            self._library.marconi_free_events(events)

    def destroy(self):
        handle = self._taken()
        try:
            self._library.marconi_destroy(handle)
        except Error:  # it refuses while leases are open
            self._handle = handle
            raise
        self._memory = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.destroy()  # else when nothing names it any more

    def __del__(self):
        self._unnamed = True
        self._end_if_unnamed()

    def _end_if_unnamed(self):
        """In a cycle of references the last of its leases may go after it."""
        if self._unnamed and not self._leases and (handle := self._taken()):
            self._library.marconi_destroy(handle)


class Lease(_Handle):
    """What Cache.open() gives. `state` is a list of addresses, one for each state piece, or what
    Cache.state_view() makes, or None where the request resumes by the engine's own state; `kv` is
    what Cache.kv_view() makes, or what it takes if there are no blocks, or None in place; on a
    device a `stream` is torch.cuda.Stream.cuda_stream."""

    def __init__(self, library, cache):
        self._library, self._cache, self._handle = library, cache, _LEASE()
        self._table = (c_uint32 * 64)()

    @property
    def closed(self):
        return not self._handle

    @property
    def resume_at(self):
        return self._library.marconi_resume_at(self._opened())

    @property
    def position(self):
        return self._library.marconi_position(self._opened())

    def capture_at(self):
        room = self._library.marconi_capture_at(self._opened(), None, 0)
        positions = (c_uint64 * room)()
        self._library.marconi_capture_at(self._handle, positions, room)
        return positions[:]

    def should_capture(self, position, last=False):
        return self._library.marconi_should_capture(
            self._opened(), _count(position, "position"), last) != 0

    def restore(self, state=None, kv=None, stream=None, from_token=0, layers=None):
        """`layers`: a range, to copy the KV of these layers alone, and the state if it is given."""
        self._library.marconi_restore(self._opened(), _some_of(self._view(kv), layers),
                                      self._state(state), _count(from_token, "from_token"),
                                      _stream(stream))

    def reserve(self, tokens, stream=None, *, spare=0):
        """For how many of the first `tokens` tokens there are pages now; `spare`: bytes that others
        must be able to have then."""
        covered = c_uint64()
        self._library.marconi_reserve(self._opened(), _count(tokens, "tokens"),
                                      _count(spare, "spare"), _stream(stream), byref(covered))
        return covered.value

    def unreserve(self, tokens):
        self._library.marconi_unreserve(self._opened(), _count(tokens, "tokens"))

    def block_table(self, first=0):
        first, count = _count(first, "first"), c_size_t()
        while True:
            self._library.marconi_block_table(self._opened(), first, self._table,
                                              len(self._table), byref(count))
            if count.value <= len(self._table):
                return self._table[:count.value]
            self._table = (c_uint32 * (2 * count.value))()

    def kv_in_pages(self):
        """A view of the KV in the pages that the lease can read or has reserved, for as long as
        these are its own: another cache's lease can restore to it, for one."""
        return self._cache.kv_view(self._cache._layers_in_pages(), self.block_table())

    def used_on(self, stream):
        self._library.marconi_used_on(self._opened(), _stream(stream))

    def deduplicate(self):
        freed = c_uint64()
        self._library.marconi_deduplicate(self._opened(), byref(freed))
        return freed.value

    def commit(self, tokens, captured=(), kv=None, stream=None, kv_from=0):
        """`captured`: (position, state) for each copy, ascending. No row before `kv_from` is read:
        for an engine that has lost those before, at most to the lease's position."""
        first, count = _int32s(tokens, "tokens")
        states = [(at, self._state(state) or StateView()) for at, state in captured]
        copies = _records(Captured, states)
        outcome = Outcome()
        self._library.marconi_commit(self._opened(), first, count, self._view(kv),
                                     _count(kv_from, "kv_from"), copies, len(copies),
                                     _stream(stream), byref(outcome))
        return outcome

    def let_go_checkpoint(self):
        self._library.marconi_let_go_checkpoint(self._opened())

    def let_go_kv(self):
        self._library.marconi_let_go_kv(self._opened())

    def close(self):
        handle = self._taken()
        if handle:
            self._cache._leases.discard(handle.value)  # C may give its address to another
            self._library.marconi_close(handle)
            self._cache._end_if_unnamed()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()

    def _opened(self):
        if self.closed:
            raise Error(INVALID_ARGUMENT, "lease is closed")
        return self._handle

    def _state(self, state):
        if state is None:
            return None
        view = state if isinstance(state, StateView) else self._cache.state_view(state)
        if getattr(view, "sizes", "unknown") != self._cache._sizes:
            raise Error(INVALID_ARGUMENT, "a view of a state of other pieces; expected one of"
                                          f" {self._cache.state_pieces}")
        return view

    def _view(self, kv):
        if kv is None:
            return None
        view = kv if isinstance(kv, KvView) else self._cache.kv_view(kv)
        rows = getattr(view, "rows", "unknown")  # to who did not ask kv_view() for it
        if rows != self._cache._rows:
            raise Error(INVALID_ARGUMENT, f"a view of rows of {rows} bytes;"
                                          f" expected {self._cache._rows}")
        return view


def _some_of(kv, layers):
    """A view of the same, to copy these layers alone."""
    if layers is None:
        return kv
    if not isinstance(layers, range):
        raise TypeError(f"layers is a {type(layers).__name__}; expected a range")
    if kv is None or layers.step != 1 or not layers or layers.start < 0:
        raise Error(INVALID_ARGUMENT, f"layers are {layers}; expected some of those of a kv view")
    some = KvView.from_buffer_copy(kv)
    some.kept, some.first_layer, some.only_layers = kv, layers.start, len(layers)
    return some


def _expect_one_each(given, wanted, what):
    """C cannot see how long an array is."""
    if len(given) != len(wanted):
        raise Error(INVALID_ARGUMENT, f"{len(given)} {what}; expected {len(wanted)}")
