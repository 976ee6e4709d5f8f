"""Pairs of different byte strings with one xxh3-128 digest, made by algebra: nothing is searched for.

XXH3 (xxHash's specification; no seed, so its fixed secret) reads words of 8 bytes, little-endian, xors each with a word
of the secret, and multiplies. A factor of zero ends the influence of the other one. That leaves two ways:

up to 240 bytes: a lane of 16 bytes (a, b) adds fold((a ^ s) * (b ^ t)) to one half of the state and xors a + b into the
    other. (s, b) and (s + b - t, t) both make a product of zero, and have one sum.
above: a word d adds low32(d ^ s) * high32(d ^ s) to one accumulator and d itself to another. Where the low half of d
    is that of s the product is zero: of two such words that meet the same accumulators, one may give to the other what
    it likes, as long as their sum stays.

The pairs are whole frames, so that the ordinary ways into a store meet them.
"""

from __future__ import annotations

from typing import Final

from redun.core.codec import pack
from redun.core.frame import header

_SECRET: Final = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6"
    "813a264c3c2852bb91c300cb88d0658b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c8"
    "9f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95"
    "160428afd7fbcabb4b407e"
)
_WORD: Final = 1 << 64
_HALF: Final = 1 << 32
_STRIPE: Final = 64
_LANE: Final = 16
#: Lengths up to which a message is hashed lane by lane, and with which part of the secret.
_SHORT: Final = 128
_MIDDLE: Final = 240
#: Where a message of up to 240 bytes has a lane that is read once, whatever its length.
_MIDDLE_LANE: Final = 32


def _secret(at: int) -> int:
    return int.from_bytes(_SECRET[at : at + 8], "little")


def _words(*words: int) -> bytes:
    return b"".join((word % _WORD).to_bytes(8, "little") for word in words)


def with_lane(message: bytes, at: int, lane: bytes) -> bytes:
    """Returns the message with bytes replaced from a position on."""
    return message[:at] + lane + message[at + len(lane) :]


def lanes(at: int, free: int = 1 << 40) -> tuple[bytes, bytes]:
    """Returns two lanes of 16 bytes that do the same to a state that meets them with the secret from `at` on.

    Args:
        free: the word that the first one has for itself; the pair is different for each.
    """
    first, second = _secret(at), _secret(at + 8)
    return _words(first, free), _words(first + free - second, second)


def pair(message: bytes, start: int, free: int = 1 << 40) -> tuple[bytes, bytes]:
    """Returns two messages of one digest that differ from `message`, and from each other, from `start` on only.

    Up to 240 bytes each `free` gives a pair of another digest; above, all pairs made from one message have one digest.

    Raises:
        ValueError: where a message of that length has no room for it.
    """
    size = len(message)
    if size > _MIDDLE:
        return _long_pair(message, start, free)
    at, secret = (size - _LANE, _LANE) if size <= _SHORT else (_MIDDLE_LANE, _MIDDLE_LANE)
    # the last lane may share bytes with another one where a message is hardly longer than a multiple of lanes
    if at < start or size < 2 * _LANE or 2 * _LANE < size < 3 * _LANE:
        raise ValueError(f"no room in {size} bytes from {start} on")
    one, two = lanes(secret, free)
    return with_lane(message, at, one), with_lane(message, at, two)


