from __future__ import annotations

import errno
from pathlib import Path

import pytest

from redun.core.errors import StoreError, StoreFailing, StoreFull, StoreReadOnly
from redun.store import Store, filesystem
from redun.store.filesystem import filesystem_type, is_network_type, translated, write_whole

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 0:41 / /home/ann/my\\040disk rw shared:4 master:1 - xfs /dev/sdb rw
32 22 0:42 / /work rw - ext4 /dev/sdc rw
33 22 0:43 / /work rw - fuse.sshfs me@there: rw
not a line
"""


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "ext4"),
        ("/homes/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/ann/project", "nfs4"),
        ("/home/ann/my disk/project", "xfs"),
        ("/work/project", "fuse.sshfs"),
    ],
)
def test_the_innermost_and_last_mount_counts(path: str, name: str) -> None:
    assert filesystem_type(path, TABLE) == name


def test_a_table_that_says_nothing_gives_nothing() -> None:
    assert filesystem_type("/x", "") == ""


@pytest.mark.parametrize("name", ["nfs", "nfs4", "cifs", "smb3", "9p", "lustre", "ceph", "fuse.sshfs", "fuse.s3fs"])
def test_network_types_are_known(name: str) -> None:
    assert is_network_type(name)


@pytest.mark.parametrize("name", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuse.ntfs-3g", "fuse", ""])
def test_local_types_are_not_refused(name: str) -> None:
    assert not is_network_type(name)


def test_a_store_on_a_network_file_system_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"{TABLE}40 22 0:50 / {tmp_path / 'net'} rw - nfs4 server:/x rw\n")
    (tmp_path / "net").mkdir()
    Store.init(tmp_path / "net" / "old").close()
    monkeypatch.setattr(filesystem, "_MOUNTINFO", str(table))
    for use in (Store.init, Store.open):
        with pytest.raises(StoreError, match=r"nfs4.*redun init --at"):
            use(tmp_path / "net" / "old")
    Store.init(tmp_path / "local").close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EACCES, StoreReadOnly),
        (errno.EROFS, StoreReadOnly),
        (errno.EIO, StoreFailing),
    ],
)
def test_errors_of_the_system_become_ours(tmp_path: Path, code: int, kind: type[StoreError]) -> None:
    with pytest.raises(kind) as caught, translated(tmp_path):
        raise OSError(code, "no")
    assert type(caught.value) is kind
    assert caught.value.path == str(tmp_path)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "f", "one\n")
    write_whole(tmp_path / "f", "two\n")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("f", "two\n")]
