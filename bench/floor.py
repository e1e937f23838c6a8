"""The floor: a bare FastAPI application that does for each call only what cannot be left out.

Basic auth, the same number of transactions on the same tables, one Fernet operation. It is served by
``uvicorn bench.floor:app`` with Outpost's environment.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from cryptography.fernet import Fernet
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from sqlalchemy import bindparam, delete, func, insert, select, update

from core.threads import in_long_thread, in_thread
from infra.database import Database
from infra.schema import migrate
from infra.settings import read_settings
from infra.tables import hubs, services
from infra.wiring import utc_now

settings = read_settings()
database = Database(settings.database_url)
migrate(database, settings.sealer())
fernet = Fernet(settings.crypt_key.get_secret_value())
passwords = settings.hub_passwords
app = FastAPI()


async def hub(login: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> str:
    """Who is calling."""
    password = passwords.get(login.username, "")
    if not hmac.compare_digest(password.encode(), login.password.encode()):
        raise HTTPException(401)
    return login.username


Hub = Annotated[str, Depends(hub)]


_FIND = select(services).where(
    services.c.jupyterhub_username == bindparam("hub"), services.c.name == bindparam("name"), services.c.start_id == "0"
)
_HUB = select(hubs.c.name).where(hubs.c.name == bindparam("hub"))
_ADD = insert(services).returning(services.c.id)
_SET = update(services).where(services.c.id == bindparam("row_id"))
_DELETE = delete(services).where(services.c.id == bindparam("row_id"))


def _admit(name: str, username: str, token: bytes) -> int:
    now = utc_now()
    row: dict[str, Any] = {"name": name, "start_id": "0", "jupyterhub_username": username, "jupyterhub_user_id": "0"}
    row |= {"status": "starting", "start_date": now, "last_update": now, "body": token}
    with database.write() as db:
        if db.scalar(_HUB, {"hub": username}) is None:
            db.execute(insert(hubs).values(name=username))
        row_id: int = db.scalars(_ADD, row).one()
    return row_id


def _set(row_id: int, status: str) -> None:
    with database.write() as db:
        db.execute(_SET, {"row_id": row_id, "status": status})


def _find(name: str, username: str) -> Any:
    with database.read() as db:
        return db.execute(_FIND, {"hub": username, "name": name}).first()


def _delete(row_id: int) -> None:
    with database.write() as db:
        db.execute(_DELETE, {"row_id": row_id})


_LISTED = (
    services.c.name,
    services.c.start_id,
    services.c.start_date,
    services.c.end_date,
    services.c.jupyterhub_user_id,
    services.c.last_update,
    services.c.flavor,
    services.c.status,
)


_LIST = select(*_LISTED).where(services.c.jupyterhub_username == bindparam("hub"))


def _list(username: str) -> list[dict[str, Any]]:
    with database.read() as db:
        rows = db.execute(_LIST, {"hub": username}).all()
    return [
        {
            "name": name,
            "start_id": start_id,
            "start_date": start_date.isoformat(),
            "end_date": end_date.isoformat() if end_date else "9999-12-31T23:59:59.999999+00:00",
            "jupyterhub": username,
            "jupyterhub_userid": user_id,
            "last_update": last_update.isoformat(),
            "state_stored": True,
            "start_pending": status == "starting",
            "stop_pending": status == "stopping",
            "flavor": flavor,
            "status": status,
        }
        for name, start_id, start_date, end_date, user_id, last_update, flavor, status in rows
    ]


_COUNT = (
    select(services.c.flavor, func.count())
    .where(services.c.jupyterhub_username == bindparam("hub"), services.c.status != "stopping")
    .group_by(services.c.flavor)
)


def _count(username: str) -> dict[str, int]:
    with database.read() as db:
        return {str(flavor): number for flavor, number in db.execute(_COUNT, {"hub": username})}


@app.get("/ping")
async def ping() -> JSONResponse:
    """It answers."""
    return JSONResponse({"ping": "pong!"})


@app.post("/services")
async def start(body: dict[str, Any], username: Hub) -> JSONResponse:
    """Two transactions, as a start of a Spawner without state has."""
    row_id = await in_thread(_admit, body["name"], username, fernet.encrypt(str(body).encode()))
    await in_thread(_set, row_id, "running")
    return JSONResponse({"service": "http://127.0.0.1:1"})


@app.get("/services")
async def list_services(username: Hub) -> JSONResponse:
    """One transaction."""
    return JSONResponse(await in_long_thread(_list, username))


@app.get("/services/{name}/{start_id}")
async def poll(name: str, start_id: str, username: Hub) -> JSONResponse:
    """One transaction."""
    row = await in_thread(_find, name, username)
    fernet.decrypt(row.body)
    return JSONResponse({"status": None, "logs": []})


@app.delete("/services/{name}/{start_id}")
async def stop(name: str, start_id: str, username: Hub) -> JSONResponse:
    """Three transactions: find, mark, delete."""
    row = await in_thread(_find, name, username)
    await in_thread(_set, row.id, "stopping")
    fernet.decrypt(row.body)
    await in_thread(_delete, row.id)
    return JSONResponse({"logs": []})


@app.get("/flavors")
async def flavors(username: Hub) -> JSONResponse:
    """One transaction."""
    return JSONResponse(await in_thread(_count, username))
