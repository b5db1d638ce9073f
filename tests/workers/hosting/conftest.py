"""A vendor that hosts, as a small state machine; a run that has just been trained; hands that carry out tasks."""

import dataclasses
from types import SimpleNamespace

import pytest
from sqlmodel import col, select, update

from providers.base import ChatChunk, Deployment, DeploymentStatus, HostingTier
from providers.errors import NotFound
from workers import hosting
from workers.context import Context
from workers.jobs import runner
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.tables import (
    Announcement,
    Credential,
    Dataset,
    Endpoint,
    EndpointStatus,
    HostedModel,
    Run,
    Task,
    TaskStatus,
)

TUNER = Actor("T1", "U1", "C1")
ADMIN = Actor("T1", "U9", "C1", is_admin=True)
SOMEBODY = Actor("T1", "U2", "C1")
GUEST = Actor("T1", "U3", "C1", is_guest=True)
CREDENTIALS = {
    "endpoint": "https://ours.openai.azure.com", "api_key": "k", "subscription_id": "s", "resource_group": "g",
    "account": "ours",
}  # fmt: skip


BY_THE_HOUR = [HostingTier("GlobalStandard", "Global Standard", for_base_models=True)]
"""A vendor's tiers without one that it ends by itself."""


class Killed(BaseException):
    """The process died here."""


class Cloud:
    """A vendor's deployments by name. Creating takes `slow` looks, deleting `slow_end`; both may go wrong.

    After that it waits to be asked for `further` steps more. Looking passes its time, and changes nothing else.
    """

    def __init__(self):
        self.there: dict[str, dict] = {}
        self.asked: list[tuple[str, str]] = []
        self.named: list[str] = []
        self.tiers_of = [
            HostingTier("DeveloperTier", "Developer", lives_hours=24.0),
            HostingTier("GlobalStandard", "Global Standard", for_base_models=True),
        ]
        self.slow, self.slow_end, self.further = 1, 1, 0
        self.effects: list[tuple[str, str]] = []  # whatever was begun there: "made", "step", "deleting"
        self.trouble: dict[str, list[Exception]] = {}
        self.noise = ""  # after whatever it says
        self.broken: set[str] = set()  # models that cannot be hosted
        self.step = lambda _where: None  # called before and after each effect

    def tiers(self, _base_model):
        return self.tiers_of

    def deploy(self, request):
        self._asked("deploy", request.name)
        if request.name not in self.there:
            self.there[request.name] = {
                "state": "creating", "left": self.slow, "request": request, "further": self.further
            }  # fmt: skip
            self.named.append(request.name)
            self.effects.append(("made", request.name))
        elif self.there[request.name]["state"] == "waiting":
            one = self.there[request.name]
            one |= {"state": "creating", "left": self.slow, "further": one["further"] - 1}
            self.effects.append(("step", request.name))
        self.step("after deploy")
        return Deployment(request.name, DeploymentStatus.CREATING, vendor_status=f"Accepted{self.noise}")

    def deployment(self, name):
        self._asked("deployment", name)
        one = self.there.get(name)
        if one is None:
            return Deployment(name, DeploymentStatus.GONE)
        if one["state"] == "creating":
            one["left"] -= 1
            if one["request"].model in self.broken:
                return Deployment(name, DeploymentStatus.FAILED, error=f"InsufficientQuota{self.noise}")
            if one["left"] < 0:
                one["state"] = "waiting" if one["further"] else "ready"
        self._move(name)
        one = self.there.get(name)
        if one is None:
            return Deployment(name, DeploymentStatus.GONE)
        said, waits = f"{one['state']}{self.noise}", one["state"] == "waiting"
        status = DeploymentStatus("creating" if waits else one["state"])
        return Deployment(name, status, target=name, vendor_status=said, waiting=waits)

    def undeploy(self, name):
        self._asked("undeploy", name)
        one = self.there.get(name)
        if one is not None and one["state"] != "deleting":
            one |= {"state": "deleting", "left": self.slow_end}
            self.effects.append(("deleting", name))
        self._move(name)
        self.step("after undeploy")
        status = DeploymentStatus.DELETING if name in self.there else DeploymentStatus.GONE
        return Deployment(name, status, vendor_status=f"Deleting{self.noise}")

    def ours(self, prefix):
        self._asked("ours", prefix)
        return [name for name, one in self.there.items() if name.startswith(prefix) and one["state"] != "deleting"]

    def _move(self, name):
        one = self.there.get(name, {"state": ""})
        if one["state"] == "deleting":
            one["left"] -= 1
            if one["left"] < 0:
                del self.there[name]

    def _asked(self, what, name):
        self.step(f"before {what}")
        self.asked.append((what, name))
        if self.trouble.get(what):
            raise self.trouble[what].pop(0)

    # the same vendor's chat

    def stream(self, request):
        if self.there.get(request.model, {}).get("state") != "ready":
            raise NotFound("There is no such deployment.", detail="404")
        yield ChatChunk(text="Flour")
        yield ChatChunk(finish_reason="stop", prompt_tokens=5, completion_tokens=2)


