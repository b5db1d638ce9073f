"""The providers as a workspace reaches them: with its own credentials, opened for the length of a client's life."""

from providers.base import ChatProvider, HostingProvider, ModelKeeper, TrainingProvider
from providers.credentials import Credentials
from workers import credentials
from workers.context import Context


def training(context: Context, team_id: str, provider: str) -> TrainingProvider:
    """Who trains for this workspace under this name. Raises providers.errors.NotConfigured."""
    return context.providers.training(provider, _credentials(context, team_id, provider))


def chat(context: Context, team_id: str, provider: str) -> ChatProvider:
    """Who answers for this workspace under this name. Raises providers.errors.NotConfigured."""
    return context.providers.chat(provider, _credentials(context, team_id, provider))


def hosting(context: Context, team_id: str, provider: str) -> HostingProvider:
    """Who hosts tuned models for this workspace under this name. Raises providers.errors.NotConfigured."""
    return context.providers.hosting(provider, _credentials(context, team_id, provider))


def models(context: Context, team_id: str, provider: str) -> ModelKeeper:
    """Who keeps models for this workspace under this name. Raises providers.errors.NotConfigured."""
    return context.providers.models(provider, _credentials(context, team_id, provider))


def _credentials(context: Context, team_id: str, provider: str) -> Credentials:
    with context.db.read() as session:
        return credentials.of(session, context.vault, team_id, provider)
