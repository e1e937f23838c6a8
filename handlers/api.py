"""The HTTP API as an ASGI application. Nothing is decided here."""

from __future__ import annotations

from importlib import metadata

from fastapi import FastAPI

from handlers import errors
from handlers.auth import BasicAuth, Reread
from handlers.limits import BodyLimit
from handlers.observed import Observe, Observed
from handlers.paths import RawPaths
from handlers.routes import flavors, health, services, ssh_node
from infra.wiring import Outpost


def create_app(outpost: Outpost, reread: Reread | None = None, observe: Observe | None = None) -> FastAPI:
    """The API of one Outpost. It needs no lifespan: whoever serves it also runs the schedules."""
    app = FastAPI(
        title="Outpost",
        summary="Runs the single-user servers of JupyterHubs that live elsewhere.",
        version=version(),
        redirect_slashes=False,
    )
    app.state.outpost = outpost
    for routes in (services, flavors, health, ssh_node):
        app.include_router(routes.router)
    errors.install(app)
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit)
    app.add_middleware(BasicAuth, settings=outpost.settings, reread=reread)
    if observe is not None:
        app.add_middleware(Observed, observe=observe)
    app.add_middleware(RawPaths, base_path=outpost.settings.base_path)
    return app


def version() -> str:
    """Of this Outpost."""
    try:
        return metadata.version("outpost")
    except metadata.PackageNotFoundError:  # a function's zip has the code without its metadata
        return "0"
