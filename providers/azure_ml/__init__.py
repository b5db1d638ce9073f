"""Azure Machine Learning: training of catalogue models in a workspace, hosting by endpoints, chat with those.

workspace   credentials -> requests to the workspace; how the vendor is called
bodies      what is asked for, as azure-ai-ml writes it: the one module that imports it, when it is first needed
uploads     training files: into the workspace's own blob store, and out of it when they have served
catalogue   a base model's name -> its address in one of Azure's registries
training    the TrainingProvider
checks      what may be asked of it
history     a job's metrics, and why it failed
hosting     the HostingProvider: serverless endpoints, and managed online ones
chat        the ChatProvider: asks an endpoint by its name
models      the ModelKeeper

Requests are made over azure-core's pipeline, not over azure-ai-ml's MLClient: that one can be pointed elsewhere only by
the process's environment, which it also writes to; it waits inside of calls, and it sends along where the source code
around it comes from (git's remote, branch and commit).
"""

from providers.azure_ml.chat import AzureMLChat
from providers.azure_ml.hosting import AzureMLHosting
from providers.azure_ml.models import AzureMLModels
from providers.azure_ml.training import AzureMLTraining
from providers.azure_ml.workspace import Workspace
from providers.credentials import Credentials
from providers.settings import ProviderSettings


def build_training(settings: ProviderSettings, credentials: Credentials) -> AzureMLTraining:
    """Who trains with these credentials. Raises NotConfigured."""
    return AzureMLTraining(Workspace(settings, credentials))


def build_chat(settings: ProviderSettings, credentials: Credentials) -> AzureMLChat:
    """Who answers with these credentials. Raises NotConfigured."""
    return AzureMLChat(Workspace(settings, credentials))


def build_hosting(settings: ProviderSettings, credentials: Credentials) -> AzureMLHosting:
    """Who hosts models with these credentials. Raises NotConfigured."""
    return AzureMLHosting(Workspace(settings, credentials))


def build_models(settings: ProviderSettings, credentials: Credentials) -> AzureMLModels:
    """Who keeps the models of these credentials. Raises NotConfigured."""
    return AzureMLModels(Workspace(settings, credentials))