@dataclasses.dataclass
class Registry:
    """Stands where the registry stands."""

    cloud: Cloud

    def has(self, _name, side):
        return side in {"hosting", "chat"}

    def hosting(self, _name, _credentials):
        return self.cloud

    def chat(self, _name, _credentials):
        return self.cloud


@pytest.fixture
def cloud():
    return Cloud()


@pytest.fixture
def scene(context: Context, cloud):
    """A run that has just been trained at a vendor that must host, and what a test does with it."""
    context = dataclasses.replace(context, providers=Registry(cloud))
    db = context.db
    with db.write() as session:
        session.add(
            Credential(team_id="T1", creator_id="U9", provider="azure_openai", sealed=context.vault.seal(CREDENTIALS))
        )
        dataset = Dataset(team_id="T1", name="a", sha256="a", storage_key="a", format="openai-chat", method="sft",
                          examples=60, trainable=True)  # fmt: skip
        session.add(dataset)
        session.flush()
        run = Run(
            team_id="T1", channel_id="C1", creator_id="U1", name="Our <secret> recipes", request_key="k",
            dataset_id=dataset.id, provider="azure_openai", base_model="gpt-4.1-nano-2025-04-14", method="sft",
            status=RunStatus.DEPLOYING, plan={"dataset_id": dataset.id}, tuned_model="ft-model", model_name="slug-1",
        )  # fmt: skip
        session.add(run)
        session.flush()
        session.add(Announcement(team_id="T1", channel_id="C1", slot=f"run:{run.id}:card", kind="run_card",
                                 subject_id=run.id, ts="1.1"))  # fmt: skip
    return Scene(context, cloud, run.id)


class Scene(SimpleNamespace):
    """The vendor, the database and the clock of one story."""

    def __init__(self, context, cloud, run_id):
        super().__init__(context=context, db=context.db, cloud=cloud, run_id=run_id)

    @property
    def run(self):
        with self.db.read() as session:
            return session.get_one(Run, self.run_id)

    @property
    def endpoint(self):
        with self.db.read() as session:
            return session.exec(select(Endpoint)).one()

    def begin(self):
        with self.db.write() as session:
            hosting.begin(session, session.get_one(Run, self.run_id))

    def rows(self, table=HostedModel, **equal):
        with self.db.read() as session:
            found = session.exec(select(table).order_by(table.id)).all()
        return [one for one in found if all(getattr(one, name) == value for name, value in equal.items())]

    def row(self, purpose="tuned"):
        return self.rows(purpose=purpose)[-1]

    def work(self, *kinds, rounds=12, soon=3600.0):
        """Carry out the tasks of these kinds (all about hosting) that are due within `soon`, until none is left."""
        for _ in range(rounds):
            due = [
                one
                for one in self.rows(Task, status=TaskStatus.QUEUED)
                if one.kind in (kinds or ("host_model", "unhost_model", "check_hosted_model"))
                and one.due_at < one.created_at + soon
            ]
            if not due:
                return
            for task in due:
                runner.carry(self.context, task.id, task.attempt)
        pytest.fail(f"still at work after {rounds} rounds: {[(one.kind, one.last_error) for one in due]}")

    def once(self, kind):
        """Carry out one attempt of the newest task of a kind."""
        task = self.rows(Task, kind=kind)[-1]
        runner.carry(self.context, task.id, task.attempt)
        return self.rows(Task, kind=kind)[-1]

    def tend(self):
        with self.db.write() as session:
            hosting.tend(session, self.context.settings)

    def hosted(self):
        """Up to the end of the evaluation: the endpoint is there, and the tuned model is hosted for it."""
        self.begin()
        self.work("host_model")
        with self.db.write() as session:
            run = session.get_one(Run, self.run_id)
            run.status = RunStatus.READY
            session.add(Endpoint(team_id="T1", channel_id="C1", creator_id="U1", name="recipes", run_id=run.id,
                                 provider=run.provider, model=run.model_name))  # fmt: skip
            session.flush()
            session.add(run)
            hosting.evaluated(session, run)
            session.execute(update(Task).where(col(Task.kind) == "evaluate").values(status=TaskStatus.DONE))
        self.work("unhost_model", soon=300)
        return self.row()

    def pass_hours(self, hours):
        """Let time pass for every lease and use."""
        with self.db.write() as session:
            for row in session.exec(select(HostedModel)):
                for name in ("created_at", "ready_at", "ends_at", "used_at", "warned_at", "lives_until"):
                    if getattr(row, name) is not None:
                        setattr(row, name, getattr(row, name) - hours * 3600)
                session.add(row)

    def said(self, kind):
        return self.rows(Announcement, kind=kind)

    def asleep(self):
        return self.endpoint.status is EndpointStatus.ASLEEP
