"""A suite's tables: quality, cost, and everything unrounded."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from segeval.results.figures import FRACTION
from segeval.results.tables import DASH, Table, exact, percent
from segeval_baselines.prediction.references import REFERENCES
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.kinds import LEAST_SCORE
from segeval_baselines.suite.standing import THINGS, Row, Standing
from segeval_baselines.zoo import architecture

MEASURES = ("parameters", "gflops", "latency", "memory")

DAGGERS = ("†", "‡", "§", "¶")


def marks(suite: Suite) -> dict[str, str]:
    """A dagger for each note of the suite's members."""
    notes = dict.fromkeys(m.note for m in suite.members if m.note)
    return {note: DAGGERS[k % len(DAGGERS)] * (k // len(DAGGERS) + 1) for k, note in enumerate(notes)}


def shown_name(suite: Suite, row: Row) -> str:
    """A member's name in tables, with the mark of its note."""
    note = row.member.note
    name = f"{row.member.name} (as label maps)" if row.converted else row.member.name
    return f"{name} {marks(suite)[note]}" if note else name


def quality_table(suite: Suite, standing: Standing) -> Table:
    """Mean and spread over seeds, the first seed's interval and letters, and the other headline values' means."""
    metric, others = standing.metric, standing.columns[1:]
    several = any(len(row.results) > 1 for row in standing.scored)
    level = f"{100 * standing.board.interval.level:g}% interval" if standing.board else "interval"
    headers = ["#", "system", metric, *(["± seeds", "first seed"] if several else []), level, "letters", *others]
    rows = []
    for number, row in enumerate(standing.rows, 1):
        name = shown_name(suite, row)
        if row.failure is not None:
            rows.append((DASH, name, *[DASH] * (len(headers) - 2)))
            continue
        ends = standing.intervals.get(row.member.name, {}).get(metric)
        cells = [str(number), name, percent(row.mean(metric))]
        if several:
            cells += [percent(row.spread(metric)), percent(row.value(row.member.seeds[0], metric))]
        cells += [FRACTION.between(*ends) if ends else DASH, standing.letters.get(row.member.name, "")]
        rows.append((*cells, *(percent(row.mean(n)) for n in others)))
    images = f", {standing.scored[0].first.images} images" if standing.scored else ""
    title = f"{standing.task}, {standing.data}{images}"
    return Table(tuple(headers), tuple(rows), (1, headers.index("letters")), title)


COSTS = ("parameters", "GFLOPs", "ms", "MiB", "steps", "CPU s")


def costs_of(row: Row) -> list[float | None]:
    """The figures of `COSTS`: of one prediction, and the mean of the seeds' trainings."""
    seconds = [float(c["seconds"]) for c in row.costs if "seconds" in c]
    m = row.measure
    of_prediction = [None] * 4 if m is None else [float(m.parameters), m.gflops, m.latency, m.memory]
    return [*of_prediction, float(row.member.iterations), statistics.fmean(seconds) if seconds else None]


def cost_table(suite: Suite, standing: Standing) -> Table:
    """What one prediction and one training cost."""
    digits = (0, 2, 1, 0, 0, 0)
    rows = []
    for row in standing.scored:
        if not row.member.reference:
            cells = [DASH if v is None else f"{v:,.{d}f}" for v, d in zip(costs_of(row), digits, strict=True)]
            rows.append((shown_name(suite, row), row.member.preset, *cells, str(len(row.member.seeds))))
    title = f"{standing.task}, {standing.data}: what they cost"
    return Table(("system", "preset", *COSTS, "seeds"), tuple(rows), (0, 1), title)


def cost_notes(standing: Standing) -> list[str]:
    """Where and on what the costs were measured."""
    found = next((row.measure for row in standing.scored if row.measure is not None), None)
    lines = []
    if found is not None:
        threads = "" if _is_gpu(found.torch, found.device) else f", {found.threads} thread{'s' * (found.threads > 1)}"
        lines.append(
            f"GFLOPs, ms and MiB are of one prediction of a {found.size[1]}x{found.size[0]} image, from its pixels to "
            f"what is written, on {found.device}{threads}, torch {found.torch}; a multiply-add counts two operations, "
            "and ms are of CPU time where one thread computes"
        )
    trained = dict.fromkeys(str(c["device"]) for row in standing.scored for c in row.costs if "device" in c)
    if trained:
        lines.append(f"CPU s (wall seconds on a GPU) is the mean of the seeds' trainings, on {', '.join(trained)}")
    return lines


def _is_gpu(version: str, device: str) -> bool:
    return "+cpu" not in version and any(word in device for word in ("NVIDIA", "Tesla", "GeForce", "AMD Instinct"))


def published_table(suite: Suite) -> Table:
    """What the authors of the suite's networks report, each with its protocol."""
    rows = []
    for model in dict.fromkeys(m.model for m in suite.members if m.model):
        entry = architecture(model)
        rows += [(entry.title, entry.paper, p.value, p.protocol) for p in entry.published]
    return Table(("network", "paper", "result", "protocol"), tuple(rows), (0, 1, 2, 3), "published results")


def failures(standing: Standing) -> list[str]:
    """Members without a row of numbers, and why."""
    return [f"{row.member.name} failed: {row.failure}" for row in standing.rows if row.failure is not None]


def notes(suite: Suite, standing: Standing) -> list[str]:
    """What a reader of the tables must know."""
    lines = []
    here = {row.member.note for row in standing.rows}
    lines += [f"{mark} {note}" for note, mark in marks(suite).items() if note in here]
    references = dict.fromkeys(row.member.reference for row in standing.scored if row.member.reference)
    if references:
        known = "; ".join(f"{name}, {REFERENCES[name].about}" for name in references)
        lines.append(f"references, which know no network: {known}")
    if any(row.converted for row in standing.scored):
        lines.append(
            "detectors meet label maps by conversion: of two that overlap the one of higher score owns a pixel, and "
            f"instances below a score of {LEAST_SCORE:g} are left out; instances have no stuff, and so no mean over "
            f"all classes, but {THINGS} like all others"
        )
    if standing.board is None:
        return lines
    seeds = max(len(row.member.seeds) for row in standing.rows)
    if seeds > 1:
        lines.append(
            "values are means over the seeds, and ± seeds their standard deviation (n - 1); the interval and the "
            "letters are the first seed's"
        )
    if not (pairs := len(standing.board.p)):
        return lines
    corrected = f", Holm-corrected over {pairs} pairs" if pairs > 1 else ""
    lines.append(
        f"systems that share a letter are not significantly different in {standing.metric} "
        f"({standing.board.test} over images, p ≤ {standing.board.interval.alpha:g}{corrected})"
    )
    return lines


def exact_table(standings: Sequence[Standing]) -> Table:
    """One line for each member and seed, unrounded."""
    names = list(dict.fromkeys(n for s in standings for n in s.columns))
    headers = ["task", "data", "rank", "system", "model", "preset", "iterations", "seed", "letters", *names]
    headers += ["low", "high", "seconds", "peak MiB", *MEASURES, "failure", "signature"]
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
                ends = standing.intervals.get(member.name, {}) if first else {}
                low, high = ends.get(standing.metric, (None, None))
                cost = row.costs[k] if k < len(row.costs) else {}
                tail = [exact(row.value(seed, n)) if n in standing.columns else "" for n in names]
                tail += [exact(low), exact(high)]
                tail += [exact(cost.get("seconds")), exact(cost.get("peak_mib"))]
                tail += [exact(getattr(row.measure, n, None)) for n in MEASURES]
                tail += ["", result.signature.format()]
                rows.append((*head, str(seed), standing.letters.get(member.name, "") if first else "", *tail))
    return Table(tuple(headers), tuple(rows), left=(0, 1, 3, 4, 5))
