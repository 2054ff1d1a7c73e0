"""Conversions between the units that GreenLLM stores and shows; the only place where a factor stands."""

NANOSECONDS_PER_SECOND = 1_000_000_000
NANOSECONDS_PER_MILLISECOND = 1_000_000
MILLIWATTS_PER_WATT = 1_000
MICROJOULES_PER_JOULE = 1_000_000
JOULES_PER_KILOWATT_HOUR = 3_600_000
MILLIGRAMS_PER_GRAM = 1_000
MICROGRAMS_PER_GRAM = 1_000_000
GRAMS_PER_KILOGRAM = 1_000
MICROSECONDS_PER_SECOND = 1_000_000
BYTES_PER_GIGABYTE = 1_000_000_000
SECONDS_PER_DAY = 86_400
SECONDS_PER_YEAR = 365 * SECONDS_PER_DAY  # ISO/IEC 21031 leaves the year open; the paper's authors use 365 days


def joules_to_kilowatt_hours(energy_j: float) -> float:
    """Convert an energy from joules to kilowatt hours."""
    return energy_j / JOULES_PER_KILOWATT_HOUR


def nanoseconds_to_seconds(duration_ns: int) -> float:
    """Convert a duration from nanoseconds to seconds."""
    return duration_ns / NANOSECONDS_PER_SECOND


def seconds_to_nanoseconds(duration_s: float) -> int:
    """Convert a duration from seconds to whole nanoseconds."""
    return round(duration_s * NANOSECONDS_PER_SECOND)


def grams_to_milligrams(mass_g: float) -> float:
    """Convert a mass from grams to milligrams."""
    return mass_g * MILLIGRAMS_PER_GRAM


def grams_to_kilograms(mass_g: float) -> float:
    """Convert a mass from grams to kilograms."""
    return mass_g / GRAMS_PER_KILOGRAM


def milliwatts_to_watts(power_mw: float) -> float:
    """Convert a power from milliwatts to watts."""
    return power_mw / MILLIWATTS_PER_WATT


def mean_power_mw(energy_uj: float, window_ns: int) -> float:
    """Return the mean power, in milliwatts, of an energy in microjoules used within a time in nanoseconds."""
    return energy_uj * MILLIWATTS_PER_WATT * NANOSECONDS_PER_SECOND / (MICROJOULES_PER_JOULE * window_ns)


def network_energy_j(byte_count: int, kwh_per_gb: float) -> float:
    """Return the energy of sending bytes over a network of so many kWh per GB, in joules."""
    return byte_count / BYTES_PER_GIGABYTE * kwh_per_gb * JOULES_PER_KILOWATT_HOUR


def size_in_words(size_bytes: int) -> str:
    """Write a size with three digits in decimal units, as inference servers tell those of weights."""
    size, unit = float(size_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000.0, larger
    return f"{size:.3g} {unit}"
