"""A stand-in of Azure's control plane on loopback: Entra ID's token endpoint, and the resource manager's deployments.

Both are strict about what they are sent. Times are counted in requests, so that no test waits: a deployment is there
after `creating` looks, answers after `warming` questions, and is deleted after `deleting` looks.
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.contracts.azure_openai_http import Answer, Asked

ROLE = "Cognitive Services OpenAI Contributor"
API_VERSION = "2025-09-01"
SKUS = frozenset({"Standard", "GlobalStandard", "DataZoneStandard", "DeveloperTier"})
BASE_MODELS = {
    "gpt-4.1-nano": "2025-04-14",
    "gpt-4.1-mini": "2025-04-14",
    "gpt-4.1": "2025-04-14",
    "gpt-4o-mini": "2024-07-18",
    "gpt-4o": "2024-08-06",
    "gpt-35-turbo": "0125",
}


@dataclass
class Entra:
    """Gives tokens to the one app that it knows."""

    tenant: str
    client_id: str
    secret: str
    url: str = ""
    lifetime: int = 3600
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)  # token -> scope, its end

    def accepts(self, token: str, scope: str) -> bool:
        known = self.tokens.get(token)
        return known is not None and known[0] == scope and time.monotonic() < known[1]

    def answer(self, asked: Asked) -> Answer:
        base = f"{self.url}/{self.tenant}"
        if not asked.path.startswith(f"/{self.tenant}/"):
            return _entra_error(
                400, "invalid_tenant", 90002, "Tenant not found. Check that you have the correct tenant ID"
            )
        if asked.path.endswith("/v2.0/.well-known/openid-configuration"):
            return Answer(body={
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            })  # fmt: skip
        form = {name: values[-1] for name, values in parse_qs(asked.body.decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return _entra_error(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        if form.get("client_id") != self.client_id:
            return _entra_error(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        if form.get("client_secret") != self.secret:
            return _entra_error(401, "invalid_client", 7000215, "Invalid client secret provided.")
        token = f"eyJ.{secrets.token_urlsafe(24)}"
        self.tokens[token] = (form.get("scope", ""), time.monotonic() + self.lifetime)
        return Answer(body={"token_type": "Bearer", "expires_in": self.lifetime, "access_token": token})


def _entra_error(status: int, error: str, code: int, words: str) -> Answer:
    text = f"AADSTS{code}: {words} Trace ID: 0 Correlation ID: 0 Timestamp: 2026-11-25 00:00:00Z"
    return Answer(status, {"error": error, "error_description": text, "error_codes": [code]})


@dataclass
class Hosted:
    """A deployment there."""

    sku: dict[str, Any]
    model: dict[str, Any]
    state: str = "Accepted"
    looks: int = 0  # so many more until it is created, or deleted
    cold: int = 0  # so many questions are answered with 404 once it is created
    outcome: str = "Succeeded"


@dataclass
class Arm:
    """The resource manager of one Azure OpenAI resource. `is_tuned` tells what can be deployed beside base models."""

    entra: Entra
    subscription: str
    group: str
    account: str
    data_plane: str = ""
    url: str = ""
    roles: set[str] = field(default_factory=lambda: {ROLE})
    is_tuned: Callable[[str], bool] = bool
    deployments: dict[str, Hosted] = field(default_factory=dict)
    creating: int = 1
    warming: int = 1
    deleting: int = 1
    outcome: str = "Succeeded"  # what becomes of those that are created from now on; "" for never anything
    quota: int = 1000
    most_at_once: int = 0  # the most that there ever were, for tests of money

    @property
    def path(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.CognitiveServices/accounts/{self.account}"
        )

    def answer(self, asked: Asked) -> Answer:
        if not self.entra.accepts(asked.bearer, f"{self.url}/.default"):
            return _error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if asked.query.get("api-version") != API_VERSION:
            return _error(400, "InvalidApiVersionParameter", "The api-version is not one of the supported versions.")
        if ROLE not in self.roles:
            what = f"does not have authorization to perform action 'x/{asked.method}' over scope '{asked.path}'"
            return _error(403, "AuthorizationFailed", f"The client '{self.entra.client_id}' {what}.")
        if not asked.path.startswith(f"/subscriptions/{self.subscription}/"):
            return _error(404, "SubscriptionNotFound", "The subscription could not be found.")
        if "/operations/" in asked.path or "/operationResults/" in asked.path:
            return self._operation(asked.path)
        if f"/resourceGroups/{self.group}/" not in asked.path:
            return _error(404, "ResourceGroupNotFound", "Resource group could not be found.")
        if asked.path == self.path and asked.method == "GET":
            return Answer(body=self._account())
        if not asked.path.startswith(f"{self.path}/deployments"):
            return _error(404, "ResourceNotFound" if "/deployments" not in asked.path else "ParentResourceNotFound",
                          f"The Resource '{asked.path}' was not found.")  # fmt: skip
        name = asked.path.removeprefix(f"{self.path}/deployments").strip("/")
        if not name:
            return Answer(body={"value": [self._shown(one) for one in self.deployments]})
        return {"GET": self._get, "PUT": self._put, "DELETE": self._delete}[asked.method](name, asked)

    def asked_by_name(self, name: str) -> str | None:
        """The model that answers under this name now; None where none does."""
        one = self.deployments.get(name)
        if one is None or one.state != "Succeeded":
            return None
        if one.cold:
            one.cold -= 1
            return None
        return str(one.model["name"])

    def _account(self) -> dict[str, Any]:
        return {
            "id": self.path, "name": self.account, "kind": "OpenAI", "location": "eastus2", "sku": {"name": "S0"},
            "type": "Microsoft.CognitiveServices/accounts",
            "properties": {"provisioningState": "Succeeded", "endpoint": f"{self.data_plane}/"},
        }  # fmt: skip

    def _get(self, name: str, _: Asked) -> Answer:
        one = self.deployments.get(name)
        if one is None:
            return _error(404, "ResourceNotFound", f"The Resource '{self.path}/deployments/{name}' was not found.")
        if one.state in {"Accepted", "Creating", "Deleting"}:
            if one.looks:
                one.looks -= 1
                one.state = "Creating" if one.state == "Accepted" else one.state
            elif one.state == "Deleting":
                del self.deployments[name]
                return self._get(name, _)
            elif one.outcome:
                one.state = one.outcome
        return Answer(body=self._shown(name))

    def _put(self, name: str, asked: Asked) -> Answer:
        body = asked.json()
        problem = self._problem(name, body)
        if problem is not None:
            return problem
        before = self.deployments.get(name)
        if before is None or before.state == "Failed":
            self.deployments[name] = Hosted(
                body["sku"], body["properties"]["model"], looks=self.creating, cold=self.warming, outcome=self.outcome
            )
            self.most_at_once = max(self.most_at_once, len(self.deployments))
        operation = self._operation_url("operations", name)
        return Answer(201 if before is None else 200, self._shown(name), {"azure-asyncoperation": operation})

    def _operation(self, path: str) -> Answer:
        """For a client that waits: whether a deployment is created, or deleted."""
        name = path.rpartition("/")[2]
        seen = self._get(name, Asked("GET", "", {}, {}, b""))
        if "/operationResults/" in path:
            return Answer(204) if seen.status == 404 else self._deleting(name)
        state = seen.body["properties"]["provisioningState"]
        return Answer(body={"status": state if state in {"Succeeded", "Failed"} else "InProgress"})

    def _deleting(self, name: str) -> Answer:
        return Answer(202, headers={"location": self._operation_url("operationResults", name)})

    def _operation_url(self, kind: str, name: str) -> str:
        place = f"/subscriptions/{self.subscription}/providers/Microsoft.CognitiveServices/{kind}/{name}"
        return f"{self.url}{place}?api-version={API_VERSION}"

    def _problem(self, name: str, body: Any) -> Answer | None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{1,63}", name):
            return _error(400, "InvalidResourceName", "The deployment's name is not valid.")
        sku, model = body.get("sku") or {}, (body.get("properties") or {}).get("model") or {}
        if set(body) - {"sku", "properties", "tags"} or sku.get("name") not in SKUS or model.get("format") != "OpenAI":
            return _error(400, "InvalidResourceProperties", "The specified SKU or model format is not supported.")
        if not 1 <= sku.get("capacity", 0) <= self.quota:
            return _error(400, "InsufficientQuota", "This operation requires more capacity than the quota available.")
        is_tuned, version = ".ft-" in model.get("name", ""), model.get("version")
        known = version == "1" and self.is_tuned(model["name"]) if is_tuned else (
            model.get("name") in BASE_MODELS and version in {None, BASE_MODELS[model["name"]]})  # fmt: skip
        if not known:
            return _error(400, "DeploymentModelNotSupported", f"The model '{model.get('name')}' is not supported.")
        if sku["name"] == "DeveloperTier" and not is_tuned:
            return _error(400, "InvalidResourceProperties", "The SKU DeveloperTier is for fine-tuned models.")
        if any(one.state in {"Accepted", "Creating"} for other, one in self.deployments.items() if other != name):
            return _error(409, "RequestConflict", "Another operation is being performed on the parent resource.")
        return None

    def _delete(self, name: str, _: Asked) -> Answer:
        one = self.deployments.get(name)
        if one is None:
            return Answer(204)
        one.state, one.looks = "Deleting", self.deleting
        return self._deleting(name)

    def _shown(self, name: str) -> dict[str, Any]:
        one = self.deployments[name]
        return {
            "id": f"{self.path}/deployments/{name}", "name": name, "sku": one.sku,
            "type": "Microsoft.CognitiveServices/accounts/deployments",
            "properties": {"model": one.model, "provisioningState": one.state},
        }  # fmt: skip


def _error(status: int, code: str, words: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": words}})
