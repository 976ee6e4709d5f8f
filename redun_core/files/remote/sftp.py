"""Files over ssh: fsspec's filesystem, with the hosts, keys and settings that `ssh` itself would take."""

from __future__ import annotations

import functools
import os
from typing import Any, Final

_CONFIG: Final = "~/.ssh/config"
_HINT: Final = (
    'connect once with ssh, which asks; or say host_key_policy = "auto_add" in [files.sftp] to trust whoever answers'
)


@functools.cache
def sftp_class() -> Any:
    """Returns the class of the filesystem.

    Raises:
        ImportError: if paramiko is not installed.
    """
    import paramiko
    from fsspec.implementations.sftp import SFTPFileSystem

    class KnownHosts(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # no types
        """Refuses hosts that nobody has vouched for."""

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            raise paramiko.AuthenticationException(f"the host {hostname} is not among the known hosts: {_HINT}")

    class Sftp(SFTPFileSystem):  # type: ignore[misc]  # no types
        """Looks at `~/.ssh/config` and at the known hosts before it says anything to anybody."""

        protocol = ("sftp", "ssh")

        def __init__(self, host: str, host_key_policy: str = "", **options: Any) -> None:
            self._policy = host_key_policy
            super().__init__(host, **options)

        def _connect(self) -> None:
            options = {**_configured(self.host, paramiko), **self.ssh_kwargs}
            host = options.pop("hostname", self.host)
            self.client = paramiko.SSHClient()
            self.client.load_system_host_keys()
            trusts = {"auto_add": paramiko.AutoAddPolicy, "warning": paramiko.WarningPolicy}
            self.client.set_missing_host_key_policy(trusts.get(self._policy, KnownHosts)())
            self.client.connect(host, **options)
            self.ftp = self.client.open_sftp()

        def put_file(self, lpath: str, rpath: str, callback: Any = None, **_: Any) -> None:
            told = None if callback is None else lambda sent, size: callback.absolute_update(sent)
            self.ftp.put(lpath, rpath, callback=told)  # where there is no such directory, nobody looks for it first

    return Sftp


def _configured(host: str, paramiko: Any) -> dict[str, Any]:
    """What `~/.ssh/config` says of a host."""
    path = os.path.expanduser(_CONFIG)
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8") as stream:
        config = paramiko.SSHConfig.from_file(stream)
    said = config.lookup(host)
    found: dict[str, Any] = {"hostname": said.get("hostname", host)}
    if "user" in said:
        found["username"] = said["user"]
    if "port" in said:
        found["port"] = int(said["port"])
    if "identityfile" in said:
        found["key_filename"] = said["identityfile"]
    if "proxycommand" in said:
        found["sock"] = paramiko.ProxyCommand(said["proxycommand"])
    return found
