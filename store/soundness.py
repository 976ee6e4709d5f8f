"""Whether a data file can be trusted to be mapped, or must be verified first.

LMDB 0.9 has no checksums, and some damage kills the process inside it. Damage comes from a machine that went down, or
from copying the file. So the store notes which file it was (its inode), in which boot of the machine it was last
used, and the last transaction that was synced to the disk. A file that is the same one, in the same boot or at that
same transaction, is trusted: a process that died leaves its pages with the kernel. Others are verified, page by page.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from redun.core.errors import StoreDamaged
from redun.store import meta_pages
from redun.store.filesystem import new_name
from redun.store.machine import boot_id

_RECORD: Final = "synced"


def last_transaction(directory: Path) -> int:
    """Returns the number of a data file's last transaction, without mapping it; -1 if it cannot be one."""
    return meta_pages.newest(directory)[0]


def _is_trusted(directory: Path) -> bool:
    try:
        boot, inode, transaction = (directory / _RECORD).read_text(encoding="utf-8").split()
        last, needed = meta_pages.newest(directory)
        status = os.stat(directory / "data.mdb")  # after it: others may make the file grow
        # A page of the map that lies past the end of the file is SIGBUS. A sound file may be short of pages that were
        # allocated and never used: to verify it once more does no harm.
        same_file = int(inode) == status.st_ino and status.st_size >= needed
        return same_file and (boot == boot_id() or int(transaction) == last)
    except (OSError, ValueError):
        return False


def verify(directory: Path) -> list[str]:
    """Returns what is wrong with the structure of a data file, without mapping it. Ten seconds a gigabyte.

    What is found while another process writes to the file means nothing.
    """
    # Late: 1,000 lines that nearly no open needs.
    from lmdb import verify as verifier

    try:
        problems: list[str] = verifier.verify(str(directory))  # type: ignore[no-untyped-call]
    except (OSError, verifier.VerifyError) as error:
        problems = [str(error)]
    return problems


def check(directory: Path) -> None:
    """Verifies the data file of a store unless it can be trusted. A file of a gigabyte takes about ten seconds.

    Raises:
        StoreDamaged: if it is damaged.
    """
    if _is_trusted(directory):
        return
    problems = verify(directory)
    # Another process may have verified it in the meantime, and have written since: what was seen then means nothing.
    if problems and not _is_trusted(directory):
        raise StoreDamaged(
            f"data.mdb in {directory} is damaged: {problems[0]}"
            + (f", and {len(problems) - 1} more problems" if len(problems) > 1 else ""),
            path=str(directory),
            hint="redun fsck",
        )


def record(directory: Path, transaction: int) -> None:
    """Notes that the data file is sound up to a transaction: after `check`, and after a sync.

    A record that cannot be written costs a verification later, and nothing else.
    """
    with contextlib.suppress(OSError):
        text = f"{boot_id() or '-'} {os.stat(directory / 'data.mdb').st_ino} {transaction}\n"
        # Whole at every moment: who opens the store while others do would find half a record, verify a file that is
        # being written, and call it damaged.
        path = new_name(directory / "incoming", f"{_RECORD}-")
        try:
            path.write_text(text, encoding="utf-8")
            os.replace(path, directory / _RECORD)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
