"""Views of the tensors, like torch's, in which an engine keeps KV and states. Of each only
data_ptr(), shape, stride() and element_size() are used. None is kept alive: tensors must stay where
they are for as long as what is made of them is used.

    layers = tensors.layer_views(cache, [(kv[0], kv[1]) for kv in kv_caches],
                                 "block token head size")
    slots = tensors.StateSlots(cache, [ssm_states, conv_states])
    lease.restore(slots[request.slot], cache.kv_view(layers, request.block_table))

    swa = [tensors.Window(kv[i], "block token head size") for kv in swa_caches for i in (0, 1)]
    slots = tensors.StateSlots(cache, [ssm_states, conv_states, *swa])
    lease.restore(slots.view(request.slot, request.swa_block_table), ...)
"""

import marconi


def _refuse(why):
    raise marconi.Error(marconi.INVALID_ARGUMENT, why)


def _expect_tensor(tensor):
    for name in ("data_ptr", "shape", "stride", "element_size"):
        if not hasattr(tensor, name):
            raise TypeError(f"a {type(tensor).__name__} has no {name}; expected a tensor like"
                            " torch's")
    for size, stride in zip(tensor.shape, tensor.stride()):
        if size > 1 and stride <= 0:
            _refuse(f"a tensor has shape {tuple(tensor.shape)} and strides"
                    f" {tuple(tensor.stride())}; expected memory of its own for each element")


def layer_views(cache, tensors, dimensions):
    """For Cache.kv_view(), made once. `tensors`: for each layer (keys, values), whose dimensions
    are named: "token head size" for a request in one piece, "block token head size" (NHD) or "block
    head token size" (HND) in a paged engine. For one tensor [2, blocks, ...] they are kv[0] and
    kv[1], for [blocks, 2, ...] kv[:, 0] and kv[:, 1]; values are None if a token has one latent
    row."""
    names = dimensions.split()
    if (not {"token", "size"} <= set(names) <= {"block", "token", "head", "size"}
            or len(set(names)) != len(names)):
        _refuse(f"dimensions are {dimensions!r}; expected token, size, and perhaps block and head,"
                " in the tensors' order")
    if len(tensors) != len(cache.layers):
        _refuse(f"{len(tensors)} pairs of tensors; expected {len(cache.layers)}")
    views = [_layer_view(names, both, layer) for both, layer in zip(tensors, cache.layers)]
    if "block" not in names or not views:
        return marconi.LayerViews(views)
    shapes = {tuple(tensor.shape[names.index(name)] for name in ("token", "block"))
              for both in tensors for tensor in both if tensor is not None}
    if len(shapes) != 1:
        _refuse(f"tensors differ in the size or number of blocks: {sorted(shapes)}")
    return marconi.LayerViews(views, *shapes.pop())


def _layer_view(names, both, layer):
    if not isinstance(both, (tuple, list)) or len(both) != 2:
        _refuse("a layer's tensors are no pair (keys, values); (keys, None) where it has no values")
    members = {}
    for kind, tensor in zip(("key", "value"), both):
        wanted = getattr(layer.bytes, kind + "_bytes")
        if (tensor is None) != (wanted == 0):
            _refuse(f"a {kind} is {tensor}; expected {wanted} bytes a token")
        if tensor is None:
            continue
        _expect_tensor(tensor)
        shape, strides = dict(zip(names, tensor.shape)), dict(zip(names, tensor.stride()))
        if len(tensor.shape) != len(names) or strides["size"] != 1:
            _refuse(f"a {kind} has shape {tuple(tensor.shape)} and strides"
                    f" {tuple(tensor.stride())}; expected {' '.join(names)!r}, size without gaps")
        heads, element = shape.get("head", 1), tensor.element_size()
        if heads * shape["size"] * element != wanted:
            _refuse(f"a token's {kind} has {heads} * {shape['size']} elements of {element} bytes;"
                    f" expected {wanted} bytes")
        if members.setdefault("heads", heads) != heads:
            _refuse("a key and its value have different numbers of heads")
        members[kind] = tensor.data_ptr()
        for dimension, member in (("token", ""), ("head", "_head"), ("block", "_block")):
            if dimension in strides:
                members[f"{kind}{member}_stride"] = strides[dimension] * element
    return marconi.KvLayerView(**members)


