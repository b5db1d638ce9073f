import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from providers import openai as room
from providers._openai_api.connections import closed_with
from providers._openai_api.files import Files
from providers.base import ChatMessage, ChatRequest, Method, TrainingRequest
from providers.openai import account
from providers.openai.adapter import OpenAITraining
from providers.settings import ProviderSettings
from tests.contracts.stand_in import StandIn

CANARY = "canary-31415926535897932384"
"""The API key; it must never be seen anywhere."""
BASE = "gpt-4o-mini-2024-07-18"
GRADER = {
    "type": "string_check",
    "name": "same",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference}}",
    "operation": "eq",
}


@dataclass
class Scene:
    """Our provider before the stand-in, whose jobs move on by hand."""

    server: StandIn
    folder: Path
    credentials: dict[str, str]

    @property
    def settings(self):
        return ProviderSettings(home=self.folder, openai_url=self.server.url)

    @property
    def client(self):
        return account.client(self.settings, self.credentials)

    @property
    def vendor(self):
        return account.vendor(self.credentials)

    def training(self, **limits):
        """The training side; `limits` are those of `Files`."""
        client = self.client
        return closed_with(OpenAITraining(client, self.vendor, Files(client, self.vendor, **limits)), client)

    def chat(self):
        return room.build_chat(self.settings, self.credentials)

    def models(self):
        return room.build_models(self.settings, self.credentials)

    def write(self, name="train.jsonl", examples=12):
        path = self.folder / name
        lines = [
            {
                "messages": [
                    {"role": "user", "content": f"What is {n}?"},
                    {"role": "assistant", "content": f"It is {n}."},
                ]
            }
            for n in range(examples)
        ]
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
        return path

    def request(self, **changes):
        asked = TrainingRequest(
            key="run-1",
            base_model=BASE,
            method=Method.SFT,
            train_path=self.write(),
            suffix="mine",
            folder=self.folder,
            hyperparameters={"epochs": 2, "batch_size": "auto"},
        )
        return replace(asked, **changes)

    def question(self, model=BASE, text="What is 3?", **more):
        return ChatRequest(model, [ChatMessage("user", text)], **more)

    def said(self, model=BASE, **more):
        return "".join(one.text for one in self.chat().stream(self.question(model, **more)))

    def routes(self):
        return [one["route"] for one in self.server.calls()]


@pytest.fixture
def scene(tmp_path):
    with StandIn(pace="hand", key=CANARY) as server:
        yield Scene(server, tmp_path, {"api_key": CANARY})
