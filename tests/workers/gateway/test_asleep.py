"""Programs that ask a model which is hosted nowhere are told so in OpenAI's shape; awake, it is reached and noted."""

import openai
import pytest

from tests.workers.gateway.test_completions import ask
from workers.hosting import models
from workers.tables import ApiKey, Credential, Dataset, Endpoint, EndpointStatus, HostedModel, LeaseStatus, Run


@pytest.fixture
def hosted(db, context, endpoint):
    """The endpoint's model, hosted at a vendor."""
    with db.write() as session:
        session.add(Credential(team_id="T1", provider="azure_openai", sealed=context.vault.seal({"api_key": "k"})))
        dataset = Dataset(team_id="T1", name="a", sha256="a", storage_key="a", format="openai-chat", method="sft",
                          examples=9, trainable=True)  # fmt: skip
        session.add(dataset)
        session.flush()
        run = Run(team_id="T1", channel_id="C1", name="r", request_key="k", dataset_id=dataset.id,
                  provider="azure_openai", base_model="m", method="sft")  # fmt: skip
        session.add(run)
        session.flush()
        row = session.get_one(Endpoint, endpoint.id)
        row.provider, row.run_id = "azure_openai", run.id
        session.add(row)
        at = models.now(session)
        one = HostedModel(team_id="T1", channel_id="C1", run_id=run.id, endpoint_id=endpoint.id, name="ftb-r1-t-0",
                          provider="azure_openai", model="m", target="ftb-r1-t-0", status=LeaseStatus.READY,
                          ready_at=at, ends_at=at + 3600)  # fmt: skip
        session.add(one)
        session.flush()
        return one


def test_awake_it_is_reached_under_its_deployments_name_and_noted(db, client, chat, hosted):
    assert ask(client).choices[0].message.content == "Flour, eggs"
    assert chat.requests[0].model == "ftb-r1-t-0"
    with db.read() as session:
        assert session.get_one(HostedModel, hosted.id).used_at is not None


@pytest.mark.parametrize("stream", [False, True])
def test_asleep_it_says_so(db, client, chat, hosted, endpoint, stream):
    with db.write() as session:
        models.end(session, session.get_one(HostedModel, hosted.id))
    with pytest.raises(openai.InternalServerError) as refused:
        ask(client, stream=stream)
    assert (refused.value.status_code, refused.value.code, refused.value.type) == (503, "model_asleep", "server_error")
    assert "deploy it again from its thread in Slack" in refused.value.body["message"]
    assert chat.requests == []
    with db.read() as session:
        assert session.get_one(Endpoint, endpoint.id).status is EndpointStatus.ASLEEP
    assert [one.id for one in client.models.list()] == ["recipes-v1"]  # its key is good, and it may be woken


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_deleted_one_is_as_unknown_as_its_key(db, client, hosted, endpoint):
    with db.write() as session:
        row = session.get_one(Endpoint, endpoint.id)
        row.status = EndpointStatus.DELETED
        session.add(row)
    with pytest.raises(openai.AuthenticationError):
        ask(client)
    with db.read() as session:
        assert session.get_one(ApiKey, 1).revoked_at is None
