"""Read a published table of yearly carbon intensities: CSV, one row a country and year, mistakes by their lines."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import iso3166

from benchmarks.grid.base import MAX_GCO2E_PER_KWH

MAX_SHOWN_ERRORS = 20
MAX_FILE_BYTES = 256 * 1024 * 1024

_YEARS = range(1900, 2101)
_ALPHA_3 = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class PublishedTable:
    """A table and its home; `source` stands on every row made of it, and names authors and licence."""

    name: str
    title: str
    url: str
    source: str
    licence: str
    attribution: str
    code_column: str
    year_column: str
    intensity_column: str
    own_codes: tuple[tuple[str, str], ...] = ()  # of countries without an ISO code, and the zone of each

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that are read; further ones are left alone."""
        return (self.code_column, self.year_column, self.intensity_column)


OUR_WORLD_IN_DATA = PublishedTable(
    name="owid",
    title="Data on Energy by Our World in Data",
    url="https://nyc3.digitaloceanspaces.com/owid-public/data/energy/owid-energy-data.csv",
    source="Our World in Data, Data on Energy (carbon_intensity_elec), after Ember; CC BY 4.0",
    licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
    attribution=(
        "Hannah Ritchie, Pablo Rosado, Edouard Mathieu and Max Roser, Data on Energy, Our World in Data "
        "(https://github.com/owid/energy-data), with data of Ember's Yearly Electricity Data."
    ),
    code_column="iso_code",
    year_column="year",
    intensity_column="carbon_intensity_elec",
    own_codes=(("OWID_KOS", "XK"),),
)
TABLES = {table.name: table for table in (OUR_WORLD_IN_DATA,)}


@dataclass(frozen=True)
class YearlyIntensity:
    """The average carbon intensity of a country's electricity in one year."""

    line: int
    zone: str
    year: int
    gco2e_per_kwh: float


@dataclass(frozen=True)
class YearlyTable:
    """What a file holds: intensities by zone and year, and what was passed over."""

    rows: tuple[YearlyIntensity, ...]
    other_codes: tuple[str, ...]  # regions, groups and former states: no zone of today
    empty_count: int  # rows of countries for which no intensity is published


class TableError(ValueError):
    """A table cannot be imported; nothing of it was."""

    def __init__(self, path: Path, errors: Sequence[str]) -> None:
        self.errors = tuple(errors)
        shown = "\n".join(f"  {error}" for error in errors[:MAX_SHOWN_ERRORS])
        more = f"\n  and {len(errors) - MAX_SHOWN_ERRORS} more" if len(errors) > MAX_SHOWN_ERRORS else ""
        super().__init__(f"{path}: nothing was imported, because of\n{shown}{more}")


def read_table(*, path: Path, table: PublishedTable) -> YearlyTable:
    """Read a file that has the columns of a published table; zones are ISO 3166-1 alpha-2 codes.

    Raises:
        TableError: it cannot be read, lacks a column, or holds mistakes; each is named by its line.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TableError(path, [f"file: it is larger than {MAX_FILE_BYTES} bytes"])
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in table.columns if name not in (reader.fieldnames or ())]
            if missing:
                raise TableError(path, [f"line 1: the column {name!r} is missing" for name in missing])
            return _collect(reader, path, table)
    except OSError as error:
        raise TableError(path, [f"file: it cannot be read: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise TableError(path, [f"file: it is not UTF-8: {error}"]) from error
    except csv.Error as error:
        raise TableError(path, [f"file: it is no CSV: {error}"]) from error


def _collect(reader: "csv.DictReader[str]", path: Path, table: PublishedTable) -> YearlyTable:
    found: dict[tuple[str, int], YearlyIntensity] = {}
    errors: list[str] = []
    others: set[str] = set()
    empty = 0
    for row in reader:
        line = reader.line_num
        if None in row or None in row.values():
            errors.append(f"line {line}: it has {'more' if None in row else 'fewer'} cells than there are columns")
            continue
        code, year, intensity = (row[name].strip() for name in table.columns)
        zone = _zone_of(code, table)
        if zone is None:
            others.add(code)
        elif not intensity:
            empty += 1
        elif mistake := _mistake(year, intensity, table):
            errors.append(f"line {line}, {mistake}")
        elif (known := found.get((zone, int(year)))) is not None:
            errors.append(f"line {line}: {code} in {year} stands on line {known.line} already")
        else:
            found[zone, int(year)] = YearlyIntensity(line, zone, int(year), float(intensity))
    if not found and not errors:
        errors.append("file: it holds no intensity of any country")
    if errors:
        raise TableError(path, errors)
    return YearlyTable(tuple(found.values()), tuple(sorted(others - {""})), empty)


def _zone_of(code: str, table: PublishedTable) -> str | None:
    own = dict(table.own_codes)
    if code in own:
        return own[code]
    country = iso3166.countries_by_alpha3.get(code) if _ALPHA_3.fullmatch(code) else None
    return country.alpha2 if country is not None else None


def _mistake(year: str, intensity: str, table: PublishedTable) -> str:
    """Tell what is wrong with a year or an intensity; nothing is said where both are right."""
    if not (year.isascii() and year.isdecimal() and len(year) == 4 and int(year) in _YEARS):
        return f"{table.year_column}: {year[:40]!r} is no year from {_YEARS.start} to {_YEARS.stop - 1}"
    try:
        number = float(intensity)
    except ValueError:
        number = float("nan")
    if not 0 <= number <= MAX_GCO2E_PER_KWH:
        wanted = f"a number of gCO2e/kWh from 0 to {MAX_GCO2E_PER_KWH:g}"
        return f"{table.intensity_column}: {intensity[:40]!r} is not {wanted}"
    return ""
