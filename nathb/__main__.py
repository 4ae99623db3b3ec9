"""`nathb` and `python -m nathb`: the process around the command line.

This file imports next to nothing, so that it is there when ^C comes in the first moments: all the
rest takes some tenths of a second to import.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

INTERRUPTED = 130
"""Exit code after SIGINT: 128 + 2, as a shell has it."""


def main() -> int:
    """Carry out this process's command line; return its exit code."""
    before = signal.getsignal(signal.SIGINT)
    # Whoever has it ignored (nohup, a shell's `&`) wants it ignored.
    outside = _leave if before is signal.default_int_handler else before
    signal.signal(signal.SIGINT, outside)
    from nathb.aws.proxies import bypass_proxies  # noqa: PLC0415  see above

    bypass_proxies(os.environ)  # for every verb, and before botocore is imported
    from nathb import cli  # noqa: PLC0415
    from nathb.host import streams  # noqa: PLC0415

    streams.prepare()
    try:
        signal.signal(signal.SIGINT, before)
        return cli.main()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, outside)  # the interpreter takes a moment to end, too
        # The interpreter's last collections walk through all of botocore: 0.1 s of CPU time that a
        # stop and a pipeline of verbs do not have. The kernel takes the memory back in any case.
        gc.freeze()


def _leave(*_: object) -> None:
    """End at once: nothing has begun, or all is done.

    A KeyboardInterrupt would be a traceback, or be swallowed by the module that is being imported.
    """
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
