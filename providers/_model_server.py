"""The server of this installation's own models: which kind it is, and how it is asked."""

from providers._openai_compatible import OpenAICompatibleChat
from providers._vllm import VllmChat
from providers.base import ChatProvider
from providers.errors import NotConfigured
from providers.settings import ProviderSettings

NAME = "The local model server"


def build(settings: ProviderSettings) -> ChatProvider:
    """The chat with it. Raises NotConfigured."""
    if settings.serve_kind == "vllm":
        if not settings.serve_url:
            raise NotConfigured("FINETUNE_BOT_SERVE_KIND is vllm: set FINETUNE_BOT_SERVE_URL to its address too.")
        there = settings.serve_models or str(settings.models_folder)
        return VllmChat(settings.model_server, settings.models_folder, there, api_key=settings.serve_key)
    return OpenAICompatibleChat(f"{settings.model_server}/v1", name=NAME, own=True)
