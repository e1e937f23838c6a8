"""Configuration files that stand in S3: a copy of each on this machine, kept up to date."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import MutableMapping
from datetime import datetime, timedelta
from pathlib import Path

from core.errors import ConfigError
from core.ports import Clock
from infra import aws

log = logging.getLogger(__name__)

VARIABLES = ("OUTPOST_CONFIG_FILE", "OUTPOST_FLAVORS_PATH", "OUTPOST_CREDITS_PATH")
LOOK_AGAIN_AFTER = timedelta(minutes=1)

_SCHEME = "s3://"
_NOT_MODIFIED = 304


class S3File:
    """One object of S3 and its copy."""

    def __init__(self, variable: str, url: str) -> None:
        """Nothing is fetched yet. Raises ``ConfigError`` when ``url`` is not ``s3://bucket/key``."""
        self._bucket, _, self._key = url.removeprefix(_SCHEME).partition("/")
        if not self._bucket or not self._key:
            raise ConfigError(f"{variable}: {url} must have the form s3://bucket/key")
        self._name = f"{variable}: {url}"
        self._etag: str | None = None
        folder = Path(tempfile.gettempdir()) / "outpost-files" / hashlib.sha256(url.encode()).hexdigest()[:16]
        self.path = folder / Path(self._key).name

    def fetch(self) -> None:
        """Make the copy what the object is now. Raises ``ConfigError`` that names the object."""
        from botocore.exceptions import ClientError

        known = {"IfNoneMatch": self._etag} if self._etag else {}
        with aws.explained(f"{self._name} cannot be read"):
            try:
                answer = aws.client("s3").get_object(Bucket=self._bucket, Key=self._key, **known)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == _NOT_MODIFIED:
                    return
                raise
            content = answer["Body"].read()
        self._replace(content)
        self._etag = answer["ETag"]

    def _replace(self, content: bytes) -> None:
        """In one step: nobody reads half a file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        new.write_bytes(content)
        new.replace(self.path)


class S3Files:
    """All files of the environment that stand in S3; their variables then name the copies."""

    def __init__(self, environ: MutableMapping[str, str], clock: Clock) -> None:
        """Fetch them. Raises ``ConfigError`` for one that cannot be had."""
        self._clock = clock
        self._looked_at: datetime = clock()
        self._files = []
        for variable in VARIABLES:
            if environ.get(variable, "").startswith(_SCHEME):
                file = S3File(variable, environ[variable])
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
