"""Azure on this machine, as one thing: a resource's own address, its resource manager, and Entra ID.

    with AzureStandIn() as azure:
        azure.endpoint                      # http://127.0.0.1:PORT: the resource; its host goes into azure_hosts
        azure.management_url, azure.authority, azure.ca_bundle    # https, with a certificate of its own authority
        azure.settings()                    # all of these, by the names of ProviderSettings
        azure.credentials()                 # to sign in as an app; credentials(key=True): with the API key alone
        azure.fault("POST /fine_tuning/jobs", cut="after")        # the resource: as `StandIn.fault`
        azure.fault("PUT arm:/deployments/", status=409)          # the resource manager: as `azure_openai_http.Fault`
        azure.fault("POST entra:/token", status=503, times=2)
        azure.arm.deployments, azure.arm.roles, azure.entra.secret, azure.account.jobs, azure.plane.advance(job_id)

On its own, until interrupted:  python -m tests.contracts.azure_openai
"""

import json
import ssl
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import trustme

from tests.contracts.azure_openai_account import AzureAccount
from tests.contracts.azure_openai_arm import Arm, Entra
from tests.contracts.azure_openai_http import Answer, Asked, LoopbackServer
from tests.contracts.stand_in import StandIn

TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
SUBSCRIPTION = "33333333-3333-4333-8333-333333333333"
GROUP, ACCOUNT = "tuning", "acme-openai"
SECRET, KEY = "entra~canary-secret", "azure-canary-key-0123456789"


class AzureStandIn:
    """The three servers. `pace`: provider jobs move on with each look ("poll"), or with `plane.advance` ("hand")."""

    def __init__(self, *, pace: str = "poll", lifetime: int = 3600, processing: int = 1) -> None:
        self.entra = Entra(TENANT, CLIENT, SECRET, lifetime=lifetime)
        self.arm = Arm(self.entra, SUBSCRIPTION, GROUP, ACCOUNT)
        self.account = AzureAccount(self.arm, key=KEY, pace=pace, processing=processing)
        self.arm.is_tuned = lambda name: name in self.account.models()
        self.plane = StandIn(account=self.account)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="azure-stand-in-")))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        self.ca_bundle = str(folder / "ca.pem")
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self.tls)
        self.control = LoopbackServer(self._answer, tls=self.tls)
        self.control.start()
        self._open.callback(self.control.stop)
        self._open.enter_context(self.plane)
        self.entra.url = self.arm.url = self.control.url
        self.arm.data_plane = self.endpoint
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def endpoint(self) -> str:
        return self.plane.root

    @property
    def management_url(self) -> str:
        return self.control.url

    @property
    def authority(self) -> str:
        return self.control.url

    def settings(self) -> dict[str, str]:
        return {
            "azure_hosts": self.endpoint.removeprefix("http://"),
            "azure_management_url": self.management_url,
            "azure_authority": self.authority,
            "ca_bundle": self.ca_bundle,
        }

    def credentials(self, *, key: bool = False, hosting: bool = True) -> dict[str, str]:
        """By API key alone, or as an app, which can host unless `hosting` is off."""
        if key:
            return {"endpoint": self.endpoint, "api_key": KEY}
        app = {"endpoint": self.endpoint, "tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}
        where = {"subscription_id": SUBSCRIPTION, "resource_group": GROUP, "account": ACCOUNT}
        return app | (where if hosting else {})

    def fault(self, route: str, **how: Any) -> None:
        method, _, rest = route.partition(" ")
        place, mark, path = rest.partition(":")
        if not mark:
            self.plane.fault(route, **how)
        else:
            self.control.fault(method, "^/subscriptions.*" + path if place == "arm" else path, **how)

    def _answer(self, asked: Asked) -> Answer:
        with self.control.lock, self.plane.lock:
            return (self.arm if asked.path.startswith("/subscriptions/") else self.entra).answer(asked)


def main() -> None:
    """Serve until interrupted; the first line on the console says with what to reach it."""
    with AzureStandIn() as azure:
        print(json.dumps({"settings": azure.settings(), "credentials": azure.credentials()}), flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
