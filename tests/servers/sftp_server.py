"""A real SFTP server in a process of its own: prints its port, serves a directory, ends with its standard input."""

from __future__ import annotations

import asyncio
import sys

import asyncssh


class _Access(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("ada", "open sesame")


class _Below(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel, chroot=sys.argv[1])


async def _serve() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        _Access, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=_Below, allow_scp=False
    )
    sys.stdout.write(f"{server.get_port()} {key.export_public_key().decode().strip()}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(_serve())
