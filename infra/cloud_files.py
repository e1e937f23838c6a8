"""Configuration files that stand in S3 or Cloud Storage: a copy of each on this machine, kept up to date."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

from core.errors import ConfigError
from core.ports import Clock
from infra import aws, google_api

log = logging.getLogger(__name__)

VARIABLES = ("OUTPOST_CONFIG_FILE", "OUTPOST_FLAVORS_PATH", "OUTPOST_CREDITS_PATH")
LOOK_AGAIN_AFTER = timedelta(minutes=1)
ENDPOINT = "OUTPOST_STORAGE_ENDPOINT_URL"


@dataclass(frozen=True)
class Source:
    """One object: the variable that names it, and where it is."""

    variable: str
    url: str

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and key. Raises ``ConfigError`` when the URL has another form."""
        scheme, _, rest = self.url.partition("://")
        bucket, _, key = rest.partition("/")
        if not bucket or not key:
            raise ConfigError(f"{self.variable}: {self.url} must have the form {scheme}://bucket/key")
        return bucket, key


Download = Callable[[Source, str | None], tuple[bytes, str | None] | None]
"""An object's content and ETag; None when it still has the given one. Raises ``ConfigError`` that names the object."""


def from_s3(source: Source, etag: str | None) -> tuple[bytes, str | None] | None:
    """A :data:`Download`."""
    from botocore.exceptions import ClientError

    bucket, key = source.place
    known = {"IfNoneMatch": etag} if etag else {}
    with aws.explained(f"{source.variable}: {source.url} cannot be read"):
        try:
            answer = aws.client("s3").get_object(Bucket=bucket, Key=key, **known)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == google_api.NOT_MODIFIED:
                return None
            raise
        return answer["Body"].read(), answer["ETag"]


def from_google(api: google_api.Api, host: str, source: Source, etag: str | None) -> tuple[bytes, str | None] | None:
    """A :data:`Download`, once it is given the API and its address."""
    bucket, key = source.place
    url = f"{host}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(key, safe='')}?alt=media"
    known = {"If-None-Match": etag} if etag else {}
    answer = api.get(source.variable, url, f"{source.url} cannot be read", known)
    return None if answer.status_code == google_api.NOT_MODIFIED else (answer.content, answer.headers.get("ETag"))


class CloudFile:
    """One object and its copy."""

    def __init__(self, source: Source, download: Download) -> None:
        """Nothing is fetched yet. Raises ``ConfigError`` when the URL has a wrong form."""
        self._source, self._download = source, download
        self._etag: str | None = None
        folder = Path(tempfile.gettempdir()) / "outpost-files" / hashlib.sha256(source.url.encode()).hexdigest()[:16]
        self.path = folder / Path(source.place[1]).name

    def fetch(self) -> None:
        """Make the copy what the object is now. Raises ``ConfigError`` that names the object."""
        if (got := self._download(self._source, self._etag)) is not None:
            content, self._etag = got[0], None
            self._replace(content)
            self._etag = got[1]

    def _replace(self, content: bytes) -> None:
        """In one step: nobody reads half a file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        new.write_bytes(content)
        new.replace(self.path)


class CloudFiles:
    """All files of the environment that stand in a bucket; their variables then name the copies."""

    def __init__(self, environ: MutableMapping[str, str], clock: Clock) -> None:
        """Fetch them. Raises ``ConfigError`` for one that cannot be had."""
        self._clock = clock
        self._looked_at: datetime = clock()
        self._files = []
        host = google_api.endpoint(environ, ENDPOINT, "https://storage.googleapis.com")
        downloads: dict[str, Download] = {"s3": from_s3, "gs": partial(from_google, google_api.Api(), host)}
        for variable in VARIABLES:
            scheme, found, _ = environ.get(variable, "").partition("://")
            if found and scheme in downloads:
                file = CloudFile(Source(variable, environ[variable]), downloads[scheme])
                file.fetch()
                environ[variable] = str(file.path)
                self._files.append(file)

    def refresh(self) -> None:
        """Fetch again what has changed, now and then. What cannot be had stays as it is, and is logged."""
        if not self._files or self._clock() - self._looked_at < LOOK_AGAIN_AFTER:
            return
        self._looked_at = self._clock()
        for file in self._files:
            try:
                file.fetch()
            except ConfigError as error:
                log.error("%s; the last copy stays in force", error)
