"""Reports: one self-contained HTML page about one run or several (needs the extra ``segeval[report]``)."""

from __future__ import annotations

from segeval.report.document import write_report

__all__ = ["write_report"]
