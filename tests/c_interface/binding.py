"""The example's Python binding: what Python lets pass and C would not, or would take for another.

usage: binding.py LIBRARY FOLDER, the folder of marconi.py
"""

import array
import copy
import ctypes
import gc
import pathlib
import pickle
import re
import sys
import threading
import unittest
import unittest.mock
import zlib

LIBRARY, FOLDER = sys.argv.pop(1), sys.argv.pop(1)
sys.path.insert(0, FOLDER)
import marconi  # noqa: E402
import tensors  # noqa: E402

LOADED = marconi.load(LIBRARY)
MODEL = dict(kv_layers=[(8, 8)], state_pieces=[(16, 0, 0)], flops_per_token=1.0, capacity=1 << 16)


class FakeTensor:
    """As much of a tensor of 4-byte elements as layer_view() looks at, by torch's names."""

    def __init__(self, memory, first, shape, strides):
        self._address = ctypes.addressof(memory) + 4 * first
        self.shape, self._strides = shape, strides

    def data_ptr(self):
        return self._address

    def stride(self):
        return self._strides

    def element_size(self):
        return 4


class SameAsTheHeader(unittest.TestCase):
    """Records and functions are declared twice: in marconi_c.h, and for ctypes."""

    KINDS = {
        "int": ctypes.c_int, "double": ctypes.c_double, "size_t": ctypes.c_size_t,
        "ptrdiff_t": ctypes.c_ssize_t, "uint64_t": ctypes.c_uint64, "void*": ctypes.c_void_p,
        "char const*": ctypes.c_char_p, "void": None,
        "void* const*": ctypes.POINTER(ctypes.c_void_p),
        "int32_t const*": marconi._TOKENS, "uint32_t*": ctypes.POINTER(ctypes.c_uint32)}

    @classmethod
    def setUpClass(cls):
        text = pathlib.Path(FOLDER, "marconi_c.h").read_text("utf-8")
        cls.header = re.sub(r"/\*.*?\*/|^#(?:[^\n]*\\\n)*[^\n]*$", "", text,
                            flags=re.DOTALL | re.MULTILINE)

    def kind(self, c):
        """The ctypes class for a type of C's."""
        c = " ".join(c.split())
        if c in self.KINDS:
            return self.KINDS[c]
        if c.endswith("*"):
            of = c[:-1].removesuffix(" const").strip()
            if of in ("marconi_cache", "marconi_lease"):
                return ctypes.c_void_p
            return ctypes.POINTER(self.kind(of))
        name = c.removeprefix("marconi_").title().replace("_", "")
        return getattr(marconi, name)

    def declared(self, text):
        """(name, class) of each of "uint64_t a, b" or "void* memory"."""
        kind, names = re.fullmatch(r"(.*?[\s*])(\w+(?:,\s*\w+)*)", text.strip(),
                                   re.DOTALL).groups()
        return [(name.strip(), self.kind(kind)) for name in names.split(",")]

    def test_version(self):
        number = re.search(r"^#define MARCONI_C_VERSION (\d+)$",
                           pathlib.Path(FOLDER, "marconi_c.h").read_text("utf-8"), re.MULTILINE)
        self.assertEqual(int(number[1]), marconi.VERSION)

    def test_version_goes_up_with_the_records(self):
        """Functions are left out: one that comes new breaks no caller."""
        known = {1: 0x7177D21F, 2: 0xCBD2D97E, 3: 0x79745E4E, 4: 0x13A535CF}
        declared = re.sub(r"\s+", "", re.sub(r"^[^;{]*\([^;]*;", "", self.header,
                                             flags=re.MULTILINE))
        self.assertEqual(zlib.crc32(declared.encode()), known[marconi.VERSION],
                         "structs are not what they were in this version: change"
                         " MARCONI_C_VERSION in marconi_c.h, VERSION in marconi.py, and `known`")

    def test_records(self):
        found = re.findall(r"typedef struct (marconi_\w+) \{(.*?)\} \1;", self.header, re.DOTALL)
        self.assertEqual(len(found), 20)
        for name, members in found:
            expected = [one for line in members.split(";") if line.strip()
                        for one in self.declared(line)]
            self.assertEqual(self.kind(name)._fields_, expected, name)

    def test_functions(self):
        found = re.findall(r"^(\w[\w* ]*?)(marconi_\w+)\(([^)]*)\);", self.header, re.MULTILINE)
        declared = {**marconi._CAN_FAIL, **marconi._CANNOT_FAIL}
        self.assertEqual({name for _, name, _ in found}, {"marconi_" + name for name in declared})
        for result, name, arguments in found:
            function = getattr(LOADED, name)
            expected = [] if arguments == "void" else [
                self.declared(one)[0][1] for one in arguments.split(",")]
            self.assertEqual(function.argtypes, expected, name)
            self.assertEqual(function.restype, self.kind(result), name)


