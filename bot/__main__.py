"""The console: `finetune-bot COMMAND` or `python -m bot COMMAND`."""

from bot.cli import console


def main() -> None:
    """Run the command that was typed."""
    console()


if __name__ == "__main__":
    main()
