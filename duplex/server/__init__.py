"""The server: aiohttp, admission, pacing. `run_server` is the process, `make_app` the application inside it."""

from duplex.server.app import make_app
from duplex.server.config import ServerConfig
from duplex.server.run import run_server

__all__ = ["ServerConfig", "make_app", "run_server"]
