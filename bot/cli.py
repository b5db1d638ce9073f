"""The commands of `finetune-bot`. Each imports what it needs when it runs, so that all start quickly."""

import json
import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from workers.errors import SetupProblem, UserError

console = typer.Typer(
    name="finetune-bot",
    help="Fine-tune language models without leaving your team's Slack channel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

CONVERT_TARGETS = (
    "openai-chat, openai-preference, prompt-completion, azure-ml-chat, azure-ml-text, trl-chat, trl-preference, "
    "autotrain-csv, autotrain-jsonl, alpaca, sharegpt, kto or text"
)
"""Written out, so that `--help` need not load the dataset engine; a test compares it with workers.dataprep.convert."""
MOST_LISTED = 5
"""So many findings of a kind are printed one by one; then their number."""
DATABASE_SECONDS = 1.0
"""The bot waits so long for the database: Slack itself waits three seconds for the bot."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def _stop(error: Exception, code: int) -> typer.Exit:
    print(f"finetune-bot: {error}", file=sys.stderr)
    return typer.Exit(code)


@console.command()
def up(
    port: Annotated[
        int,
        typer.Option(help="Port of the local workspace's page (0: any free one).", envvar="FINETUNE_BOT_PAGE_PORT"),
    ] = 3000,
) -> None:
    """Start everything on this machine; without Slack tokens, a local workspace in the browser too."""
    from bot.launch import run_until_stopped

    try:
        run_until_stopped(port)
    except SetupProblem as error:
        raise _stop(error, 1) from error


@console.command()
def demo(
    as_json: AsJson = False,
    keep: Annotated[bool, typer.Option(help="Keep the demo's folder afterwards.")] = False,
) -> None:
    """Play the main job through the real bot and print the channel as it happens."""
    from bot.demo import DemoFailed, play

    try:
        play(as_json=as_json, keep=keep)
    except (SetupProblem, DemoFailed) as error:
        raise _stop(error, 1) from error


@console.command()
def check(
    file: Annotated[str, typer.Argument(help="A file, a folder of save_to_disk, or hf:owner/name@revision.")],
    as_json: AsJson = False,
    tokenizer: Annotated[str, typer.Option(help="o200k_base, cl100k_base, or file:PATH of a tokenizer.json.")] = "",
    context: Annotated[int, typer.Option(min=1, help="Tokens that the model reads.")] = 16_385,
    mapping: Annotated[str, typer.Option(help="Columns of a table: 'prompt=COLUMN,answer=COLUMN,system=COLUMN'.")] = "",
) -> None:
    """Check a dataset. Exit status: 0 trainable, 1 has errors, 2 could not be read."""
    import tempfile

    from bot import report_text
    from workers.dataprep import hub, tokens
    from workers.dataprep.formats import ColumnMapping
    from workers.dataprep.report import check_file
    from workers.dataprep.source import Limits
    from workers.settings import Settings

    try:
        if not file.startswith("hf:") and not Path(file).exists():
            raise UserError(f"There is no file {file}.")
        with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
            report = check_file(
                hub.fetched(file, Path(folder)) if file.startswith("hf:") else Path(file),
                name=file,
                tokenizer=tokenizer or tokens.DEFAULT,
                context=context,
                mapping=ColumnMapping.parse(mapping) if mapping else None,
                limits=Limits(max_bytes=Settings().max_upload_bytes),
            )
    except (UserError, OSError) as error:
        if as_json:
            print(json.dumps({"path": file, "error": str(error)}))
        raise _stop(error, 2) from error
    if as_json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        for line in report_text.lines(report, Path(file).name):
            print(line)
    raise typer.Exit(0 if report.trainable else 1)


@console.command()
def convert(
    file: Path,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"The format to write: {CONVERT_TARGETS}.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")],
    mapping: Annotated[str, typer.Option(help="Columns of a table: 'prompt=COLUMN,answer=COLUMN,system=COLUMN'.")] = "",
) -> None:
    """Write a dataset in another format. What is lost is told. Exit status: 0 written, 2 could not be."""
    from workers.dataprep.convert import convert_file
    from workers.dataprep.formats import ColumnMapping

    try:
        columns = ColumnMapping.parse(mapping) if mapping else None
        written = convert_file(file, to, out, mapping=columns)
    except (UserError, OSError) as error:
        raise _stop(error, 2) from error
    listed: Counter[str] = Counter()
    for line, found in written.findings:
        listed[found.words] += 1
        if listed[found.words] <= MOST_LISTED:
            where = f" {written.unit} {line}:" if line is not None else ""
            print(f"  {found.severity}:{where} {found.words} ({found.check})", file=sys.stderr)
    for words, number in written.losses.items():
        if number > MOST_LISTED:
            print(f"  and {number - MOST_LISTED:,} more: {words}", file=sys.stderr)
    left_out = f", {written.left_out:,} left out" if written.left_out else ""
    print(f"{out}: {written.count:,} examples, {to}{left_out}")


@console.command()
def doctor(
    as_json: AsJson = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask each vendor with each workspace's credentials, too.")] = False,
) -> None:
    """Say what is configured, what is missing and how to mend it."""
    from dataclasses import asdict

    from bot.doctor import examine
    from bot.settings import SlackSettings
    from workers.logs import configure
    from workers.settings import Settings

    settings, healthy = Settings(), True
    configure(settings, "doctor", level=logging.ERROR)
    for line in examine(settings, SlackSettings(), asking_vendors=ask):
        healthy = healthy and (line.ok or not line.needed)
        if as_json:
            print(json.dumps(asdict(line), ensure_ascii=False))
            continue
        print(f"{'ok     ' if line.ok else 'MISSING' if line.needed else 'note   '} {line.what}: {line.found}")
        if line.mend and (not line.ok or line.what == "Slack"):
            print(f"        {line.mend}")
    raise typer.Exit(0 if healthy else 1)


@console.command()
def rotate_keys() -> None:
    """Seal all vendor credentials with a new key. The one before it is kept until the next time."""
    from sqlalchemy.exc import SQLAlchemyError

    from workers import credentials
    from workers.db import Database
    from workers.settings import Settings
    from workers.vault import Vault

    settings = Settings()
    vault = Vault(settings.folder)
    if not settings.database_url and not (settings.folder / "finetune-bot.db").exists():
        raise _stop(SetupProblem(f"There is no installation in {settings.folder}. Set FINETUNE_BOT_HOME."), 1)
    db = Database(settings.database)
    try:
        done = credentials.rotate(db, vault)
    except (SetupProblem, SQLAlchemyError, OSError) as error:
        raise _stop(error, 1) from error
    finally:
        db.dispose()
    what = "the first key of FINETUNE_BOT_VAULT_KEYS" if vault.is_given else "a new key"
    print(f"Sealed with {what}: {done.resealed} set{'s' if done.resealed != 1 else ''} of vendor credentials.")
    if vault.is_given:
        print("For a new key, put one before the others on every host, restart there, then run this again.")
    for team_id, provider in done.closed:
        print(f"Not opened by any key: {provider} of workspace {team_id}. Enter them again: /finetune keys")
    raise typer.Exit(1 if done.closed else 0)


@console.command()
def manifest(
    url: Annotated[
        str, typer.Option(help="The bot's public https address, for signed HTTP instead of Socket Mode.")
    ] = "",
) -> None:
    """Print the app manifest from which the Slack app is created."""
    from bot.manifest import manifest as build

    print(json.dumps(build(socket_mode=not url, url=url), indent=2))


@console.command()
def sandbox(port: int = 3000) -> None:
    """Run only the local workspace, for developing the bot beside it."""
    from bot.launch import run_sandbox

    run_sandbox(port)


@console.command(hidden=True)
def serve() -> None:
    """The bot's process: listens to Slack."""
    from bot.app import serve as serve_slack
    from bot.settings import SlackSettings
    from workers.context import build
    from workers.logs import configure
    from workers.settings import Settings

    settings = Settings()
    configure(settings, "bot")
    try:
        serve_slack(build(settings, busy_seconds=DATABASE_SECONDS), SlackSettings())
    except SetupProblem as error:
        raise _stop(error, 1) from error


@console.command(hidden=True)
def notifier() -> None:
    """The notifier's process: posts to Slack, downloads files, streams answers."""
    from bot.notifier import run
    from bot.settings import SlackSettings
    from workers.context import build
    from workers.logs import configure
    from workers.settings import Settings

    settings = Settings()
    configure(settings, "notifier")
    run(build(settings), SlackSettings())
