"""How long what is over is kept, so that the file does not grow without end.

Invariant: what is still open is never dropped, and "old" is measured against what is being written, never against
this machine's clock: a clock that jumps drops nothing.
"""

KEEP_ANALYSES = 200
"""Closed analyses kept for each application, the newest by their start."""
KEEP_ANALYSES_FOR = 90 * 86400.0
"""Seconds before the newest end that a closed analysis of the same application is kept."""
KEEP_DECISIONS_FOR = 8 * 86400.0
"""Seconds before the newest decision; budgets and the breaker look back a day, people a week."""
MOST_REQUESTS = 50
"""Requests that may wait about one application, in its object."""
KEEP_STORIES = 20
"""Closed SyncAnalyses kept for each application, the newest by their start."""
INBOX_LIMIT = 10_000
"""Entries that may wait: with no controller to take them in, a pipeline must not fill the disk."""
ERROR_LENGTH = 300
"""Characters kept of why a delivery failed."""
