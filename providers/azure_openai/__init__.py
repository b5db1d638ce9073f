"""Azure OpenAI: training, hosting, chat by a deployment's name, and the models of a resource.

training  the TrainingProvider, on the v1 surface of the resource's own address
hosting   the HostingProvider, through Azure's resource manager
models    the ModelKeeper
chat      the ChatProvider
access    credentials -> clients, and how the vendor is called

An API key is enough to train and to chat; to host, an app registration signs in to Azure.
"""

from providers.azure_openai import access
from providers.azure_openai.chat import AzureOpenAIChat
from providers.azure_openai.hosting import AzureOpenAIHosting
from providers.azure_openai.models import AzureOpenAIModels
from providers.azure_openai.training import AzureOpenAITraining
from providers.credentials import Credentials
from providers.settings import ProviderSettings


def build_training(settings: ProviderSettings, credentials: Credentials) -> AzureOpenAITraining:
    """Who trains with these credentials. Raises NotConfigured."""
    return AzureOpenAITraining(access.client(settings, credentials), access.vendor(credentials))


def build_chat(settings: ProviderSettings, credentials: Credentials) -> AzureOpenAIChat:
    """Who answers with these credentials. Raises NotConfigured."""
    resource = None if access.missing(credentials) else access.resource(settings, credentials)
    return AzureOpenAIChat(access.client(settings, credentials), access.vendor(credentials), resource)


def build_models(settings: ProviderSettings, credentials: Credentials) -> AzureOpenAIModels:
    """Who keeps the models of these credentials. Raises NotConfigured."""
    return AzureOpenAIModels(settings, credentials)


def build_hosting(settings: ProviderSettings, credentials: Credentials) -> AzureOpenAIHosting:
    """Who hosts models with these credentials. Raises NotConfigured, with what is missing."""
    resource = access.resource(settings, credentials)
    return AzureOpenAIHosting(access.client(settings, credentials), access.vendor(credentials), resource)
