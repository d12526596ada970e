"""Tables of what was sent, answered and lost."""

from collections.abc import Mapping, Sequence

from bench.clients import Tally


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same keys, which are the columns."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[str(row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counted(case: str, tally: Tally, **more: object) -> dict[str, object]:
    """A row of what became of some requests."""
    answered = {key: n for key, n in tally.outcomes.items() if isinstance(key, int) and key != 503}
    return {
        "case": case,
        "sent": tally.sent,
        "answered": ", ".join(f"{n} x {status}" for status, n in sorted(answered.items())) or 0,
        "refused 503": tally.outcomes[503],
        "not connected": tally.outcomes["refused"],
        "lost": tally.outcomes["lost"],
        **more,
    }
