"""Tensors of torch come back as they were. Skipped where torch is not installed: it is large."""

from __future__ import annotations

from typing import Any

import pytest

from redun.core.errors import CannotEncode
from tests.core.round_trips import line, payload, round_trip

torch: Any = pytest.importorskip("torch")

TENSORS: list[Any] = [
    torch.arange(6).reshape(2, 3),
    torch.arange(6).reshape(2, 3).T,
    torch.tensor(1.5),
    torch.zeros(0, 3),
    torch.tensor([1.5], dtype=torch.bfloat16),
    torch.tensor([True]),
    torch.tensor([1 + 2j]).conj(),
    torch.ones(2, requires_grad=True),
    torch.nn.Parameter(torch.ones(2)),
    torch.arange(1_000_000),
]


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: f"{tensor.dtype} {tuple(tensor.shape)}")
def test_tensors_come_back_as_they_were(tensor: Any):
    decoded = round_trip(tensor)
    assert (type(decoded), decoded.dtype, decoded.shape) == (type(tensor), tensor.dtype, tensor.shape)
    assert decoded.requires_grad == tensor.requires_grad
    assert torch.equal(decoded.to(torch.complex64), tensor.to(torch.complex64))


def test_strides_are_no_part_of_a_value():
    tensor = torch.arange(6).reshape(2, 3)
    assert payload(tensor.T.contiguous().T) == payload(tensor)
    assert payload(tensor.T) != payload(tensor)


def test_a_tensor_that_was_read_may_be_changed():
    decoded = round_trip(torch.zeros(2))
    decoded += 1
    assert decoded.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("value", [torch.Size([1, 2]), torch.float32, torch.device("cpu")], ids=repr)
def test_types_come_back(value: Any):
    assert (round_trip(value), type(round_trip(value))) == (value, type(value))


def test_modules_come_back_and_compute_the_same():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    given = torch.ones(1, 2)
    assert torch.equal(round_trip(module)(given), module(given))
    state = round_trip(module.state_dict())
    assert list(state) == list(module.state_dict())


@pytest.mark.parametrize(
    ("tensor", "hint"),
    [
        (torch.ones(2, requires_grad=True) * 2, "tensor.detach()"),
        (torch.eye(2).to_sparse(), "tensor.to_dense()"),
        (torch.zeros(1, device="meta"), "tensor.cpu()"),
        (torch.Generator(), "give the seed"),
    ],
    ids=["computed", "sparse", "elsewhere", "generator"],
)
def test_what_has_no_form_says_what_has(tensor: Any, hint: str):
    with pytest.raises(CannotEncode) as caught:
        payload({"t": tensor})
    assert hint in caught.value.hint
    assert caught.value.path == "value['t']"


def test_a_tensor_is_shown_by_its_shape_and_first_numbers():
    assert (
        line(torch.zeros(300, 400))
        == "tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ...], ...], shape=(300, 400), dtype=float32)"
    )
