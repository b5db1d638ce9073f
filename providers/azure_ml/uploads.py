"""Training files: into the workspace's own blob store, and out of it when they have served.

A job's files lie in a folder with the job's name, each with a digest of its content: what an interrupted upload left is
found again.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, quote

import structlog

from providers._azure import identity
from providers._openai_api import answers
from providers._openai_api.errors import Vendor
from providers.azure_ml.workspace import NAME, Clock, Workspace
from providers.errors import InvalidRequest, NotAllowed, ProviderError, Unavailable

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

log = structlog.get_logger()

STORE = "workspaceblobstore"
"""The datastore that every workspace has."""
FOLDER = "finetune-bot"
NAMES = ("train.jsonl", "validation.jsonl")
ROLE = "Storage Blob Data Contributor"
"""What our app needs on the storage account where the workspace gives out no keys to it."""
MIB = 1024 * 1024

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_ENDPOINT = re.compile(r"core\.(windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)|z\d{1,3}\.storage\.azure\.net")
"""Where Azure's blob stores are: nobody else gets a key or a token of ours."""
_CONTAINER = re.compile(r"[a-z0-9$-]{3,63}")
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Store:
    """Where the blobs are, and the ways to be let in, the first to be tried first."""

    url: str
    container: str
    ways: Sequence[Any]
    vendor: Vendor


class Uploads:
    """A workspace's training files. Safe in threads."""

    def __init__(self, workspace: Workspace) -> None:
        """`workspace` knows where they are."""
        self._workspace = workspace

    def put(self, job_name: str, name: str, path: Path) -> str:
        """Upload a file unless it is there. Its address, as jobs want it. Raises ProviderErrors."""
        if not path.is_file():
            raise InvalidRequest("The training file is not there any more. Attach the dataset again.")
        store = self._store()
        digest = _digest(path)
        blob_name = f"{FOLDER}/{job_name}/{name}"

        def upload(container: "ContainerClient") -> None:
            from azure.core.exceptions import ResourceNotFoundError

            blob = container.get_blob_client(blob_name)
            with suppress(ResourceNotFoundError):
                if (blob.get_blob_properties().metadata or {}).get("sha256") == digest:
                    return
            with path.open("rb") as file:
                blob.upload_blob(file, length=path.stat().st_size, overwrite=True, metadata={"sha256": digest})

        self._in(store, upload)
        ids = self._workspace
        return (
            f"azureml://subscriptions/{ids.subscription}/resourcegroups/{ids.group}/workspaces/{ids.name}"
            f"/datastores/{STORE}/paths/{blob_name}"
        )

    def discard(self, job_name: str, clock: Clock) -> None:
        """Delete a job's files, if there is time; that it did not work is noted only."""
        try:
            store = self._store(clock)
            for name in NAMES:
                self._in(store, partial(_delete, name=f"{FOLDER}/{job_name}/{name}", clock=clock))
        except ProviderError as error:
            log.warning("training_files_not_deleted", job_id=job_name, error=type(error).__name__, detail=error.detail)

    def _store(self, clock: Clock | None = None) -> _Store:
        path = f"/datastores/{STORE}"
        found = answers.inside(self._workspace.get(path, thing="datastore", clock=clock), "properties")
        account, container = answers.text(found, "accountName"), answers.text(found, "containerName")
        endpoint = answers.text(found, "endpoint") or "core.windows.net"
        if answers.text(found, "datastoreType") not in {"AzureBlob", ""}:
            raise InvalidRequest(f"The workspace's own store is no blob store, so {NAME} cannot be given files there.")
        if not (_ACCOUNT.fullmatch(account) and _ENDPOINT.fullmatch(endpoint) and _CONTAINER.fullmatch(container)):
            raise Unavailable(f"{NAME} does not say where the workspace's own store is. Try again.")
        try:
            body = {"expirableSecret": True}
            secrets = self._workspace.post(f"{path}/listSecrets", body, thing="datastore", clock=clock)
        except (NotAllowed, InvalidRequest):  # a store that goes by identities has none
            secrets = {}
        given = answers.text(secrets, "sasToken") or answers.text(secrets, "key")
        signatures = [value for name, value in parse_qsl(given) if name == "sig"]
        hidden = (*self._workspace.vendor.secrets, given, *signatures, *(quote(one, safe="") for one in signatures))
        return _Store(
            url=f"https://{account}.blob.{endpoint}",
            container=container,
            ways=(*([given] if given else []), self._workspace.credential),
            vendor=replace(self._workspace.vendor, secrets=tuple(one for one in hidden if one)),
        )

    def _in(self, store: _Store, act: "Callable[[ContainerClient], _T]") -> _T:
        """Act in the store; where one way is not let in, by the next one."""
        from azure.storage.blob import ContainerClient

        from providers._azure.errors import translated

        for position, way in enumerate(store.ways, 1):
            container = ContainerClient(
                store.url,
                store.container,
                credential=way,
                max_single_put_size=8 * MIB,
                max_block_size=8 * MIB,
                transport=identity.network(self._workspace.settings),
                retry_total=identity.NO_REPEATING["retry_total"],
            )
            try:
                with container, translated(store.vendor, role=ROLE, thing="container of the workspace's store"):
                    return act(container)
            except NotAllowed:
                if position == len(store.ways):
                    raise
        raise AssertionError("there is always a way")


def _delete(container: "ContainerClient", *, name: str, clock: Clock) -> None:
    from azure.core.exceptions import ResourceNotFoundError

    options: dict[str, Any] = {**clock.options()}
    with suppress(ResourceNotFoundError):
        container.delete_blob(name, **options)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
