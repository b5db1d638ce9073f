"""Whether a workspace's credentials suffice to host a tuned model at all."""

from sqlmodel import Session, select

from workers.tables import Credential

NEEDED = {"azure_openai": "account"}
"""The field of a vendor's credentials without which it trains, but deploys nothing."""
NOT_HOSTED = (
    "It will be trained, not deployed: no comparison, no chat. For both, an admin adds subscription, resource group "
    "and resource name: /finetune keys"
)


def can_host(session: Session, team_id: str, provider: str) -> bool:
    """False where the vendor hosts tuned models, but not with what this workspace has told of itself."""
    needed = NEEDED.get(provider)
    if needed is None:
        return True
    wanted = select(Credential).where(Credential.team_id == team_id, Credential.provider == provider)
    known = session.exec(wanted).one_or_none()
    return known is None or bool(known.shown.get(needed))
