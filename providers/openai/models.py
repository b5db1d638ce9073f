"""The models that an OpenAI account has."""

from collections.abc import Sequence

from openai import OpenAI

from providers._openai_api import models
from providers._openai_api.errors import Vendor
from providers.base import Checkpoint, OfferedModel


class OpenAIModels:
    """Knows an account's models. Safe in threads."""

    def __init__(self, client: OpenAI, vendor: Vendor) -> None:
        """`client` and `vendor` are those of the account."""
        self._client, self._vendor = client, vendor

    def check(self) -> str:
        """List the models, which costs nothing: how many there are."""
        found = self.offered()
        tuned = sum(one.tuned for one in found)
        return f"{self._vendor.name} lets these credentials use {len(found)} models, {tuned} of them fine-tuned."

    def offered(self) -> Sequence[OfferedModel]:
        """The models that these credentials may use, with the day that each shuts down."""
        return models.offered(self._client, self._vendor)

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """The checkpoints of a provider job, oldest first."""
        return models.checkpoints(self._client, self._vendor, job_id)

    def delete_model(self, model: str) -> None:
        """Delete a tuned model for ever."""
        models.delete_model(self._client, self._vendor, model)
