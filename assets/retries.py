"""Which failures are worth another attempt.

What belongs here: telling a failure that may pass by itself from one that will not. What does not: running a stage
(:mod:`assets.stage`).

A step writes the same bytes however often it runs, so it may be repeated. Bad data, a broken contract or a mistake in a
config stay what they are: repeating them would only put off the message.
"""

import errno

#: How often a step is tried again, and how many seconds it waits before that.
RETRIES = 2
WAIT = 30.0
#: What a network share or a busy disk answers while something else is wrong with it for a moment.
PASSING = frozenset(
    {errno.EAGAIN, errno.EBUSY, errno.EHOSTUNREACH, errno.EINTR, errno.ENETDOWN, errno.ENETUNREACH, errno.ESTALE}
)

#: What the client of object storage raises where it got no answer; named, because it is not always installed.
LOST = frozenset({"botocore.exceptions.HTTPClientError", "botocore.exceptions.ConnectionError"})


def is_transient(error: BaseException) -> bool:
    """Whether a failure, or what caused it, may pass by itself: a lost connection, a timeout, a share that was away."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError | TimeoutError):
            return True
        if isinstance(cause, OSError) and cause.errno in PASSING:
            return True
        if any(f"{kind.__module__}.{kind.__name__}" in LOST for kind in type(cause).__mro__):
            return True
        cause = cause.__cause__
    return False
