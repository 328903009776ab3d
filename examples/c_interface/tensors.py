"""Views of the tensors, like torch's, in which an engine keeps KV and states. Of each only
data_ptr(), shape, stride() and element_size() are used. None is kept alive: tensors must stay where
they are for as long as what is made of them is used.

    layers = tensors.layer_views(cache, [(kv[0], kv[1]) for kv in kv_caches],
                                 "block token head size")
    slots = tensors.StateSlots(cache, [ssm_states, conv_states])
    lease.restore(slots[request.slot], cache.kv_view(layers, request.block_table))
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


class StateSlots:
    """Made from tensors [slots, ...], one for each state piece: slots[i] is what restore and commit
    take as the state of the request in slot i."""

    def __init__(self, cache, tensors):
        if len(tensors) != len(cache.state_pieces):
            _refuse(f"{len(tensors)} tensors of states; expected {len(cache.state_pieces)}")
        for tensor, piece in zip(tensors, cache.state_pieces):
            _expect_tensor(tensor)
            _expect_slots_of(
                piece.fixed_bytes + piece.window * piece.bytes_per_window_token, tensor)
        counts = {tensor.shape[0] for tensor in tensors}
        if len(counts) > 1:
            _refuse(f"tensors differ in their number of slots: {sorted(counts)}")
        self._count = counts.pop() if counts else 0
        self._places = [(tensor.data_ptr(), tensor.stride()[0] * tensor.element_size())
                        for tensor in tensors]

    def __len__(self):
        return self._count

    def __getitem__(self, slot):
        if self._places and not 0 <= slot < self._count:
            raise IndexError(f"slot {slot} of {self._count}")
        return [base + slot * stride for base, stride in self._places]


def _expect_slots_of(wanted, tensor):
    """A slot is in one piece, and as large as the state."""
    elements = 1
    for size, stride in reversed(list(zip(tensor.shape, tensor.stride()))[1:]):
        if size != 1 and stride != elements:
            _refuse(f"slots of shape {tuple(tensor.shape)} and strides {tuple(tensor.stride())}"
                    " have gaps inside")
        elements *= size
    if elements * tensor.element_size() != wanted:
        _refuse(f"a slot has {elements} elements of {tensor.element_size()} bytes;"
                f" expected {wanted} bytes")
