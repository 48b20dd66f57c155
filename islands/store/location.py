"""Where a store is: a folder, or a prefix in a bucket."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import icechunk

from islands.errors import StoreError
from islands.files import BEGUN

SCHEMES = ("s3", "gs", "az")
"""Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

SNAPSHOTS = "snapshots"
"""The folder of a store that has a file for each commit."""

REFS = "refs"
"""The folder that names the commits: without it the rest cannot be read."""

LOCK = "LOCK"
"""The file that whoever writes to a store on a disk has locked."""

_BEFORE_REFS = {LOCK, BEGUN, SNAPSHOTS, "chunks", "manifests", "transactions", "config.yaml"}
"""What there may be of a store before its references are in place."""

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):/{1,2}(?P<bucket>[^/]+)/*(?P<prefix>.*?)/*")


@dataclass(frozen=True)
class Location:
    """A path, or a URL `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.

    Credentials come from where the cloud's own tools look for them: environment variables, profiles, the
    machine's role. Of S3, `AWS_ENDPOINT_URL` names another server that speaks its protocol; of Azure,
    `AZURE_STORAGE_ACCOUNT_NAME` the account.
    """

    text: str
    scheme: str | None = None
    bucket: str = ""
    prefix: str = ""

    @staticmethod
    def of(location: Location | Path | str) -> Location:
        """Read a location.

        Raises:
            StoreError: it is a URL of another kind, or one without a bucket and a prefix.
        """
        if isinstance(location, Location):
            return location
        text = os.fspath(location)
        # A URL that passed through `Path` has lost one of its slashes.
        url = _URL.fullmatch(text)
        if url is None and "://" not in text:
            return Location(text)
        if url is None or url["scheme"] not in SCHEMES or not url["prefix"]:
            raise StoreError(
                f"store: got {text}; expected a path such as runs/first, or s3://BUCKET/PREFIX, "
                "gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
            )
        scheme, bucket, prefix = url["scheme"], url["bucket"], url["prefix"]
        return Location(f"{scheme}://{bucket}/{prefix}", scheme, bucket, prefix)

    def __str__(self) -> str:
        return self.text

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder."""
        return self.scheme is None

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.resolve().name if self.is_local else self.prefix.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """The folder.

        Raises:
            StoreError: it is in a bucket.
        """
        if not self.is_local:
            raise StoreError(f"{self} is in a bucket; expected a folder on a disk")
        return Path(self.text)

    def storage(self) -> icechunk.Storage:
        """Return what Icechunk opens.

        Raises:
            StoreError: the environment lacks what the kind of storage needs.
        """
        match self.scheme:
            case "s3":
                return _s3(self.bucket, self.prefix)
            case "gs":
                return icechunk.gcs_storage(bucket=self.bucket, prefix=self.prefix, from_env=True)
            case "az":
                account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
                if account is None:
                    raise StoreError(
                        f"{self}: set AZURE_STORAGE_ACCOUNT_NAME to the account of the container"
                    )
                return icechunk.azure_storage(
                    account=account, container=self.bucket, prefix=self.prefix, from_env=True
                )
            case _:
                return icechunk.local_filesystem_storage(self.text)


def is_store_folder(folder: Path) -> bool:
    """Tell whether a folder is laid out as a store is: as Icechunk lays out a repository."""
    return all((folder / part).is_dir() for part in (SNAPSHOTS, REFS))


def is_begun_folder(folder: Path) -> bool:
    """Tell whether a store is being made in a folder, or was until its process was killed.

    Whatever else lies there makes it somebody's folder.
    """
    names = {child.name for child in folder.iterdir()} if folder.is_dir() else set()
    return names == {LOCK} or (BEGUN in names and names <= _BEFORE_REFS)


def _s3(bucket: str, prefix: str) -> icechunk.Storage:
    environment = os.environ
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    return icechunk.s3_storage(
        bucket=bucket,
        prefix=prefix,
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
        endpoint_url=endpoint,
        allow_http=endpoint is not None and endpoint.startswith("http://"),
        # Servers other than Amazon's seldom have a host name for each bucket.
        force_path_style=endpoint is not None,
        from_env=True,
    )
