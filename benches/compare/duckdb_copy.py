"""One contestant of run.py: every NDJSON file of a folder through DuckDB's read_json into a Parquet file.

    duckdb_copy.py FOLDER OUT THREADS

DuckDB's defaults but for the threads: the types come from a sample of each file, and values that do not fit are errors
or are cut; what it makes of dates and numbers is not lossless. Zstd at DuckDB's default level (3). Prints how many rows there
are.
"""

import sys
from pathlib import Path

import duckdb


def main():
    folder, out, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    database = duckdb.connect(config={"threads": threads})
    rows = 0
    for source in sorted(folder.glob("*.ndjson")):
        target = out / source.with_suffix(".parquet").name
        # Lines of real exports exceed the default of 16 MB only where attachments are inlined.
        rows += database.execute(f"""
            COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited', maximum_object_size = 134217728))
            TO '{target}' (FORMAT parquet, COMPRESSION zstd)
        """).fetchone()[0]
    print(f"rows {rows}")


if __name__ == "__main__":
    main()
