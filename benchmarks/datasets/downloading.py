"""Fetch the raw file of a published data set from its official home, once, and check it."""

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

from benchmarks.datasets.base import PromptFileError
from benchmarks.datasets.published import Download, PublishedDataset, parse_published
from benchmarks.reach import open_client

_CONNECT_TIMEOUT_S = 10.0
_SILENCE_TIMEOUT_S = 30.0
_ATTEMPTS = 3
_PART = ".part"

# told how many bytes are there, and of how many (None where the server does not say)
Report = Callable[[int, int | None], object]


class DownloadError(RuntimeError):
    """A raw file could not be had from its official home; nothing was imported."""

    def __init__(self, wanted: Download, problem: str) -> None:
        super().__init__(f"{wanted.url} {problem}. Nothing was imported. Try again later, or {wanted.remedy}.")


def download_raw(*, dataset: PublishedDataset, into: Path, report: Report) -> Path:
    """Return a folder with the raw file of a data set; a file that is there already is not fetched again.

    A download that broke off goes on where it stopped, if a hash can tell whether the parts belong together.

    Raises:
        DownloadError: the home cannot be reached, refuses, breaks off, or sends something else than was published.
    """
    wanted = dataset.download()
    folder = into / dataset.name
    path = retrieve(wanted=wanted, folder=folder, report=report)
    if wanted.known_hash is None:
        _check_structure(dataset, wanted, path)
    return folder


def retrieve(*, wanted: Download, folder: Path, report: Report) -> Path:
    """Return the path of a file in a folder, fetched from its home where it is not there yet.

    Raises:
        DownloadError: see `download_raw`.
    """
    try:
        path = _retrieve(wanted, folder, report)
        for member, name in (wanted.members or {}).items():
            _unpack(path, member, folder / name)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise DownloadError(wanted, f"answered {status} {error.response.reason_phrase}") from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise DownloadError(wanted, f"cannot be reached ({error or 'no answer in time'})") from error
    except httpx.HTTPError as error:
        raise DownloadError(wanted, f"broke off before the end ({error or 'it fell silent'})") from error
    except (tarfile.TarError, EOFError) as error:
        raise DownloadError(wanted, f"sent an archive that cannot be used ({error})") from error
    except ValueError as error:
        raise DownloadError(wanted, f"sent another file than was published ({error})") from error
    except OSError as error:
        raise DownloadError(wanted, f"could not be kept in {folder} ({error.strerror or error})") from error
    return path


def _retrieve(wanted: Download, folder: Path, report: Report) -> Path:
    import pooch  # late: 0.1 s, and only a download needs it

    pooch.get_logger().setLevel("WARNING")  # what it tells would stand in the middle of the progress bar
    fetch = _Fetch(folder / f"{wanted.file_name}{_PART}", is_resumed=wanted.known_hash is not None, report=report)
    path = pooch.retrieve(
        url=wanted.url, known_hash=wanted.known_hash, fname=wanted.file_name, path=folder, downloader=fetch
    )
    return Path(path)


def _unpack(archive: Path, member: str, path: Path) -> None:
    """Take one file out of a tarball; it appears whole or not at all."""
    with tarfile.open(archive) as tarball:
        packed = tarball.extractfile(member) if member in tarball.getnames() else None
        if packed is None:
            raise tarfile.ReadError(f"it has no file {member}")
        part = path.with_name(f"{path.name}{_PART}")
        with packed, part.open("wb") as file:
            shutil.copyfileobj(packed, file)
    part.replace(path)


def _check_structure(dataset: PublishedDataset, wanted: Download, path: Path) -> None:
    """Refuse what is not the data set, and forget it, so that the next try fetches again."""
    try:
        parse_published(dataset=dataset, folder=path.parent)
    except PromptFileError as error:
        path.unlink()
        raise DownloadError(wanted, f"sent something else than {dataset.title} ({error})") from error


@dataclass(frozen=True)
class _Fetch:
    """Fetches for pooch, whose own downloader can neither go on where another one stopped nor fall silent in time."""

    part: Path
    is_resumed: bool
    report: Report

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._fetch(url)
                break
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if attempt == _ATTEMPTS:
                    raise
        self.part.replace(output_file)

    def _fetch(self, url: str) -> None:
        there = self.part.stat().st_size if self.is_resumed and self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
        timeout = httpx.Timeout(_SILENCE_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        with (
            open_client(timeout=timeout, follow_redirects=True) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            is_unusable_part = response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and there > 0
            if not is_unusable_part:
                response.raise_for_status()
                self._keep(response, there if response.status_code == HTTPStatus.PARTIAL_CONTENT else 0)
        if is_unusable_part:
            self.part.unlink()
            self._fetch(url)

    def _keep(self, response: httpx.Response, there: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = there + int(length) if length.isdecimal() else None
        with self.part.open("ab" if there else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                there += len(chunk)
                self.report(there, total)
