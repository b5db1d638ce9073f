"""The model server: answers for base models and tuned ones over HTTP, as OpenAI does.

python -m providers.local.serving --models FOLDER --cache FOLDER --port 8090 [--host 127.0.0.1]
    [--adapter-megabytes 512]
"""

import argparse
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from providers.local.serving import openai_api
from providers.local.serving.catalogue import Catalogue
from providers.local.serving.engine import Engine, open_engine
from providers.local.settings import shut_off

GRACE_SECONDS = 3
"""How long running answers may go on after a stop."""


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m providers.local.serving", description="Serve local models.")
    parser.add_argument("--models", type=Path, required=True, help="folder of tuned models, a folder each")
    parser.add_argument("--cache", type=Path, required=True, help="folder where base models are unpacked")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--adapter-megabytes", type=int, help="memory for adapters (default: by their base model's)")
    arguments = parser.parse_args()
    shut_off()
    adapter_bytes = arguments.adapter_megabytes << 20 if arguments.adapter_megabytes is not None else None
    engine = open_engine(Catalogue(arguments.models, arguments.cache), arguments.cache, adapter_bytes)
    app = openai_api.build(engine)
    app.router.lifespan_context = _running(engine)
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _running(engine: Engine) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        engine.stop()

    return lifespan


if __name__ == "__main__":
    main()