class Window:
    """A tensor in which an engine keeps the rows of sliding windows by position, in blocks, with
    its dimensions named in order: "block token head size", say. A row has all heads in one run.
    In head-major blocks each head is a state piece of its own: k[:, head], "block token size".

    A ring of R rows for each slot is one, too: blocks of R tokens, of which the block table names
    the slot's for every R positions, [slot] * -(-position // R)."""

    def __init__(self, tensor, dimensions):
        _expect_tensor(tensor)
        names = dimensions.split()
        if names not in (["block", "token", "size"], ["block", "token", "head", "size"]):
            _refuse(f"dimensions are {dimensions!r}; expected 'block token size' or"
                    " 'block token head size'")
        if len(tensor.shape) != len(names):
            _refuse(f"a window's tensor has shape {tuple(tensor.shape)}; expected {dimensions!r}")
        element = tensor.element_size()
        self.address = tensor.data_ptr()
        self.row_bytes = _run_of(tensor, 2, "rows") * element
        self.strides = (tensor.stride()[1] * element, tensor.stride()[0] * element)
        self.pool_blocks, self.block_tokens = tensor.shape[:2]


class StateSlots:
    """Made from tensors, one for each state piece: a tensor [slots, ...], or the Window of a piece
    that is one. slots[i] is what restore and commit take as the state of the request in slot i, or,
    where there are windows, slots.view(i, blocks), with the block table of the windows' rows, or
    slots.view(i, tables=[...]), with one for each window, in order."""

    def __init__(self, cache, tensors):
        self._cache = cache
        if len(tensors) != len(cache.state_pieces):
            _refuse(f"{len(tensors)} tensors of states; expected {len(cache.state_pieces)}")
        windows = [tensor for tensor in tensors if isinstance(tensor, Window)]
        for tensor, piece in zip(tensors, cache.state_pieces):
            if isinstance(tensor, Window):
                _expect_window(piece, tensor)
            else:
                _expect_slots_of(piece.fixed_bytes + piece.window * piece.bytes_per_window_token,
                                 tensor)
        counts = {tensor.shape[0] for tensor in tensors if not isinstance(tensor, Window)}
        if len(counts) > 1:
            _refuse(f"tensors differ in their number of slots: {sorted(counts)}")
        self._count = counts.pop() if counts else None  # windows alone have no slots
        self._places = [(tensor.address, 0) if isinstance(tensor, Window) else
                        (tensor.data_ptr(), tensor.stride()[0] * tensor.element_size())
                        for tensor in tensors]
        self._windows = [tensor.strides if isinstance(tensor, Window) else (0, 0)
                         for tensor in tensors] if windows else None
        self._block_tokens = [tensor.block_tokens if isinstance(tensor, Window) else None
                              for tensor in tensors]
        pools = {window.pool_blocks for window in windows}
        self._pool_blocks = pools.pop() if len(pools) == 1 else 0  # 0: numbers are not checked

    def __len__(self):
        return self._count or 0

    def __getitem__(self, slot):
        if self._windows:
            _refuse("windows are in blocks; expected view(slot, blocks)")
        return self._addresses(slot)

    def view(self, slot, blocks=None, tables=None):
        sizes = {tokens for tokens in self._block_tokens if tokens is not None}
        if (blocks is None) == (tables is None):
            _refuse("expected a block table, or tables")
        if tables is None:
            if len(sizes) > 1:
                _refuse(f"windows differ in the size of blocks: {sorted(sizes)}; expected tables")
            return self._cache.state_view(self._addresses(slot), self._windows, blocks,
                                          *(sizes or {0}), self._pool_blocks)
        if len(tables) != len(self._block_tokens) - self._block_tokens.count(None):
            _refuse(f"{len(tables)} tables; expected one for each window")
        own = iter(tables)
        windows = [strides if tokens is None else (*strides, next(own), tokens)
                   for strides, tokens in zip(self._windows or (), self._block_tokens)]
        return self._cache.state_view(self._addresses(slot), windows or None,
                                      pool_blocks=self._pool_blocks)

    def _addresses(self, slot):
        if self._count is not None and not 0 <= slot < self._count:
            raise IndexError(f"slot {slot} of {self._count}")
        return [base + slot * stride for base, stride in self._places]


def _run_of(tensor, first, what):
    """How many elements the dimensions from `first` on have, without gaps."""
    elements = 1
    for size, stride in reversed(list(zip(tensor.shape, tensor.stride()))[first:]):
        if size != 1 and stride != elements:
            _refuse(f"{what} of shape {tuple(tensor.shape)} and strides {tuple(tensor.stride())}"
                    " have gaps inside")
        elements *= size
    return elements


def _expect_window(piece, window):
    if piece.fixed_bytes != 0:
        _refuse(f"a window for a piece of {piece.fixed_bytes} fixed bytes; expected rows alone")
    if window.row_bytes != piece.bytes_per_window_token:
        _refuse(f"a window's row has {window.row_bytes} bytes;"
                f" expected {piece.bytes_per_window_token}")


def _expect_slots_of(wanted, tensor):
    """A slot is in one piece, and as large as the state."""
    _expect_tensor(tensor)
    elements = _run_of(tensor, 1, "slots")
    if elements * tensor.element_size() != wanted:
        _refuse(f"a slot has {elements} elements of {tensor.element_size()} bytes;"
                f" expected {wanted} bytes")
