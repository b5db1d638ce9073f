"""The workspace alone, for a bot started beside it: `python -m bot.sandbox --port 3000`."""

import argparse

from bot.sandbox.server import Sandbox


def main() -> None:
    """Serve until Ctrl-C, after saying where, and what a bot must be told."""
    parser = argparse.ArgumentParser(description="A Slack workspace on this machine.")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--delivery", choices=["socket", "http"], default="socket")
    parser.add_argument("--request-url", default="", help="where the bot listens, for --delivery http")
    chosen = parser.parse_args()
    sandbox = Sandbox(chosen.port, delivery=chosen.delivery, request_url=chosen.request_url)
    print(f"The local workspace: {sandbox.url}\nFor a bot beside it:", flush=True)  # noqa: T201 -- what it is for
    for name, value in sandbox.env().items():
        print(f"  export {name}={value}", flush=True)  # noqa: T201 -- likewise
    sandbox.run()


if __name__ == "__main__":
    main()
