"""The page of the local workspace, used by a person in a real browser, with a small real Bolt app behind it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PIECES = ["Here is ", "**your** ", "answer:\n\n", "- eggs\n", "- flour\n", "- milk\n"]
DATASET = b'{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}\n'


def run_card(step: int, *, cancelled: bool = False) -> list[dict[str, Any]]:
    """A run's card: a section that changes, and buttons that stay."""
    text = "*recipes-v1* was cancelled" if cancelled else f"*recipes-v1* · step {step} of 76"
    cancel = {
        "type": "button",
        "action_id": "cancel",
        "style": "danger",
        "text": {"type": "plain_text", "text": "Cancel"},
        "confirm": {
            "title": {"type": "plain_text", "text": "Cancel the run?"},
            "text": {"type": "plain_text", "text": "The steps so far are lost."},
            "confirm": {"type": "plain_text", "text": "Cancel the run"},
            "deny": {"type": "plain_text", "text": "Keep going"},
        },
    }
    step_button = {"type": "button", "action_id": "step", "text": {"type": "plain_text", "text": "Step"}}
    section = {"type": "section", "block_id": "progress", "text": {"type": "mrkdwn", "text": text}}
    return [section, {"type": "actions", "block_id": "controls", "elements": [step_button, cancel]}]
