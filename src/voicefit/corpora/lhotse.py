"""Manifests of Lhotse and NeMo, as rows with a column for each value."""

from collections.abc import Iterator
from typing import Any

from voicefit.corpora.table_rows import Rows

_LABELS = ("emotion", "label", "emo")


def flatten(rows: Rows) -> Rows:
    """Give each supervision of a cut a row of its own; tables of other kinds stay as they are."""
    if not any("supervisions" in row for row in rows.rows.values()):
        return rows
    flat: dict[int, dict[str, Any]] = {}
    columns: dict[str, None] = {}
    more = max(rows.rows)
    for number, row in rows.rows.items():
        for part, values in enumerate(_cut(row)):
            columns |= dict.fromkeys(values)
            more += bool(part)
            flat[more if part else number] = values
    return Rows(list(columns), flat, rows.word)


def _cut(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sources = _dict(row.get("recording")).get("sources")
    source = _dict(sources[0] if isinstance(sources, list) and sources else None).get("source")
    begin, supervisions = _number(row.get("start")), row.get("supervisions")
    for item in supervisions if isinstance(supervisions, list) else []:
        supervision = _dict(item)
        custom = _dict(supervision.get("custom"))
        label = next((both[name] for name in _LABELS for both in (custom, supervision) if name in both), None)
        yield {
            "path": source,
            "label": label,
            "speaker": supervision.get("speaker"),
            "start": begin + _number(supervision.get("start")),
            "duration": supervision.get("duration", row.get("duration")),
            "channel": _channel(supervision.get("channel"), row.get("channel")),
        }


def _channel(*candidates: Any) -> int | None:
    """The channel of a supervision, which Lhotse counts from 0; of a recording with one channel, none."""
    channel = next((value for value in candidates if value is not None), None)
    channel = channel[0] if isinstance(channel, list) and len(channel) == 1 else channel
    return channel + 1 if isinstance(channel, int) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
