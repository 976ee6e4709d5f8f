"""Adapters of torch: tensors on the CPU as dtype, shape and bytes in C order, and the types that describe them.

A tensor that is read may be changed: it is a copy. How it lay in memory (strides, views, a shared storage) is no part
of its value; neither is how it was computed.
"""

from __future__ import annotations

from typing import Any

import torch

from redun.core.adapters.arrays import buffer
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.values import PARTS, Encoder


def _check(tensor: torch.Tensor) -> None:
    if tensor.device.type != "cpu":
        raise CannotEncode(f"a tensor on {tensor.device}", hint="return tensor.cpu()")
    if tensor.layout is not torch.strided or tensor.is_quantized:
        what = "quantized" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
        raise CannotEncode(f"a {what} tensor has no form here", hint="return tensor.to_dense() or .dequantize()")
    if tensor.requires_grad and not tensor.is_leaf:
        raise CannotEncode("a tensor that remembers how it was computed", hint="return tensor.detach()")


def _tensor(encoder: Encoder, tensor: torch.Tensor) -> Any:
    _check(tensor)
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    flat = plain.reshape(-1).view(torch.uint8) if plain.numel() else torch.empty(0, dtype=torch.uint8)
    state: list[Any] = [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), tensor.requires_grad]
    return [*state, *buffer(encoder, flat.numpy())]


def _named(name: Any) -> Any:
    found = getattr(torch, name, None) if isinstance(name, str) else None
    if not isinstance(found, torch.dtype):
        raise CannotDecode(f"torch has no dtype {name!r}", hint="upgrade torch")
    return found


def _read_tensor(_: Decoder, state: Any) -> torch.Tensor:
    name, shape, grad, data = state[:4]
    dtype = _named(name)
    made = torch.frombuffer(bytearray(data), dtype=dtype) if len(data) else torch.empty(0, dtype=dtype)
    made = made.reshape(shape)
    return made.requires_grad_() if grad else made


def _parameter(encoder: Encoder, parameter: torch.nn.Parameter) -> Any:
    return [parameter.detach(), parameter.requires_grad]


def _read_parameter(_: Decoder, state: Any) -> torch.nn.Parameter:
    return torch.nn.Parameter(state[0], requires_grad=state[1])


PARTS[torch.Tensor] = PARTS[torch.nn.Parameter] = lambda tensor: ()
register(torch.Tensor, "torch.Tensor", _tensor, _read_tensor)
register(torch.nn.Parameter, "torch.nn.Parameter", _parameter, _read_parameter)
register(torch.Size, "torch.Size", lambda _, size: list(size), lambda _, state: torch.Size(state))
register(torch.dtype, "torch.dtype", lambda _, dtype: str(dtype).removeprefix("torch."), lambda _, state: _named(state))
register(torch.device, "torch.device", lambda _, device: str(device), lambda _, state: torch.device(state))
