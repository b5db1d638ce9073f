"""What is asked for, written by azure-ai-ml's own classes: the one module that imports it, when it is first needed.

Its classes have no public way to show what they would send; `_to_rest_object` and its siblings are what its MLClient
calls. It is slow to import (seconds), warns that fine-tuning is experimental, and configures telemetry only in an
MLClient, which nobody makes here.
"""

import logging
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from providers._azure import identity
from providers._openai_api.answers import Json
from providers.errors import InvalidRequest, NotConfigured

DEPLOYMENT = "main"
"""The name of the one deployment that a managed online endpoint of ours has."""

_QUIET = ("azure.ai.ml._utils._experimental", "azure.ai.ml")
_importing, _ready = threading.Lock(), threading.Event()


def custom_job(
    *,
    name: str,
    model: str,
    train: str,
    validation: str,
    result: str,
    hyperparameters: Mapping[str, str],
    instance_types: Sequence[str],
    job_tier: str,
    shown: str,
    tags: Mapping[str, str],
) -> Json:
    """A fine-tuning job on a model of a registry."""

    def write() -> Any:
        from azure.ai.ml.finetuning import FineTuningTaskType, create_finetuning_job

        return create_finetuning_job(
            task=FineTuningTaskType.CHAT_COMPLETION,
            model=model,
            training_data=train,
            validation_data=validation,  # without it the library raises an UnboundLocalError
            hyperparameters=dict(hyperparameters),
            output_model_name_prefix=result,
            instance_types=list(instance_types) or None,
            job_tier=job_tier or None,
            name=name,
            display_name=shown,
            experiment_name="finetune-bot",
            tags=dict(tags),
        )

    return _written(write)


def openai_job(
    *,
    name: str,
    model: str,
    train: str,
    validation: str,
    result: str,
    epochs: int | None,
    batch_size: int | None,
    shown: str,
    tags: Mapping[str, str],
) -> Json:
    """A fine-tuning job on an OpenAI model."""

    def write() -> Any:
        from azure.ai.ml import Input, Output
        from azure.ai.ml.constants import AssetTypes
        from azure.ai.ml.entities._job.finetuning.azure_openai_finetuning_job import AzureOpenAIFineTuningJob
        from azure.ai.ml.entities._job.finetuning.azure_openai_hyperparameters import AzureOpenAIHyperparameters
        from azure.ai.ml.finetuning import FineTuningTaskType

        return AzureOpenAIFineTuningJob(
            task=FineTuningTaskType.CHAT_COMPLETION,
            model=Input(type=AssetTypes.MLFLOW_MODEL, path=model),
            training_data=Input(type=AssetTypes.URI_FILE, path=train),
            validation_data=Input(type=AssetTypes.URI_FILE, path=validation),
            hyperparameters=AzureOpenAIHyperparameters(n_epochs=epochs, batch_size=batch_size),
            outputs={"registered_model": Output(type=AssetTypes.MLFLOW_MODEL, name=result)},
            name=name,
            display_name=shown,
            experiment_name="finetune-bot",
            tags=dict(tags),
        )

    return _written(write)


def serverless_endpoint(*, name: str, model: str, location: str, tags: Mapping[str, str]) -> Json:
    """An endpoint on the vendor's own machines."""

    def write() -> Any:
        from azure.ai.ml.entities import ServerlessEndpoint

        endpoint = ServerlessEndpoint(name=name, model_id=model, tags=dict(tags))
        endpoint.location = location
        return endpoint

    return _written(write)


def online_endpoint(*, name: str, location: str, tags: Mapping[str, str], serving: bool) -> Json:
    """An address for a deployment of our own; `serving` sends it everything that is asked there."""

    def write() -> Any:
        from azure.ai.ml.entities import ManagedOnlineEndpoint

        traffic = {DEPLOYMENT: 100} if serving else {}
        return ManagedOnlineEndpoint(name=name, auth_mode="key", traffic=traffic, tags=dict(tags))

    return _written(write, "_to_rest_online_endpoint", location)


def online_deployment(*, endpoint: str, model: str, instance_type: str, instances: int, location: str) -> Json:
    """A model on machines of the workspace's own quota."""

    def write() -> Any:
        from azure.ai.ml.entities import ManagedOnlineDeployment

        return ManagedOnlineDeployment(
            name=DEPLOYMENT,
            endpoint_name=endpoint,
            model=model,
            instance_type=instance_type,
            instance_count=instances,
        )

    return _written(write, "_to_rest_object", location)


def prepare() -> None:
    """Import azure-ai-ml, silently. Raises NotConfigured if it is not installed."""
    with _importing:
        if _ready.is_set():
            return
        with warnings.catch_warnings(action="ignore"):  # of what it is built on
            try:
                import azure.ai.ml
                import azure.ai.ml.entities
                import azure.ai.ml.finetuning  # noqa: F401
            except ImportError:
                raise NotConfigured(identity.NOT_INSTALLED) from None
        for one in _QUIET:
            logging.getLogger(one).setLevel(logging.ERROR)  # "This is an experimental class", at each first use
        _ready.set()


def _written(write: Callable[[], Any], method: str = "_to_rest_object", *arguments: str) -> Json:
    """What azure-ai-ml would send. Raises InvalidRequest for what it refuses."""
    prepare()
    from azure.ai.ml.exceptions import MlException

    try:
        body: dict[str, Any] = getattr(write(), method)(*arguments).as_dict()
    except (MlException, ValueError, TypeError) as error:
        words = " ".join(str(error).split())[:300]
        raise InvalidRequest(f"Azure Machine Learning's library refuses this: {words}") from None
    body.pop("name", None)  # it is in the address
    return body
