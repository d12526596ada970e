"""Figures of several rounds."""

import pytest

from bench.http import CONCURRENCIES, Round, medians, ratios, table
from bench.wrk import WrkReport


def one_round(earshot: float, naive: float, errors: int = 0) -> Round:
    """Two servers that take so many milliseconds for a request alone."""
    return {
        name: {
            count: WrkReport(
                count * 1000 / alone, p50_ms=alone, p99_ms=alone * count / 4, errors=errors
            )
            for count in CONCURRENCIES
        }
        for name, alone in (("earshot", earshot), ("naive", naive))
    }


# The machine is slow in the second round, for both, and earshot has bad luck in the third.
ROUNDS = [one_round(5, 50, errors=1), one_round(10, 100), one_round(20, 60, errors=2)]


def test_each_figure_is_the_median_over_rounds_and_errors_are_added_up() -> None:
    assert medians(ROUNDS)["earshot"][8] == WrkReport(800.0, p50_ms=10, p99_ms=20.0, errors=3)


def test_ratios_are_the_medians_of_those_of_each_round() -> None:
    assert ratios(ROUNDS, [12_800, 12_800, 1_600]) == pytest.approx(
        {
            "requests/s at concurrency 8, against naive": 10,
            "p50 at concurrency 1, naive against earshot": 10,
            "requests/s at its best concurrency, against clips/s of the network alone": 0.5,
            "p99 against p50 at concurrency 8": 2,
        }
    )


def test_the_table_has_a_row_for_each_server_and_concurrency() -> None:
    lines = table(medians(ROUNDS)).splitlines()
    assert len(lines) == 2 + 2 * len(CONCURRENCIES)
    assert lines[5] == "| earshot | 8 | 800.0 | 10.0 | 20.0 | 3 |"
