"""The time series that the package statsmodels ships: real data that needs no download.

Only the files are read; the package itself is not imported.

Sources: `sunspots`: yearly means, 1700 to 2008, National Geophysical Data Center. `nile`: yearly
flow at Aswan, 1871 to 1970, Cobb 1978. `co2`: weekly means at Mauna Loa, 1958 to 2001, Keeling and
Whorf 2004.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ...compiler.diagnostics import Code, failure

PACKAGE = "statsmodels"


def shipped_path(name: str) -> Path:
    """The CSV file of a data set.

    Raises: NetwrightError: R907: the package is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise failure(
            Code.R907,
            f"`dataset: {name}` expects the package {PACKAGE}, found none",
            help='install it with `pip install "netwright[series]"`, or name a file of your own '
            "with `path`",
        )
    return Path(found.submodule_search_locations[0]) / "datasets" / name / f"{name}.csv"
