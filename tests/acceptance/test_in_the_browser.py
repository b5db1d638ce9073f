"""The main job as a person does it: in the page of the local workspace, with the real bot behind it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.launch import Installation
from bot.sandbox.driver import Person
from tests.acceptance.conftest import examples

SOON, TRAINED = 15_000, 60_000
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def page(browser: Browser, installation: Installation) -> Iterator[Page]:
    """The page as Tuner sees it, in #finetuning. No error may come to the console."""
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.set_default_timeout(SOON)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{installation.sandbox_url}/?user={Person(installation.sandbox_url, 'Tuner').id}")
    page.locator("[data-testid=channel][data-channel-name='finetuning']").click()
    yield page
    page.close()
    assert errors == []


def test_from_two_files_to_an_answer(page: Page) -> None:
    attach(page, "colours_train.jsonl", examples(24))
    attach(page, "colours_validation.jsonl", examples(4, start=48))
    write(page, "composer", "Our data.")
    messages = page.locator("#main [data-testid=message]")
    expect(messages.last.get_by_test_id("thread-bar")).to_be_visible(timeout=SOON)
    messages.last.get_by_test_id("thread-bar").click()
    thread = page.get_by_test_id("thread-panel")
    expect(thread).to_contain_text("2 files, ready to train", timeout=SOON)

    write(page, "composer", "/finetune start")
    form = page.get_by_test_id("modal")
    form.get_by_label("Name").fill("colours")
    form.get_by_label("Epochs").fill("1")
    form.get_by_test_id("view-submit").click()
    expect(form).to_contain_text("Plan and cost", timeout=SOON)
    expect(form).to_contain_text("colours_validation.jsonl")
    form.get_by_test_id("view-submit").click()
    expect(form).to_be_hidden(timeout=SOON)

    card = messages.filter(has_text="colours ·").last
    expect(card).to_contain_text("Ready", timeout=TRAINED)
    card.get_by_test_id("thread-bar").click()
    expect(thread).to_contain_text("Was it worth it?", timeout=SOON)
    expect(thread).to_contain_text("Reply in this thread", timeout=SOON)
    expect(thread.get_by_test_id("image").locator("img").first).to_have_js_property("complete", value=True)

    before = thread.get_by_test_id("message").count()
    write(page, "thread-composer", "Flag 3 is red and blue.")
    answer = thread.get_by_test_id("message").nth(before + 1)
    expect(answer.get_by_test_id("feedback").first).to_be_visible(timeout=SOON)
    assert answer.locator(".message-body .text").first.inner_text().strip()


def attach(page: Page, name: str, content: bytes) -> None:
    page.get_by_test_id("attach-input").set_input_files(
        {"name": name, "mimeType": "application/jsonl", "buffer": content}
    )
    expect(page.get_by_test_id("chip").last).to_contain_text(name)


def write(page: Page, where: str, text: str) -> None:
    page.get_by_test_id(where).fill(text)
    page.get_by_test_id(where).press("Enter")
