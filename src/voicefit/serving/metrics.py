"""Counts and times of requests, in the text format that Prometheus reads (version 0.0.4)."""

import bisect
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping

_BUCKET_BOUNDS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""The histogram of request times has these upper bounds, in seconds."""


class Metrics:
    """Requests by path and status, and a histogram of their seconds by path; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = {}

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        with self._lock:
            self._requests[path, status] += 1
            self._seconds[path] += seconds
            buckets = self._buckets.setdefault(path, [0] * (len(_BUCKET_BOUNDS_S) + 1))
            buckets[bisect.bisect_left(_BUCKET_BOUNDS_S, seconds)] += 1

    def text(self, gauges: Mapping[str, tuple[str, int]]) -> str:
        """Return all counts and ``gauges``, which map a name to its description and present value."""
        lines = []
        for name, (about, value) in gauges.items():
            lines += [f"# HELP voicefit_{name} {about}", f"# TYPE voicefit_{name} gauge", f"voicefit_{name} {value}"]
        with self._lock:
            lines += ["# HELP voicefit_requests_total Requests answered.", "# TYPE voicefit_requests_total counter"]
            for (path, status), number in sorted(self._requests.items()):
                lines.append(f'voicefit_requests_total{{path="{path}",status="{status}"}} {number}')
            name = "voicefit_request_seconds"
            lines += [f"# HELP {name} From the first byte of a request to the end of its answer."]
            lines += [f"# TYPE {name} histogram"]
            for path, buckets in sorted(self._buckets.items()):
                total = 0
                for bound, number in zip((*_BUCKET_BOUNDS_S, "+Inf"), buckets, strict=True):
                    total += number
                    lines.append(f'{name}_bucket{{path="{path}",le="{bound}"}} {total}')
                lines.append(f'{name}_sum{{path="{path}"}} {self._seconds[path]:.6f}')
                lines.append(f'{name}_count{{path="{path}"}} {total}')
        return "\n".join(lines) + "\n"
