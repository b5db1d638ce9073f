"""Chat at Azure: by the name of a deployment, as any other server of OpenAI's protocol."""

from collections.abc import Iterator, Sequence

from openai import OpenAI

from providers._openai_api.errors import Vendor
from providers._openai_compatible import OpenAICompatibleChat
from providers.azure_openai.access import naming_the_role
from providers.azure_openai.resource import Resource
from providers.base import ChatChunk, ChatRequest


class AzureOpenAIChat:
    """Answers by deployments of one resource. Safe in threads; connections are kept and shared."""

    def __init__(self, client: OpenAI, vendor: Vendor, resource: Resource | None) -> None:
        """`resource` tells what is deployed; without it nobody does."""
        self._chat = OpenAICompatibleChat(client=client, vendor=vendor)
        self._resource = resource

    def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:
        """Yield the answer piece by piece; closing the iterator closes the connection."""
        with naming_the_role():
            yield from self._chat.stream(request)

    def models(self) -> Sequence[str]:
        """The deployments that there are; none where the resource cannot be looked at."""
        if self._resource is None:
            return []
        return [one.name for one in self._resource.deployments() if one.state.lower() == "succeeded"]

    def close(self) -> None:
        """Close the kept connections."""
        self._chat.close()