class Versions(unittest.TestCase):
    def test_a_library_of_another_version_is_not_loaded(self):
        version = marconi.VERSION
        with unittest.mock.patch.object(marconi, "VERSION", 70):
            with self.assertRaises(marconi.Error) as raised:
                marconi.load(LIBRARY)
        for part in (LIBRARY, f"is {version};", "expected 70"):
            self.assertIn(part, str(raised.exception))
        with self.assertRaises(marconi.Error) as raised:
            marconi.load(None)  # this process, which has no such function
        self.assertIn(f"is none; expected {version}", str(raised.exception))


class Binding(unittest.TestCase):
    def setUp(self):
        self.cache = marconi.Cache(LOADED, **MODEL)
        self.kv = (ctypes.c_uint64 * 200)(*range(1, 201))
        self.state = (ctypes.c_uint64 * 2)(7, 8)
        key = ctypes.addressof(self.kv)
        self.views = [(key, 16, key + 8, 16)]
        self.at = [ctypes.addressof(self.state)]

    def tearDown(self):
        self.cache.audit()
        self.cache.destroy()

    def store(self, count, **scope):
        with self.cache.open(range(count), **scope) as lease:
            outcome = lease.commit(range(count), [(count, self.at)], self.views)
        self.assertEqual(outcome, marconi.Outcome(position=count, stored_tokens=count,
                                                  stored_checkpoints=1))

    def refuses(self, call, words=""):
        with self.assertRaises(marconi.Error) as raised:
            call()
        self.assertIn(words, str(raised.exception))

    def resumes(self, tokens, **options):
        with self.cache.open(tokens, **options) as lease:
            return lease.resume_at

    def test_comes_back_as_it_was(self):
        self.store(40)
        found, state = (ctypes.c_uint64 * 200)(), (ctypes.c_uint64 * 2)()
        key = ctypes.addressof(found)
        views = self.cache.kv_view([(key, 16, key + 8, 16)])
        with self.cache.open(range(50)) as lease:
            self.assertEqual(lease.resume_at, 40)
            lease.restore([ctypes.addressof(state)], views)
        self.assertEqual(found[:81], self.kv[:80] + [0])
        self.assertEqual(state[:], self.state[:])

    def test_layers_come_one_by_one(self):
        with marconi.Cache(LOADED, kv_layers=[(8, 8)] * 2, flops_per_pair=1.0, block_tokens=4,
                           capacity=1 << 16) as cache:
            brought, found = (ctypes.c_uint64 * 160)(*range(1, 161)), (ctypes.c_uint64 * 160)()

            def view_of(memory):
                at = ctypes.addressof(memory)
                return cache.kv_view([(at, 16, at + 8, 16), (at + 640, 16, at + 648, 16)])

            with cache.open(range(40)) as lease:
                lease.commit(range(40), kv=view_of(brought))
            with cache.open(range(41)) as lease:
                view = view_of(found)
                lease.restore(kv=view, layers=range(1, 2))
                self.assertEqual(found[:], [0] * 80 + brought[80:])
                lease.restore(kv=view, layers=range(0, 1), from_token=30)
                self.assertEqual(found[:], [0] * 60 + brought[60:])
                lease.restore(kv=view)
                self.assertEqual(found[:], brought[:])
                for wrong, words in ((range(1, 3), "2 layers from 1 on"), (range(0), "range(0, 0)"),
                                     (range(0, 2, 2), "range(0, 2, 2)"), (range(-1, 1), "(-1, 1)")):
                    self.refuses(lambda wrong=wrong: lease.restore(kv=view, layers=wrong), words)
                self.refuses(lambda: lease.restore(layers=range(1)), "of a kv view")
                for wrong in (1, [1], (1, 2)):
                    self.assertRaises(TypeError, lambda wrong=wrong: lease.restore(layers=wrong))

    def test_looks_and_changes_nothing(self):
        self.store(40)
        found = self.cache.match(range(50))
        self.assertEqual(found, marconi.MatchResult(matched=40, resumable=40))
        self.assertEqual(self.cache.match(range(50), tenant=1).matched, 0)
        self.assertEqual(self.cache.match(range(50), limit=30),
                         marconi.MatchResult(matched=40, lost_past_limit=10,
                                             lost_without_checkpoint=30))
        self.assertEqual(self.cache.stats().requests, 1)
        self.cache.open(range(50), limit=30).close()
        did = self.cache.stats()
        self.assertEqual((did.lost_past_limit, did.lost_without_checkpoint), (10, 30))

    def test_resumes_by_a_state_of_the_engine_s_own(self):
        self.store(40)
        found = (ctypes.c_uint64 * 80)()
        key = ctypes.addressof(found)
        with self.cache.open(range(50), state_at=30) as lease:
            self.assertEqual(lease.resume_at, 40)  # a checkpoint lies deeper
        fork = [*range(30), *range(100, 120)]
        self.assertEqual(self.resumes(fork), 0)
        self.assertEqual(self.cache.match(fork).resumable, 0)
        self.assertEqual(self.cache.match(fork, state_at=30).resumable, 30)
        with self.cache.open(fork, state_at=30) as lease:
            self.assertEqual(lease.resume_at, 30)
            self.refuses(lambda: lease.restore(self.at), "own state")
            lease.restore(kv=[(key, 16, key + 8, 16)])
        self.assertEqual(found[:60], self.kv[:60])
        with self.cache.open(range(50)) as lease:
            self.refuses(lease.restore, "number of pieces in the state_view is 0")

    def test_defaults_are_those_of_c(self):
        number = {"MARCONI_ALL_BUT_ONE": marconi.ALL_BUT_ONE,
                  "MARCONI_AFTER_ALL": marconi.AFTER_ALL}
        defaults = re.search(r"MARCONI_REQUEST_DEFAULTS[\s\\]*\{([^}]*)\}",
                             pathlib.Path(FOLDER, "marconi_c.h").read_text("utf-8"))[1]
        values = [number.get(name.strip()) or int(name) for name in defaults.split(",")]
        asked = dict(limit=marconi.ALL_BUT_ONE, weight=1.0, answer_from=marconi.AFTER_ALL,
                     state_at=0)
        self.assertEqual(marconi.Request(*values), marconi.Request(**asked))
        self.assertIsNone(marconi._request(**asked))
        for name in asked:
            self.assertIsNotNone(marconi._request(**{**asked, name: 7}))
        self.assertIsNotNone(marconi._request(**asked, counted=False))

    def test_what_nobody_asked_for_does_not_count(self):
        self.store(40, counted=False)
        self.assertEqual(self.resumes(range(50), counted=False), 40)
        stats = self.cache.stats()
        self.assertEqual((stats.requests, stats.abandoned, stats.tokens_asked), (0, 0, 0))
        self.assertEqual(self.cache.learning().requests, 0)
        self.assertEqual(self.resumes(range(60)), 40)
        self.assertEqual(self.cache.stats().tokens_resumed, 40)

    def test_captures_where_the_answer_begins(self):
        with marconi.Cache(LOADED, **MODEL, checkpoint_before_answer=7) as cache:
            with cache.open(range(50)) as lease:
                self.assertEqual(lease.capture_at(), [43])
            self.assertEqual(cache.learning().before_answer_pays, 1)

    def test_tells_what_it_learns(self):
        with marconi.Cache(LOADED, **MODEL, shadow_multiple=3, shadow_bytes=1 << 20) as cache:
            for _ in range(2):
                with cache.open(range(40)) as lease:
                    lease.commit(range(30), [(30, self.at)], self.views)
                    lease.commit(range(40), [], self.views)
            learned = cache.learning()
        self.assertEqual((learned.requests, learned.flops_asked), (2, 80.0))
        for saved in learned.shadow_saved, learned.odds_saved, learned.gdsf_saved:
            self.assertEqual(saved, 30.0)
        self.assertEqual((learned.rules_by_odds, learned.ended, learned.failure), (1, 0, ""))

    def test_events(self):
        self.refuses(self.cache.take_events, "event_bytes is 0")
        with marconi.Cache(LOADED, **MODEL, event_bytes=400) as cache:
            with cache.open(range(3), tenant=5) as lease:
                lease.commit(range(3), [(3, self.at)], self.views)
            published, following = cache.take_events()
            self.assertEqual([(e.sequence, e.kind, e.position, e.scope) for e in published],
                             [(0, "kv_published", 3, (5, 0, 0)),
                              (1, "checkpoint_published", 3, (5, 0, 0))])
            self.assertEqual(published[0].tokens, array.array("i", range(3)))
            self.assertEqual(following, 2)
            self.assertEqual(cache.take_events(), ([], 2))

            self.assertEqual([e.why for e in published], ["", ""])

            here, following = cache.snapshot()
            self.assertEqual(here, [event._replace(sequence=2) for event in published])
            self.assertEqual(following, 2)

            for tenant in range(6, 9):
                with cache.open(range(3), tenant=tenant) as lease:
                    lease.commit(range(3), [(3, self.at)], self.views)
            some, following = cache.take_events()  # with room for four or so
            self.assertEqual(following, 8)
            self.assertLess(len(some), 6)
            cache.clear((5, 0, 0))
            self.assertEqual([(e.kind, e.why) for e in cache.take_events()[0]],
                             [("checkpoint_removed", "not_wanted"), ("removed", "not_wanted")])

    def test_kv_in_blocks_of_tensors(self):
        """[keys or values, block, token, head, size], or with the heads before the tokens."""
        self.store(40)
        blocks = array.array("i", [5, 2, 0])
        for order, shape, strides in (("token head size", (16, 2, 1), (16, 4, 1)),
                                      ("head token size", (2, 16, 1), (64, 4, 1))):
            memory = (ctypes.c_uint32 * (2 * 6 * 256))()
            both = [FakeTensor(memory, kind * 6 * 256, (6, *shape), (256, *strides))
                    for kind in (0, 1)]
            layers = tensors.layer_views(self.cache, [both], "block " + order)
            view = self.cache.kv_view(layers, blocks)
            with self.cache.open(range(50)) as lease:
                lease.restore(self.at, view, from_token=2)
            by_name = dict(zip(order.split(), strides))
            for token in range(40):
                for kind in (0, 1):
                    at = kind * 6 * 256 + blocks[token // 16] * 256 + token % 16 * by_name["token"]
                    word = memory[at] | memory[at + by_name["head"]] << 32
                    self.assertEqual(word, self.kv[2 * token + kind] if token >= 2 else 0)

            self.refuses(lambda layers=layers: self.cache.kv_view(layers), "blocks are given")
            self.refuses(lambda: self.cache.kv_view(self.views, blocks), "blocks are given")
            with self.cache.open(range(50)) as lease:
                for wrong, words in (([5, 6, 0], "kv_view is 6; expected less than pool_blocks, 6"),
                                     ([5, 2, -1], "kv_view is -1"), ([5, 2], "at least 3")):
                    view = self.cache.kv_view(layers, wrong)
                    self.refuses(lambda view=view: lease.restore(self.at, view), words)

    def test_what_no_view_can_say_of_a_tensor(self):
        memory = (ctypes.c_uint32 * 400)()
        rows = FakeTensor(memory, 0, (100, 2, 1), (4, 2, 1))
        whole = FakeTensor(memory, 0, (100, 1, 2), (4, 2, 1))
        wide = FakeTensor(memory, 0, (100, 2, 2), (4, 2, 1))
        gaps = FakeTensor(memory, 0, (100, 2, 1), (4, 2, 2))
        flat = FakeTensor(memory, 0, (100, 2), (4, 1))
        same = FakeTensor(memory, 0, (100, 2, 1), (0, 2, 1))
        expanded = FakeTensor(memory, 0, (100, 2, 1), (4, 0, 1))
        paged = FakeTensor(memory, 0, (25, 4, 2, 1), (16, 4, 2, 1))
        smaller = FakeTensor(memory, 0, (24, 4, 2, 1), (16, 4, 2, 1))
        by_name = "token head size"
        for layers, dimensions, words in (
                ([(rows, rows)], "token head", "dimensions are 'token head'"),
                ([(rows, rows)], "page token size", "dimensions are"),
                ([(rows, rows)], "token token size", "dimensions are"),
                ([(rows, rows)], "token size", "a key has shape (100, 2, 1)"),
                ([(rows, flat)], by_name, "a value has shape (100, 2)"),
                ([(gaps, rows)], by_name, "strides (4, 2, 2); expected 'token head size'"),
                ([(rows, wide)], by_name, "value has 2 * 2 elements of 4 bytes; expected 8 bytes"),
                ([(rows, whole)], by_name, "different numbers of heads"),
                ([(rows, None)], by_name, "a value is None; expected 8 bytes a token"),
                ([(rows, same)], by_name, "strides (0, 2, 1); expected memory of its own"),
                ([(expanded, rows)], by_name, "strides (4, 0, 1); expected memory of its own"),
                ([rows], by_name, "no pair"), ([(rows, rows, rows)], by_name, "no pair"),
                ([(paged, smaller)], "block token head size", "differ in the size or number"),
                ([(rows, rows)] * 2, by_name, "2 pairs of tensors; expected 1")):
            self.refuses(
                lambda t=layers, d=dimensions: tensors.layer_views(self.cache, t, d), words)
        with self.assertRaisesRegex(TypeError, "bytearray has no data_ptr; expected a tensor"):
            tensors.layer_views(self.cache, [(rows, bytearray(8))], by_name)
        with marconi.Cache(LOADED, kv_layers=[(8, 0)], capacity=1 << 16) as latent:
            views = tensors.layer_views(latent, [(flat, None)], "token size")
            self.assertEqual((views.records[0].key, views.records[0].key_stride,
                              views.records[0].value), (ctypes.addressof(memory), 16, None))
            with self.cache.open(range(50)) as lease:
                self.refuses(lambda: lease.restore(self.at, latent.kv_view(views)),
                             "rows of [(8, 0)] bytes; expected [(8, 8)]")

    def test_states_in_slots_of_tensors(self):
        self.store(40)
        memory = (ctypes.c_uint32 * 40)()
        slots = tensors.StateSlots(self.cache, [FakeTensor(memory, 0, (4, 2, 2), (10, 2, 1))])
        self.assertEqual(len(slots), 4)
        with self.cache.open(range(50)) as lease:
            lease.restore(slots[3])
        self.assertEqual(memory[30:34], [7, 0, 8, 0])
        self.assertRaises(IndexError, lambda: slots[4])
        self.assertRaises(IndexError, lambda: slots[-1])
        for shape, strides, words in (
                ((4, 2, 2), (10, 4, 1), "gaps"), ((4, 2, 2), (10, 4, 2), "gaps"),
                ((4, 2, 2), (0, 2, 1), "memory of its own"),
                ((4, 5), (10, 1), "5 elements of 4 bytes; expected 16")):
            tensor = FakeTensor(memory, 0, shape, strides)
            self.refuses(lambda t=tensor: tensors.StateSlots(self.cache, [t]), words)
        self.refuses(lambda: tensors.StateSlots(self.cache, []), "0 tensors of states")

    def test_windows_in_blocks_of_tensors(self):
        with marconi.Cache(LOADED, state_pieces=[(16, 0, 0), (0, 4, 8)], flops_per_token=1.0,
                           capacity=1 << 16) as cache:
            states = (ctypes.c_uint32 * 16)(*range(1, 17))
            rows = (ctypes.c_uint32 * 60)(*range(100, 160))
            slots = FakeTensor(states, 0, (4, 4), (4, 1))
            # five blocks of three tokens, rows of two heads; 36 to 38 in the third, 39 in the first
            window = tensors.Window(FakeTensor(rows, 0, (5, 3, 2, 1), (12, 4, 1, 1)),
                                    "block token head size")
            by_blocks = tensors.StateSlots(cache, [slots, window])
            self.assertEqual(len(by_blocks), 4)
            table = [9] * 12 + [2, 0]
            with cache.open(range(40)) as lease:
                lease.commit(range(40), [(40, by_blocks.view(1, table))])
            ring = (ctypes.c_uint32 * 24)()  # of six rows for each of two slots
            rings = tensors.StateSlots(cache, [slots, tensors.Window(
                FakeTensor(ring, 0, (2, 6, 2), (12, 2, 1)), "block token size")])
            with cache.open(range(50)) as lease:
                lease.restore(rings.view(3, [1] * -(-lease.resume_at // 6)))
                self.refuses(lambda: lease.restore(by_blocks.view(1, [9] * 14)),
                             "a block of the state_view is 9; expected less than pool_blocks, 5")
                self.refuses(lambda: lease.restore(by_blocks.view(1, [2] * 13)),
                             "number of blocks in the state_view is 13")
                self.refuses(lambda: by_blocks[1], "expected view(slot, blocks)")
                self.assertRaises(IndexError, lambda: by_blocks.view(4, table))
                self.refuses(lambda: by_blocks.view(1), "expected a block table, or tables")
                self.refuses(lambda: by_blocks.view(1, tables=[table, table]),
                             "2 tables; expected one for each window")
                other = self.cache.state_view(self.at)
                self.refuses(lambda: lease.restore(other), "a state of other pieces")
                self.refuses(lambda: cache.state_view([1, 2], [(8, 0)]),
                             "1 strides of state pieces; expected 2")
            self.assertEqual(states[12:], [5, 6, 7, 8])
            expected = [0] * 24
            for token, first in ((36, 124), (37, 128), (38, 132), (39, 100)):
                at = 12 + token % 6 * 2
                expected[at:at + 2] = [first, first + 1]
            self.assertEqual(ring[:], expected)
            for made, words in (
                    (lambda t: tensors.Window(t, "token size"), "dimensions are 'token size'"),
                    (lambda t: tensors.Window(t, "block token size"),
                     "expected 'block token size'"),
                    (lambda t: tensors.StateSlots(cache, [window, window]), "16 fixed bytes"),
                    (lambda t: tensors.StateSlots(cache, [slots, tensors.Window(
                        FakeTensor(rows, 0, (5, 3, 1), (12, 4, 1)), "block token size")]),
                     "row has 4 bytes; expected 8"),
                    (lambda t: tensors.Window(FakeTensor(rows, 0, (5, 3, 2, 1), (12, 4, 2, 1)),
                                              "block token head size"), "gaps inside")):
                self.refuses(lambda m=made: m(FakeTensor(rows, 0, (5, 3, 2, 1), (12, 4, 1, 1))),
                             words)

    def test_windows_in_head_major_blocks(self):
        with marconi.Cache(LOADED, state_pieces=[(0, 3, 4)] * 2, flops_per_token=1.0,
                           capacity=1 << 16) as cache:
            rows = (ctypes.c_uint32 * 24)(*range(100, 124))  # [block 4, head 2, token 3]
            by_head = tensors.StateSlots(cache, [tensors.Window(
                FakeTensor(rows, 3 * head, (4, 3, 1), (6, 1, 1)), "block token size")
                for head in (0, 1)])
            with cache.open(range(8)) as lease:
                lease.commit(range(8), [(8, by_head.view(0, [9, 3, 1]))])
            heads = (ctypes.c_uint32 * 6)()
            with cache.open(range(9)) as lease:
                lease.restore([ctypes.addressof(heads), ctypes.addressof(heads) + 12])
                self.assertEqual(heads[:], [120, 106, 107, 123, 109, 110])  # tokens 5, 6 and 7
                # Each window in blocks of another size, with a table of its own.
                first, second = (ctypes.c_uint32 * 12)(), (ctypes.c_uint32 * 12)()
                apart = tensors.StateSlots(cache, [
                    tensors.Window(FakeTensor(first, 0, (3, 4, 1), (4, 1, 1)), "block token size"),
                    tensors.Window(FakeTensor(second, 0, (3, 2, 1), (2, 1, 1)),
                                   "block token size")])
                self.refuses(lambda: apart.view(0, [0, 1]), "in the size of blocks: [2, 4]")
                lease.restore(apart.view(0, tables=[[9, 2], [9, 9, 0, 1]]))
            self.assertEqual(first[8:], [0, 120, 106, 107])
            self.assertEqual(second[:4], [0, 123, 109, 110])

    def test_from_one_cache_into_pages_of_another(self):
        self.store(40)
        with marconi.Cache(LOADED, **MODEL, block_tokens=4) as fast:
            with self.cache.open(range(50)) as slow, fast.open(range(50)) as lease:
                self.assertEqual(lease.reserve(slow.resume_at), 40)
                slow.restore(self.at, lease.kv_in_pages())
                lease.commit(range(40), [(40, self.at)])
            found, state = (ctypes.c_uint64 * 80)(), (ctypes.c_uint64 * 2)()
            key = ctypes.addressof(found)
            with fast.open(range(50)) as lease:
                lease.restore([ctypes.addressof(state)], [(key, 16, key + 8, 16)])
            self.assertEqual(found[:], self.kv[:80])

    def test_what_is_named_in_a_circle_goes(self):
        """Python lets go of it in any order, of a cache before its leases, too."""
        class Counted:
            destroyed = 0

            def __getattr__(self, name):
                return getattr(LOADED, name)

            def marconi_destroy(self, cache):
                LOADED.marconi_destroy(cache)
                self.destroyed += cache is not None

        class Engine:
            pass

        library = Counted()
        for made in range(1, 10):
            engine = Engine()
            engine.itself, engine.cache = engine, marconi.Cache(library, **MODEL)
            engine.leases = [engine.cache.open(range(50)) for _ in range(3)]
            del engine
            gc.collect()
            self.assertEqual(library.destroyed, made)

    def test_ctrl_c_within_a_call_leaves_nothing_behind_and_ends_nothing_twice(self):
        class Interrupted:
            def __init__(self, name):
                self.name, self.destroyed = name, 0

            def __getattr__(self, name):
                function = getattr(LOADED, name)

                def call(*arguments):
                    self.destroyed += name == "marconi_destroy" and bool(arguments[0])
                    result = function(*arguments)
                    if name == self.name:
                        self.name = None  # once
                        raise KeyboardInterrupt
                    return result
                call.errcheck = function.errcheck
                return call

        library = Interrupted("marconi_create")
        self.assertRaises(KeyboardInterrupt, lambda: marconi.Cache(library, **MODEL))
        gc.collect()
        self.assertEqual(library.destroyed, 1)

        library = Interrupted("marconi_open")
        cache = marconi.Cache(library, **MODEL)
        self.assertRaises(KeyboardInterrupt, lambda: cache.open(range(50)))
        gc.collect()
        self.assertEqual(cache.stats().leases, 0)
        library.name = "marconi_close"
        self.assertRaises(KeyboardInterrupt, cache.open(range(50)).close)
        self.assertEqual(cache.stats().leases, 0)
        library.name = "marconi_destroy"
        self.assertRaises(KeyboardInterrupt, cache.destroy)
        cache.destroy()
        del cache
        gc.collect()
        self.assertEqual(library.destroyed, 1)

    def test_tokens_in_any_buffer_of_int32(self):
        self.store(40)
        numbers = array.array("i", range(50))
        for tokens in (numbers, list(numbers), (ctypes.c_int32 * 50)(*numbers),
                       memoryview(bytes(numbers)).cast("i"), memoryview(numbers)[:45]):
            self.assertEqual(self.resumes(tokens), 40)
        self.assertEqual(self.resumes([]), 0)
        self.refuses(lambda: self.cache.open(array.array("q", numbers)), "'q'")
        self.refuses(lambda: self.cache.open(memoryview(numbers)[::2]), "strides (8,)")

    def test_no_number_becomes_another(self):
        self.store(40)
        self.assertEqual(self.resumes(range(50), tenant=0), 40)
        for scope in ({"tenant": 2**64}, {"adapter": -1}, {"revision": 2**65}):
            self.refuses(lambda scope=scope: self.cache.open(range(50), **scope), "2^64")
        self.refuses(lambda: self.cache.open(range(50), limit=-1))
        self.refuses(lambda: self.cache.evict(-1))
        self.refuses(lambda: marconi.Cache(LOADED, **MODEL, block_tokens=2**64 + 8))
        self.assertEqual(self.cache.stats().nodes, 1)
        with self.cache.open(range(50)) as lease:
            self.refuses(lambda: lease.reserve(2**65 + 40))
            for wrong in (-1, 2**64 + 5):
                self.refuses(lambda wrong=wrong: lease.restore(self.at, stream=wrong), "stream")
            for wrong in ("s0", b"s0", 1.0):
                self.assertRaises(TypeError, lease.used_on, wrong)

    def test_one_address_for_each_piece(self):
        with self.cache.open(range(40)) as lease:
            self.refuses(lambda: lease.restore([]), "0 addresses of state pieces; expected 1")
            self.refuses(lambda: lease.commit(range(40), kv=self.views * 2), "2 views")
            for contents in (self.state, array.array("q", self.at), memoryview(bytes(1))):
                with self.assertRaisesRegex(TypeError, "expected a list of addresses"):
                    lease.restore(contents)
            self.refuses(lambda: lease.commit(range(40), kv=marconi.KvView()), "rows of unknown")

    def test_what_is_no_cache_leaves_nothing_behind(self):
        unraised = []
        before, sys.unraisablehook = sys.unraisablehook, unraised.append
        for library, options, words in (
                (LOADED, {"blok": 3}, "blok"), (LIBRARY, {}, "expected what marconi.load"),
                (ctypes.CDLL(LIBRARY), {}, "expected what marconi.load"),
                (LOADED, {"preset": 5}, "preset is 5")):
            with self.assertRaisesRegex(TypeError, words):
                marconi.Cache(library, **MODEL, **options)
        gc.collect()
        sys.unraisablehook = before
        self.assertEqual(unraised, [])

    def test_names_of_presets(self):
        for name, words in (("", "expected one of"), ("paper-7b\0zzz", "without NUL")):
            self.refuses(lambda: marconi.Cache(LOADED, capacity=1 << 30, preset=name), words)

    def test_a_lease_ends_once(self):
        self.store(40)
        lease = self.cache.open(range(50))
        for takes in (copy.copy, copy.deepcopy, pickle.dumps):
            self.assertRaises(TypeError, takes, lease)
        self.refuses(self.cache.destroy, "leases are open")
        lease.close()
        self.assertTrue(lease.closed)
        self.refuses(lambda: lease.resume_at, "closed")
        for call in (lambda: lease.reserve(1), lambda: lease.restore(self.at), lease.deduplicate,
                     lambda: lease.commit(range(40)), lease.block_table, lease.let_go_kv):
            self.refuses(call, "closed")

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        for _ in range(200):
            lease = self.cache.open(range(50))
            threads = [threading.Thread(target=lease.close) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        sys.setswitchinterval(before)

        lease = self.cache.open(range(50))
        self.assertEqual(self.cache.stats().leases, 1)
        del lease
        gc.collect()
        self.assertEqual(self.cache.stats().leases, 0)

    def test_pages_in_a_buffer_that_is_kept(self):
        pool = bytearray(1 << 16)
        cache = marconi.Cache(LOADED, **{**MODEL, "capacity": 0}, memory=pool)
        self.assertEqual(cache.stats().capacity_bytes, len(pool))
        with self.assertRaises(BufferError):
            pool.extend(b"more")  # would move it
        with cache.open(range(40)) as lease:
            self.assertEqual(lease.reserve(40), 40)
            self.assertEqual(len(lease.block_table()), 3)
            self.assertEqual(lease.block_table(1), lease.block_table()[1:])
            lease.commit(range(40), [(40, self.at)])
        self.assertIn((7).to_bytes(8, "little") + (8).to_bytes(8, "little"), bytes(pool))
        cache.destroy()
        pool.extend(b"more")
        self.refuses(lambda: marconi.Cache(LOADED, **MODEL, memory=bytearray(100)), "100 bytes")
        self.refuses(lambda: marconi.Cache(LOADED, **MODEL, memory=bytes(1 << 16)), "read-only")
        self.assertRaises(TypeError, lambda: marconi.Cache(LOADED, **MODEL, memory="here"))

    def test_long_block_tables(self):
        cache = marconi.Cache(LOADED, **MODEL, block_tokens=1)
        with cache.open(range(200)) as lease:
            self.assertEqual(lease.reserve(200, spare=1 << 40), 0)
            self.refuses(lambda: lease.reserve(200, spare=-1), "spare is -1")
            self.assertEqual(lease.reserve(200), 200)
            self.assertEqual(len(set(lease.block_table())), 200)

    def test_scopes_are_apart(self):
        self.store(40, tenant=1)
        self.store(40, tenant=2)
        self.assertEqual(self.cache.holds((1, 0, 0)).tokens, 40)
        self.assertEqual(self.cache.scopes(), [(1, 0, 0), (2, 0, 0)])
        self.cache.clear((1, 0, 0))
        self.assertEqual(self.resumes(range(50), tenant=1), 0)
        self.assertEqual(self.resumes(range(50), tenant=2), 40)
        self.cache.clear(marconi.Scope())
        self.assertEqual(self.resumes(range(50), tenant=2), 40)
        self.refuses(lambda: self.cache.clear(()), "expected (tenant, adapter, revision)")
        self.refuses(lambda: self.cache.clear((2, 0, 0, 0)))
        self.assertEqual(self.resumes(range(50), tenant=2), 40)
        self.cache.clear_all()
        self.assertEqual(self.resumes(range(50), tenant=2), 0)
        self.assertEqual(self.cache.scopes(), [])

    def test_what_is_old_goes(self):
        self.store(40, tenant=1)
        then = self.cache.stats().now
        self.store(30, tenant=2)
        self.store(20, tenant=3)
        self.refuses(lambda: self.cache.forget_unused(-1), "since is -1")
        self.assertGreater(self.cache.forget_unused(then), 0)
        self.assertEqual(self.cache.scopes(), [(2, 0, 0), (3, 0, 0)])
        self.assertGreater(self.cache.evict(1, scope=(3, 0, 0)), 0)
        self.assertEqual(self.cache.scopes(), [(2, 0, 0)])
        self.assertEqual(self.cache.evict(1, scope=(3, 0, 0)), 0)

    def test_forgets_what_turned_out_wrong(self):
        self.store(40)
        with self.cache.open(range(50)) as lease:
            self.assertEqual(self.cache.forget(range(40), 39), 0)
            self.assertEqual(lease.resume_at, 40)
            self.assertEqual(self.cache.match(range(50)).matched, 39)
        self.assertGreater(self.cache.forget(range(40), 10), 0)
        self.assertEqual(self.cache.match(range(50)).matched, 10)
        self.assertEqual(self.cache.forget(range(40), 10, tenant=1), 0)
        self.refuses(lambda: self.cache.forget(range(40), 40), "from is 40")
        self.store(40, tenant=1)
        self.assertGreater(self.cache.forget_scope((1, 0, 0)), 0)
        self.assertEqual(self.cache.holds((1, 0, 0)).tokens, 0)
        self.assertEqual(self.cache.audit(), None)

    def test_what_the_body_raises_is_not_hidden(self):
        with self.assertRaises(ZeroDivisionError):
            with marconi.Cache(LOADED, **MODEL) as cache:
                lease = cache.open(range(4))
                lease.reserve(1 // 0)

    def test_errors_travel(self):
        raised = marconi.Error(1, "words")
        self.assertEqual(str(pickle.loads(pickle.dumps(raised))), "invalid argument: words")


if __name__ == "__main__":
    unittest.main()
