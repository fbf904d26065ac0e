"""A suite's tables: quality, cost, and everything unrounded."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from segeval.ranking import COLUMNS
from segeval.result_tables import between
from segeval.tables import DASH, Table, percent
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.standing import Row, Standing

DAGGERS = ("†", "‡", "§", "¶")


def marks(suite: Suite) -> dict[str, str]:
    """A dagger for each note of the suite's members."""
    notes = dict.fromkeys(m.note for m in suite.members if m.note)
    return {note: DAGGERS[k % len(DAGGERS)] * (k // len(DAGGERS) + 1) for k, note in enumerate(notes)}


def shown_name(suite: Suite, row: Row) -> str:
    """A member's name in tables, with the mark of its note."""
    note = row.member.note
    return f"{row.member.name} {marks(suite)[note]}" if note else row.member.name


def quality_table(suite: Suite, standing: Standing) -> Table:
    """Mean and spread over seeds, the first seed's interval and letters, and the other headline values' means."""
    metric = standing.metric
    others = COLUMNS[standing.task][1:]
    level = f"{100 * standing.board.interval.level:g}% interval" if standing.board else "interval"
    rows = []
    for number, row in enumerate(standing.rows, 1):
        name = shown_name(suite, row)
        if row.failure is not None:
            rows.append((DASH, name, *[DASH] * 4, "", *[DASH] * len(others)))
            continue
        spread = percent(row.spread(metric))
        ends = standing.intervals[row.member.name].get(metric)
        rows.append(
            (
                str(number),
                name,
                percent(row.mean(metric)),
                spread,
                percent(row.first.values[metric]),
                between(*ends) if ends else DASH,
                standing.letters[row.member.name],
                *(percent(row.mean(n)) for n in others),
            )
        )
    images = f", {standing.scored[0].first.images} images" if standing.scored else ""
    title = f"{standing.task}, {standing.data}{images}"
    return Table(
        ("#", "system", metric, "± seeds", "first seed", level, "letters", *others), tuple(rows), (1, 6), title
    )


def cost_table(suite: Suite, standing: Standing) -> Table:
    """What training cost: seeds, steps, seconds of CPU time (of a GPU's clock) and memory."""
    rows = []
    for row in standing.rows:
        if row.member.reference or row.failure is not None:
            continue
        seconds = [float(c["seconds"]) for c in row.costs]
        peak = [float(c["peak_mib"]) for c in row.costs if c.get("peak_mib")]
        rows.append(
            (
                shown_name(suite, row),
                row.member.preset,
                str(len(row.member.seeds)),
                f"{row.member.iterations:,}",
                f"{statistics.fmean(seconds):.0f}",
                f"{max(peak):,.0f}" if peak else DASH,
            )
        )
    title = f"{standing.task}, {standing.data}: what training costs"
    return Table(("system", "preset", "seeds", "steps", "CPU s", "peak MiB"), tuple(rows), (0, 1), title)


def notes(suite: Suite, standing: Standing) -> list[str]:
    """What a reader of the tables must know."""
    lines = [f"{row.member.name} failed: {row.failure}" for row in standing.rows if row.failure is not None]
    here = {row.member.note for row in standing.rows}
    lines += [f"{mark} {note}" for note, mark in marks(suite).items() if note in here]
    if standing.board is None:
        return lines
    seeds = max(len(row.member.seeds) for row in standing.rows)
    if seeds > 1:
        lines.append(
            "values are means over the seeds, and ± seeds their standard deviation (n - 1); the interval and the "
            "letters are the first seed's"
        )
    test = "paired bootstrap" if standing.task == "instance" else "paired randomization test"
    pairs = len(standing.board.p)
    corrected = f", Holm-corrected over {pairs} pairs" if pairs > 1 else ""
    lines.append(
        f"systems that share a letter are not significantly different in {standing.metric} "
        f"({test} over images, p ≤ {standing.board.interval.alpha:g}{corrected})"
    )
    return lines


def exact_table(standings: Sequence[Standing]) -> Table:
    """One line for each member and seed, unrounded."""
    names = list(dict.fromkeys(n for s in standings for n in COLUMNS[s.task]))
    headers = ["task", "data", "rank", "system", "model", "preset", "iterations", "seed", "letters", *names]
    headers += ["low", "high", "seconds", "peak MiB", "failure", "signature"]
    rows = []
    for standing in standings:
        for number, row in enumerate(standing.rows, 1):
            member = row.member
            head = [standing.task, standing.data, str(number) if row.failure is None else "", member.name]
            head += [member.model or member.reference, member.preset if member.model else ""]
            head += [str(member.iterations) if member.model else ""]
            if row.failure is not None:
                rows.append((*head, *[""] * (len(headers) - len(head) - 2), row.failure, ""))
                continue
            for k, (seed, result) in enumerate(row.results.items()):
                first = k == 0
                low, high = (
                    standing.intervals[member.name].get(standing.metric, (None, None)) if first else (None, None)
                )
                cost = row.costs[k] if k < len(row.costs) else {}
                tail = [_cell(result.values.get(n)) for n in names] + [_cell(low), _cell(high)]
                tail += [_cell(cost.get("seconds")), _cell(cost.get("peak_mib")), "", result.signature.format()]
                rows.append((*head, str(seed), standing.letters[member.name] if first else "", *tail))
    return Table(tuple(headers), tuple(rows), left=(0, 1, 3, 4, 5))


def _cell(value: float | None) -> str:
    return "" if value is None or value != value else repr(value)
