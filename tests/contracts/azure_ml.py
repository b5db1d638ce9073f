"""Azure Machine Learning on this machine: Entra ID, a workspace, its region's services, its endpoints and its blobs.

    with AzureMLStandIn() as azure:
        settings = ProviderSettings(**azure.settings())
        credentials = azure.credentials()
        azure.workspace.advance(job_id, "Completed")     # or pace="poll": a job moves on with each look at it
        azure.fault("PUT", r"/jobs/", status=503, times=2)
        azure.requests("PUT", r"/jobs/")

All is https, with certificates of a made-up authority. Azure's real host names are reached over a proxy that knows only
those here; the variable ALL_PROXY names it while the stand-in runs (not HTTPS_PROXY: Slack's library would go there
even for this machine's own addresses). Blobs are azurite's, all else is ours.
"""

import os
import select
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, Self

import trustme
from azure.storage.blob import AccountSasPermissions, ContainerClient, ResourceTypes, generate_account_sas

from tests.contracts.azure_ml_workspace import CONTAINER, STORE_ACCOUNT, TENANT, MLWorkspace
from tests.contracts.azure_openai_arm import Entra
from tests.contracts.azure_openai_http import Answer, Asked, LoopbackServer

HERE = Path(__file__).parent
AZURITE = HERE / "node_modules/azurite/dist/src/blob/main.js"
CLIENT_ID, SECRET = "22222222-2222-4222-8222-222222222222", "canary~client.secret-0123456789"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's published key."""
BLOBS = f"{STORE_ACCOUNT}.blob.core.windows.net"
NAMES = ("127.0.0.1", "localhost", BLOBS, "*.eastus.models.ai.azure.com", "*.eastus.inference.ml.azure.com")
REGION_NAMES = ("eastus.api.azureml.ms", "cert-eastus.experiments.azureml.net")
HOSTS = (BLOBS, ".eastus.models.ai.azure.com", ".eastus.inference.ml.azure.com", *REGION_NAMES)


class Azurite:
    """Microsoft's own storage emulator, in memory, over https."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if not AZURITE.is_file():
            raise FileNotFoundError(f"{AZURITE} is missing. Install it: npm install --prefix tests/contracts")
        command = ["node", AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--silent"]
        command += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
        command += ["--cert", certificate, "--key", certificate]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.close()
                    raise
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class AzureMLStandIn:
    """The whole of it. Its workspace's state is `workspace`."""

    def __init__(self, *, pace: str = "hand") -> None:
        self.workspace = MLWorkspace(pace=pace)
        self.entra = Entra(TENANT, CLIENT_ID, SECRET)
        self.refused: list[str] = []  # hosts that somebody wanted to reach and may not
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _start(self) -> None:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="finetune-bot-azure-")))
        authority = trustme.CA()
        self.ca_bundle, certificate = folder / "ca.pem", folder / "server.pem"
        authority.cert_pem.write_to_path(self.ca_bundle)
        authority.issue_cert(*NAMES, *REGION_NAMES).private_key_and_cert_chain_pem.write_to_path(certificate)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self.server = LoopbackServer(self._answer, tls=tls)
        self.server.start()
        self._stack.callback(self.server.stop)
        self.entra.url = self.url = self.server.url
        azurite = Azurite(folder, certificate)
        self._stack.callback(azurite.close)
        proxy = _Proxy(self, azurite.port)
        self._stack.callback(proxy.stop)
        self._environment(ALL_PROXY=f"http://127.0.0.1:{proxy.server_address[1]}", NO_PROXY="127.0.0.1,localhost")
        self.workspace.sas = self.sas
        self.workspace.blob = self.blob
        with self._container() as container:
            container.create_container()

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def settings(self) -> dict[str, Any]:
        """For `ProviderSettings`."""
        return {
            "azure_management_url": self.url,
            "azure_authority": self.url,
            "ca_bundle": str(self.ca_bundle),
        }

    def credentials(self, **other: str) -> dict[str, str]:
        return {
            "tenant_id": TENANT,
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            "subscription_id": self.workspace.subscription,
            "resource_group": self.workspace.group,
            "workspace": self.workspace.name,
            **other,
        }

    def fault(self, method: str, path: str, **how: Any) -> Any:
        return self.server.fault(method, path, **how)

    def requests(self, method: str, path: str) -> list[Asked]:
        return self.server.requests(method, path)

    def blob(self, name: str) -> bytes | None:
        """What is in the workspace's store under this name."""
        from azure.core.exceptions import ResourceNotFoundError

        with self._container() as container, suppress(ResourceNotFoundError):
            return container.download_blob(name).readall()
        return None

    def blobs(self) -> list[str]:
        with self._container() as container:
            return list(container.list_blob_names())

    def empty(self) -> None:
        """Delete all blobs."""
        with self._container() as container:
            for name in container.list_blob_names():
                container.delete_blob(name)

    def sas(self) -> str:
        return generate_account_sas(
            STORE_ACCOUNT,
            ACCOUNT_KEY,
            ResourceTypes(container=True, object=True),
            AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
            datetime.now(UTC) + timedelta(hours=1),
        )

    def _container(self) -> ContainerClient:
        return ContainerClient(
            f"https://{BLOBS}", CONTAINER, credential=ACCOUNT_KEY, connection_verify=str(self.ca_bundle)
        )

    def _answer(self, asked: Asked) -> Answer:
        host = asked.headers.get("host", "")
        if host.endswith(("models.ai.azure.com", "inference.ml.azure.com")):
            return self.workspace.scored(host, asked)
        if asked.path.startswith(f"/{TENANT}/") or "/oauth2/" in asked.path:
            return self.entra.answer(asked)
        if not self.entra.accepts(asked.bearer, f"{self.url}/.default"):
            return Answer(401, {"error": {"code": "InvalidAuthenticationToken", "message": "The token is not ours."}})
        if host in REGION_NAMES:
            return self.workspace.region(asked)
        return self.workspace.arm(asked)

    def _environment(self, **variables: str) -> None:
        for name, value in variables.items():
            for spelled in (name, name.lower()):
                before = os.environ.get(spelled)
                os.environ[spelled] = value
                if before is None:
                    self._stack.callback(os.environ.pop, spelled, None)
                else:
                    self._stack.callback(os.environ.__setitem__, spelled, before)


class _Proxy(ThreadingTCPServer):
    """Takes CONNECT to Azure's hosts, and brings those who ask here."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, azure: AzureMLStandIn, blob_port: int) -> None:
        self.azure, self.blob_port = azure, blob_port
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody hung up."""


class _Tunnel(StreamRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        _, target, _ = self.rfile.readline().decode().split(" ", 2)
        while self.rfile.readline().strip():
            pass
        host = target.partition(":")[0]
        if not host.endswith(HOSTS):
            self.server.azure.refused.append(host)
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        port = self.server.blob_port if host == BLOBS else self.server.azure.server.server_address[1]
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other = {self.connection: upstream, upstream: self.connection}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)
