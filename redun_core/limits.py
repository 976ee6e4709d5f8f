"""All limits of the format and of the store, each with its reason.

Those marked *format* decide ids: changing one is a new object format.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

#: format. A leaf (bytes, text, array) above this is a `blob` object of its own, so that it can be mapped and streamed.
LEAF_BYTES: Final = 1 * MIB
#: format. A child of a container above this is an object of its own, so that equal children are stored once.
CHILD_BYTES: Final = 64 * KIB
#: format. A container whose own payload is above this becomes a `tree` of segments.
CONTAINER_BYTES: Final = 1 * MIB
#: format. Items of one segment before it is halved to fit CONTAINER_BYTES.
SEGMENT_ITEMS: Final = 4096
#: format. Pointers in one node of a `tree`; a call with more arguments than this keeps them in a tree.
TREE_FANOUT: Final = 1024
#: format. Rows in one page of jobs: small enough to rewrite at a seal, large enough that a million jobs is 2,000 pages.
PAGE_ROWS: Final = 512

#: Containers inside containers. msgpack's packer in C stops at 511; Python's own stack is not much deeper.
VALUE_DEPTH: Final = 500
#: A payload above this lies in a file of its own, whatever its kind: LMDB would hunt for long runs of free pages.
INLINE_BYTES: Final = 1 * MIB
#: A payload below this is not compressed: it shares a page with others, and the frame's own bytes weigh in.
COMPRESSED_BYTES: Final = 512
#: No stored object is read into memory above this without being asked for as a stream.
OBJECT_BYTES: Final = 4 * 1024 * MIB

#: Job rows gathered before a commit, and the longest that a finished job waits for one (seconds).
COMMIT_ROWS: Final = 2000
COMMIT_SECONDS: Final = 0.05

#: Calls remembered for one key (contexts, older code).
MEMO_CALLS: Final = 4
#: Shortest prefix of an id that the command line takes.
PREFIX_CHARS: Final = 4
#: Keys read in one transaction of a long scan: a reader that stays open makes the file grow.
SCAN_KEYS: Final = 10_000
#: Objects that one transaction of gc moves. Sorted batches of this size leave a file that does not grow; one large
#: transaction made it grow by half.
SWEEP_ROWS: Final = 5_000
#: First size of the memory map, and the largest it is grown to. The map is address space, not disk.
MAP_BYTES: Final = 64 * MIB
MAP_BYTES_MAX: Final = 16 * 1024 * 1024 * MIB
#: Files of an earlier result of which a job's row tells that they were not as the result has them.
STALE_NAMED: Final = 16
#: Inner jobs of a whole replay that are printed one by one.
PRINTED_INNER_JOBS: Final = 1000
