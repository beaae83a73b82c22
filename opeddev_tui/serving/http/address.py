"""The address and the token of the service: what it may listen on, and what it asks of clients.

The token is a secret: it comes from the environment or a private file and appears nowhere.
"""

import errno
import ipaddress
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from opeddev_tui.config.private_files import own_folder, private_text
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import reason_of

VARIABLE = "OPEDDEV_SERVE_TOKEN"
FILE_NAME = "serve_token"
_FEWEST_CHARS = 16
# connections that the kernel holds before they are taken
_BACKLOG = 128


def token_file() -> Path:
    """Return the private file that may hold the token (``~/.config/opeddev-tui/serve_token``)."""
    return own_folder() / FILE_NAME


def read_token(environment: Mapping[str, str] | None = None) -> str | None:
    """Return the token of the environment, else that of the private file, None without one.

    Raises ``SettingsProblem`` for a file that others could read, and for a token that is no secret.
    """
    named = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    where = VARIABLE if named else str(token_file())
    token = named or private_text(token_file(), "the service's token").strip()
    if not token:
        return None
    if len(token) < _FEWEST_CHARS or not token.isascii() or any(char.isspace() for char in token):
        raise SettingsProblem(
            f"the token must have at least {_FEWEST_CHARS} letters and digits, in one line.",
            where=where,
            cure='Make one: python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return token


def listening(host: str, port: int, token: str | None) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port``.

    Raises ``SettingsProblem``: the port is taken, there is no such address, or it is not this machine's own and there
    is no token.
    """
    where = f"serve.host {host}, serve.port {port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, socket.gaierror) else "it is no name of a host"
        raise SettingsProblem(f"{host} is no address: {words}.", where="serve.host") from None
    if token is None and not is_loopback(str(address[0])):
        raise SettingsProblem(
            f"others could reach the service at {host}, and it has no token.",
            where="serve.host",
            cure=f"Set {VARIABLE} or write a token into {token_file()} (chmod 600), or listen on 127.0.0.1.",
        )
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(_BACKLOG)
    except OSError as error:
        taken.close()
        cures = {
            errno.EADDRINUSE: "Choose another one: --port 0 takes a free port.",
            errno.EACCES: "Ports below 1024 are for root: choose another one.",
            errno.EADDRNOTAVAIL: "This machine has no such address: choose another --host.",
        }
        raise SettingsProblem(
            f"cannot listen there: {reason_of(error)}.", where=where, cure=cures.get(error.errno or 0, "")
        ) from None
    return taken


def is_loopback(address: str) -> bool:
    """Return whether only this machine can connect to ``address``."""
    try:
        # an address of a link has a zone behind a percent sign
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def url_of(listener: socket.socket) -> str:
    """Return the address of the service as a client writes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
