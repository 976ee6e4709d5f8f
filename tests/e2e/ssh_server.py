"""A real `sshd` on loopback, with keys and configuration of its own, and a client that is told of it."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.servers.ports import free_port

#: Where `redun` is, over there.
_BIN: Final = Path(sys.executable).parent
#: A port where nobody listens.
_CLOSED: Final = 1
_SERVER: Final = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
SetEnv PATH={path}:/usr/local/bin:/usr/bin:/bin
"""
_CLIENT: Final = """\
Host *
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentitiesOnly yes
    BatchMode yes
    StrictHostKeyChecking yes
    UserKnownHostsFile {folder}/known
    ConnectTimeout 10
Host there
    IdentityFile {folder}/there
Host greeting
    IdentityFile {folder}/greeting
Host bare
    IdentityFile {folder}/bare
Host stranger
    IdentityFile {folder}/stranger
"""
#: What is run for a key, in the place of what was asked for.
_COMMANDS: Final = {
    "there": "",
    "greeting": 'command="echo Welcome to this machine; echo It is used by many.; eval \\"$SSH_ORIGINAL_COMMAND\\"" ',
    "bare": 'command="PATH=/nowhere; eval \\"$SSH_ORIGINAL_COMMAND\\"" ',
}


def why_not() -> str:
    """Returns why there can be no server here, empty if there can."""
    if _sshd() is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "no sshd is installed"
    return "" if os.geteuid() == 0 else "sshd wants to be started by root"


def _sshd() -> str | None:
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin")


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, str]]:
    """Runs the server; gives the environment in which `redun` reaches it.

    Its hosts are: `there`; `greeting`, whose shell says something first; `bare`, where nothing is installed;
    `stranger`, for a key that it does not know; `nobody`, where nobody listens.
    """
    port = free_port()
    for name in ("host", *_COMMANDS, "stranger"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True
        )
    keys = [command + (folder / f"{name}.pub").read_text() for name, command in _COMMANDS.items()]
    (folder / "authorized").write_text("".join(keys))
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "server").write_text(_SERVER.format(port=port, folder=folder, path=_BIN))
    client = f"Host nobody\n    Port {_CLOSED}\n" + _CLIENT.format(port=port, folder=folder, user=getpass.getuser())
    (folder / "client").write_text(client)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd asks for it; Debian's service makes it
    words = [_sshd() or "sshd", "-D", "-e", "-f", str(folder / "server")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "Server listening" in line:
            break
    else:
        raise RuntimeError(f"sshd does not start: {''.join(said)}")
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    try:
        yield {"REDUN_SSH": f"ssh -F {folder}/client"}
    finally:
        process.terminate()
        process.wait()
        with suppress(OSError):
            drain.join()
            process.stderr.close()
