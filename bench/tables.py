"""Tables in Markdown: every figure of the benchmarks is printed as one."""

from collections.abc import Mapping, Sequence

from bench.load import LoadStats, ResponseStatus


def markdown_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a table of rows with the same keys, which are the columns."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[str(row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures_table(heading: str, figures: Mapping[str, float], *, digits: int) -> str:
    """Return a table of two columns: a figure's name, and its value with so many decimals."""
    return markdown_table(
        [{heading: name, "": f"{value:.{digits}f}"} for name, value in figures.items()]
    )


def load_row(case: str, stats: LoadStats, **more: object) -> dict[str, object]:
    """Return a row of the outcomes of a load, with `more` columns behind.

    `answered` lists the number of answers of each status but 503; see `bench.load.ResponseStatus`.
    """
    answered = {
        status: count
        for status, count in stats.outcomes.items()
        if isinstance(status, int) and status != 503
    }
    return {
        "case": case,
        "sent": stats.attempts,
        "answered": ", ".join(f"{n} x {status}" for status, n in sorted(answered.items())) or 0,
        "refused 503": stats.outcomes[503],
        "not connected": stats.outcomes["refused"],
        "lost": stats.outcomes["lost"],
        **more,
    }


def percentiles(stats: LoadStats, outcome: ResponseStatus) -> str:
    """Return the median and the 99th percentile of the latencies of an outcome, ms."""
    return f"{stats.percentile_ms(0.5, outcome):.0f}, {stats.percentile_ms(0.99, outcome):.0f}"
