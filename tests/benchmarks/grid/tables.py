"""A small table with the columns of the published one; its figures are made up."""

from pathlib import Path

HEADER = "country,year,iso_code,population,carbon_intensity_elec,wind_share_elec"
ROWS = (
    "Germany,2022,DEU,83000000,401.5,21.5",
    "Germany,2023,DEU,83100000,352.25,27",
    "France,2023,FRA,66000000,57,9.5",
    "Kosovo,2023,OWID_KOS,1700000,940,4",
    "France,1990,FRA,57000000,,",
    "World,2023,OWID_WRL,8000000000,480,7.5",
    "Africa,2023,,1400000000,520,1.5",
    "Netherlands Antilles,2009,ANT,200000,700,",
)


def write_table(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *(rows or ROWS)]) + "\n", encoding="utf8")
    return path
