"""Send an exported folder to a repository of the Hugging Face Hub, in one commit, and make sure that it arrived.

With trackers that a person switches on, this is the only way by which anything leaves the machine. The token comes from
the environment and is never written, printed or kept. Must not delete anything on the hub.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.errors import HubProblem, SettingsProblem
from opeddev_tui.text import clean_line

TOKEN = "HF_TOKEN"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
# names of packages whose errors say that the hub was not reached, or that a connection broke
_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "socket", "ssl")


class Pushed(Struct, frozen=True):
    """What has arrived: the repository's address, the commit, and names of files that were there before and stay."""

    address: str
    commit: str
    private: bool
    others: tuple[str, ...]


class Leaving(Struct, frozen=True):
    """A file that would leave the machine, with its size in bytes."""

    name: str
    size: int


def leaving(folder: Path) -> list[Leaving]:
    """Return the files of ``folder``, by name."""
    return [Leaving(path.name, path.stat().st_size) for path in sorted(folder.iterdir()) if path.is_file()]


def require_name(repository: str) -> None:
    """Raise ``SettingsProblem`` where ``repository`` cannot be a name on the hub."""
    wrong = ".." in repository or "--" in repository or repository.endswith((".git", "-", "."))
    if wrong or not _NAME.fullmatch(repository):
        raise SettingsProblem(
            f"{clean_line(repository, max_chars=80)!r} is no name of a repository.",
            where="push",
            cure="Write OWNER/NAME, such as someone/webdev-grader: letters, digits, '-', '_' and '.'.",
        )


def token_of(environment: Mapping[str, str]) -> str:
    """Return the token; raises ``SettingsProblem`` where the environment has none, or forbids the network."""
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        raise SettingsProblem(
            "the environment forbids the network, so nothing can be sent.",
            where="HF_HUB_OFFLINE",
            cure="Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE.",
        )
    token = environment.get(TOKEN, "").strip()
    if not token:
        raise SettingsProblem(
            "there is no token for the hub.",
            where=TOKEN,
            cure=f"Make one with write access at huggingface.co/settings/tokens, and export {TOKEN}=… in this shell.",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsProblem("is no token.", where=TOKEN, cure="Copy the token again, without anything around it.")
    return token


def push(folder: Path, repository: str, *, public: bool, message: str, environment: Mapping[str, str]) -> Pushed:
    """Send every file of ``folder`` to ``repository``, which is made if it is missing, and return what arrived.

    An existing public repository is refused unless ``public``. Raises ``HubProblem`` with what the hub has by then,
    and ``SettingsProblem`` for a name or token that cannot be used.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    require_name(repository)
    api = HfApi(endpoint=environment.get("HF_ENDPOINT") or None, token=token_of(environment))
    existing = _existing(api, repository)
    if existing is not None and not existing.private and not public:
        raise HubProblem(
            "the repository is public. Nothing was sent.",
            where=repository,
            cure="Add --public to send it there all the same, or choose another name.",
        )
    if existing is None:
        with _hub_errors(repository, "Nothing was sent."):
            api.create_repo(repository, private=not public)
    was = "The repository is as it was before" if existing is not None else "The repository is made and still empty"
    names = [item.name for item in leaving(folder)]
    files = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in names]
    with _hub_errors(repository, f"{was}: the files go there in one commit, which was not made.", committing=True):
        done = api.create_commit(repository, operations=files, commit_message=message)
    return _arrived(api, repository, done.oid, names)


def _existing(api: Any, repository: str) -> Any | None:
    """Return what the hub says of ``repository``, None where it has none of that name."""
    from huggingface_hub.errors import HfHubHTTPError

    with _hub_errors(repository, "Nothing was sent."):
        try:
            return api.model_info(repository)
        except HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise
            return None


def _arrived(api: Any, repository: str, commit: str, names: Sequence[str]) -> Pushed:
    """Return what the hub has at ``commit``; raises ``HubProblem`` where a file is missing there."""
    with _hub_errors(repository, f"The commit {commit[:12]} was made; what is in it could not be looked at."):
        found = api.model_info(repository, revision=commit)
    there = {item.rfilename for item in found.siblings or []}
    missing = [name for name in names if name not in there]
    if missing:
        raise HubProblem(
            f"the commit {commit[:12]} lacks {', '.join(missing)}: the repository's .gitignore may leave them out.",
            where=repository,
            cure="Take those names out of its .gitignore and push again.",
        )
    # what the hub adds by itself is no news
    others = sorted(there - set(names) - {".gitattributes"})
    return Pushed(f"{api.endpoint}/{repository}", commit, bool(found.private), tuple(others))


@contextmanager
def _hub_errors(repository: str, state: str, *, committing: bool = False) -> Iterator[None]:
    """Raise what goes wrong on the way as a ``HubProblem`` that ends with ``state``: what the hub has by then."""
    try:
        yield
    except HubProblem:
        raise
    except Exception as error:
        chain = list(_chain(error))
        answered = next((item for item in chain if getattr(item, "response", None) is not None), None)
        if answered is not None:
            raise _refused(repository, answered, state) from error
        if any(type(item).__module__.partition(".")[0] in _NETWORK or isinstance(item, OSError) for item in chain):
            doubt = " If the connection broke at the very end, the commit may be there: look at the repository."
            raise HubProblem(
                f"the connection to the hub failed ({_reason(chain[-1])}). {state}{doubt if committing else ''}",
                where=repository,
                cure="Check the network and push again: files that arrived are not sent twice.",
            ) from error
        if isinstance(error, ValueError | RuntimeError):
            raise HubProblem(f"the hub's answer cannot be used: {_reason(error)}. {state}", where=repository) from error
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return clean_line(first, max_chars=160).rstrip(".")


def _refused(repository: str, error: Any, state: str) -> HubProblem:
    """Return the problem of an answer with an error code."""
    code = int(error.response.status_code)
    owner = repository.partition("/")[0]
    said = clean_line(str(getattr(error, "server_message", "") or ""), max_chars=160).rstrip(".")
    words, cure = {
        401: ("the hub does not accept the token", f"Make a new one with write access and set {TOKEN}."),
        403: (f"the token may not write to {owner}", f"Use a token with write access to {owner}, or another owner."),
        404: ("the hub does not have it, or the token may not see it", "Check the name and the token's rights."),
        409: ("somebody else changed or made the repository just now", "Push again."),
        413: ("a file is larger than the hub takes", "Export in bf16, or push the adapter alone."),
        429: ("the hub is asked too often", "Wait some minutes and push again."),
    }.get(code, (f"the hub answers with an error ({code})", "Try again later; status.huggingface.co knows more."))
    return HubProblem(f"{words}{f' ({said})' if said else ''}. {state}", where=repository, cure=cure)


def push_environment() -> Mapping[str, str]:
    """Return the environment that ``push`` reads the token and the hub's address from."""
    return os.environ
