"""Is it alive, is it ready, and how much of what is there."""

import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from workers import bootstrap, tasks
from workers.db import Database
from workers.gateway.app import build
from workers.gateway.metrics import read_standing
from workers.supervisor import exported
from workers.tables import Announcement, AnnouncementStatus, TaskStatus

ROOT = Path(__file__).resolve().parents[3]


def get(gateway, path, method="GET"):
    connection = http.client.HTTPConnection(urlsplit(gateway).netloc, timeout=20)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def figures(text):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_alive_and_ready(gateway):
    assert get(gateway, "/healthz") == (200, '{"status":"ok"}')
    status, said = get(gateway, "/readyz")
    assert (status, json.loads(said)) == (200, {"database": "ok", "queue": "ok"})


def test_what_does_not_answer_is_named(context, tmp_path):
    no_queue = dataclasses.replace(
        context, settings=context.settings.model_copy(update={"redis_url": f"unix://{tmp_path}/nobody.sock"})
    )
    with TestClient(build(no_queue)) as client:
        reply = client.get("/readyz")
        assert (reply.status_code, reply.json()) == (503, {"database": "ok", "queue": "does not answer"})
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_without_a_database(context, tmp_path):
    nowhere = Database(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    with TestClient(build(dataclasses.replace(context, db=nowhere))) as client:
        reply = client.get("/readyz")
        assert (reply.status_code, reply.json()) == (503, {"database": "does not answer", "queue": "ok"})
        assert figures(client.get("/metrics").text)[("finetune_bot_database_up",)] == 0
        asked = client.post("/v1/chat/completions", headers={"Authorization": "Bearer ftb-x"}, json={})
        assert (asked.status_code, asked.headers["retry-after"]) == (503, "5")
        assert asked.headers["x-request-id"] in asked.json()["error"]["message"]
    nowhere.dispose()


def test_unknown_addresses_are_refused_in_the_same_shape(gateway):
    for path, method, status in (("/v1/embeddings", "POST", 404), ("/docs", "GET", 404), ("/v1/models", "PUT", 405)):
        reply, said = get(gateway, path, method)
        assert reply == status
        assert json.loads(said)["error"]["type"] == "invalid_request_error"


def test_the_standing_of_the_work(db):
    with db.write() as session:
        for number in range(3):
            tasks.add(session, "answer", number, queue="slack", team_id="T1")
        tasks.add(session, "submit", 1, queue="cloud", team_id="T1", due_in=1000.0)
        done = tasks.add(session, "answer", 9, queue="slack", team_id="T1")
        done.status, done.created_at = TaskStatus.DONE, 0.0
        waiting = tasks.add(session, "evaluate", 1, queue="cpu", team_id="T1")
        waiting.created_at -= 120
        for number, status in enumerate(AnnouncementStatus):
            session.add(Announcement(team_id="T1", slot=str(number), kind="note", status=status))
    standing = read_standing(db)
    assert sorted(standing.tasks) == [
        ("cloud", "queued", 1), ("cpu", "queued", 1), ("slack", "done", 1), ("slack", "queued", 3)
    ]  # fmt: skip
    assert 119 < standing.oldest_due_seconds < 150
    assert standing.announcements_pending == 1
    assert standing.runs == []


def test_an_empty_installation_has_figures_too(db):
    standing = read_standing(db)
    assert (standing.tasks, standing.oldest_due_seconds, standing.announcements_pending) == ([], 0.0, 0)


def test_requests_and_tokens_are_counted_by_route_without_names(gateway, client, db):
    client.chat.completions.create(model="Recipes", messages=[{"role": "user", "content": "canary"}])
    get(gateway, "/canary/../x")
    with db.write() as session:
        tasks.add(session, "answer", 1, queue="slack", team_id="T1")
    status, text = get(gateway, "/metrics")
    seen = figures(text)
    assert status == 200
    assert seen[("finetune_bot_requests_total", "/v1/chat/completions", "200")] == 1
    assert seen[("finetune_bot_requests_total", "other", "404")] == 1
    assert seen[("finetune_bot_request_seconds_count", "/v1/chat/completions")] == 1
    assert seen[("finetune_bot_tokens_total", "prompt")] == 7
    assert seen[("finetune_bot_tokens_total", "completion")] == 3
    assert seen[("finetune_bot_tasks", "slack", "queued")] == 1
    assert seen[("finetune_bot_database_up",)] == 1
    assert not [word for word in ("canary", "Recipes", "recipes-v1", "T1", "ftb-") if word in text]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_the_process_says_when_it_serves_and_leaves_cleanly(context, eventually):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = context.settings.model_copy(update={"gateway_port": port})
    bootstrap.make_folders(settings)
    env = os.environ | exported(settings) | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "workers", "gateway"], env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        eventually(lambda: bootstrap.ready_file(settings, "gateway").exists() or process.poll() is not None)
        assert get(f"http://127.0.0.1:{port}", "/readyz")[0] == 200
        second = subprocess.run(process.args, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert "FINETUNE_BOT_GATEWAY_PORT" in second.stderr
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
