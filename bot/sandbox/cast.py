"""Who and what is in the workspace when it starts."""

from dataclasses import dataclass
from enum import StrEnum

TEAM_ID = "T00SANDBOX"
OTHER_TEAM_ID = "T0ELSEWHERE"
APP_ID = "A0FINETUNE"
BOT_ID = "B0FINETUNE"
BOT_USER_ID = "U0FINETUNE"
APP_NAME = "Finetune Bot"


class Role(StrEnum):
    """What a person may do in the workspace."""

    ADMIN = "admin"  # installed the app
    MEMBER = "member"
    GUEST = "guest"  # a guest of some channels
    EXTERNAL = "external"  # of another organisation, through a shared channel


@dataclass(frozen=True)
class User:
    """Somebody of the workspace; the bot is one as well."""

    id: str
    name: str
    real_name: str
    role: Role
    color: str
    is_bot: bool = False

    @property
    def team_id(self) -> str:
        """The organisation the person belongs to."""
        return OTHER_TEAM_ID if self.role is Role.EXTERNAL else TEAM_ID


@dataclass(frozen=True)
class Place:
    """A channel as it is at the start; `members` are users' ids."""

    id: str
    name: str
    topic: str
    members: tuple[str, ...]
    is_private: bool = False


TUNER = User("U0TUNER0001", "tuner", "Tuner", Role.MEMBER, "0f766e")
ADA = User("U0ADA000002", "ada", "Ada", Role.ADMIN, "b45309")
REY = User("U0REY000003", "rey", "Rey", Role.MEMBER, "6d28d9")
GUEST = User("U0GUEST0004", "gil", "Gil", Role.GUEST, "4d7c0f")
OUTSIDER = User("U0OUTSIDE05", "olga", "Olga", Role.EXTERNAL, "be185d")
BOT = User(BOT_USER_ID, "finetune_bot", APP_NAME, Role.MEMBER, "2c2d30", is_bot=True)

PEOPLE = (TUNER, ADA, REY, GUEST, OUTSIDER)
EVERYBODY = tuple(person.id for person in PEOPLE)
STAFF = (TUNER.id, ADA.id, REY.id)

PLACES = (
    Place("C0FINETUNE1", "finetuning", "Datasets, runs and the models that come of them", (*EVERYBODY, BOT.id)),
    Place("C0GENERAL02", "general", "For everybody who works here", (*STAFF, BOT.id)),
    Place("C0SECRETS03", "planning", "Without the bot", STAFF, is_private=True),
)


def direct_id(user: User) -> str:
    """The id of a person's direct conversation with the bot."""
    return f"D{user.id[1:]}"