def _long_pair(message: bytes, start: int, free: int) -> tuple[bytes, bytes]:
    # Stripes of 64 bytes, 16 of them to a block. Word 0 of stripe n meets the secret at 8 * n. The last 64 bytes are
    # read once more, so both words lie before them: in stripes n and n + 1 of one block.
    first = -(-start // _STRIPE)
    first += first % 16 == 15
    at = first * _STRIPE
    if at + 2 * _STRIPE > len(message) - _STRIPE:
        raise ValueError(f"no room in {len(message)} bytes from {start} on")
    low = [_secret(8 * (n % 16)) % _HALF for n in (first, first + 1)]
    made = []
    for high in (free % _HALF, (free + 1) % _HALF):
        other = (_HALF - 1 - high) % _HALF
        whole = with_lane(message, at, _words(low[0] + high * _HALF))
        made.append(with_lane(whole, at + _STRIPE, _words(low[1] + other * _HALF)))
    return made[0], made[1]


def frames(kind: str, head: bytes, size: int, free: int = 1 << 40) -> tuple[bytes, bytes]:
    """Returns two payloads of `size` bytes after `head`, whose frames have one digest."""
    start = len(header(kind, len(head) + size)) + len(head)
    message = (
        header(kind, len(head) + size) + head + bytes(i * 7 % 251 for i in range(min(size, 4096))).ljust(size, b"x")
    )
    one, two = pair(message, start, free)
    skipped = start - len(head)
    return one[skipped:], two[skipped:]


def values(size: int, free: int = 1 << 40) -> tuple[bytes, bytes]:
    """Returns two different `bytes` of that size that are one `value` object by their id.

    Raises:
        ValueError: where that leaves no room: under 37 (but 21 has), and from 229 to 243.
    """
    head = pack(bytes(size))[:-size]
    one, two = frames("value", head, size, free)
    return one[len(head) :], two[len(head) :]


def blobs(size: int, free: int = 1 << 40) -> tuple[bytes, bytes]:
    """Returns two different `bytes` of that size that are one `blob` by their id."""
    return frames("blob", b"", size, free)


# -- values with an id of one's choice: for keys, which are made of ids ---------------------------------------------

_P1, _P2, _P4 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x85EBCA77C2B2AE63
_MIX: Final = 0x165667919E3779F9
#: Content of a value whose frame is four lanes: the first one holds the header, the others are free.
_CHOSEN_SIZE: Final = 53


def _fold(lane: bytes, at: int) -> int:
    first, second = (int.from_bytes(lane[i : i + 8], "little") ^ _secret(at + i) for i in (0, 8))
    product = first * second
    return (product ^ product >> 64) % _WORD


def _sum(lane: bytes) -> int:
    return int.from_bytes(lane[:8], "little") + int.from_bytes(lane[8:], "little")


def _unmixed(number: int) -> int:
    number ^= number >> 32
    number = number * pow(_MIX, -1, _WORD) % _WORD
    return number ^ number >> 37


def value_of_id(digest: bytes) -> bytes | None:
    """Returns `bytes` that make the value of that id; None for the three quarters of all ids that this way misses."""
    high, low = (int.from_bytes(half, "big") for half in (digest[:8], digest[8:]))
    total, weighted = _unmixed(low), _unmixed(-high % _WORD) - 4 * _LANE * _P2
    wanted = (weighted - total * _P4) % _WORD
    if wanted % 4:
        return None
    lo = wanted // 4 * pow((_P1 - _P4) // 4, -1, _WORD) % _WORD
    hi = (total - lo) % _WORD
    content = bytes(range(_CHOSEN_SIZE))
    message = header("value", _CHOSEN_SIZE + 2) + pack(content)
    first, third = message[:_LANE], message[2 * _LANE : 3 * _LANE]
    state = ((4 * _LANE * _P1) ^ _sum(third)) % _WORD
    state = (state + _fold(first, 0)) % _WORD
    second = _words(_secret(32), (_fold(third, 48) ^ hi ^ _sum(first) % _WORD) - _secret(32))
    last = _words(_secret(16), (state ^ lo) - _secret(16))
    return (first + second + third + last)[-_CHOSEN_SIZE:]


def values_of_one_key() -> tuple[bytes, bytes]:
    """Returns two values of different ids that give one cache key, as the second of two arguments of any task."""
    for free in range(1 << 40, 1 << 41):
        one, two = map(value_of_id, lanes(_LANE, free))
        if one is not None and two is not None:
            return one, two
    raise AssertionError("a sixteenth of all pairs serves")
