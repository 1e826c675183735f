"""The rig's ingress as a process: `python rig_process.py <bootstrap> <prefix> <port> <drain_delay_s>`."""

import sys

import uvloop
from rig import build

from connector.errors import ConnectorError
from connector.runtime.serving import serve


def main() -> int:
    """Serve until a signal; 1 and one line when it cannot go on."""
    bootstrap, prefix, port, delay = sys.argv[1:]
    # callers as fast as they can send more than an endpoint may by default
    ingress = build(
        bootstrap, prefix=prefix, port=int(port), drain_delay_s=float(delay), rate_per_endpoint=1e6
    )
    try:
        uvloop.run(serve(ingress, started=lambda: print("up", flush=True)))
    except ConnectorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
