"""OpenAI: training, chat with base and tuned models, and the models that an account has.

adapter    the TrainingProvider
models     the ModelKeeper
account    credentials -> a client of OpenAI's, and how the vendor is called
webhooks   what OpenAI sends when a job ends: believed only as far as it is signed
"""

from providers._openai_api.connections import closed_with
from providers._openai_compatible import OpenAICompatibleChat
from providers.credentials import Credentials
from providers.openai import account
from providers.openai.adapter import OpenAITraining
from providers.openai.models import OpenAIModels
from providers.settings import ProviderSettings


def build_training(settings: ProviderSettings, credentials: Credentials) -> OpenAITraining:
    """Who trains with these credentials. Raises NotConfigured."""
    client = account.client(settings, credentials)
    return closed_with(OpenAITraining(client, account.vendor(credentials)), client)


def build_chat(settings: ProviderSettings, credentials: Credentials) -> OpenAICompatibleChat:
    """Who answers with these credentials. Raises NotConfigured."""
    client = account.client(settings, credentials)
    return closed_with(OpenAICompatibleChat(client=client, vendor=account.vendor(credentials)), client)


def build_models(settings: ProviderSettings, credentials: Credentials) -> OpenAIModels:
    """Who keeps the models of these credentials. Raises NotConfigured."""
    client = account.client(settings, credentials)
    return closed_with(OpenAIModels(client, account.vendor(credentials)), client)
