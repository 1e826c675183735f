"""Starts a process of a stack that fails at a failpoint."""

import sys
from pathlib import Path

from failing import VARIABLE
from stack import Child, Stack

from connector.runtime.broker import free_ports

FAILING = Path(__file__).with_name("failing.py")


def armed(stack: Stack, name: str, role: str, failpoint: str, fault: str = "") -> Child:
    """Start a process without waiting for it.

    Args:
        stack: Whose configuration it has.
        name: Of its log, and its client id.
        role: `serve` or `work`.
        failpoint: NAME:ACTION:PASSAGE, as `failing` reads it.
        fault: One of `entry.FAULTS` beside it.
    """
    port = free_ports(1)[0]
    env = stack.env | {
        "CONNECTOR_OPERATIONS__PORT": str(port),
        "CONNECTOR_WORKER__CLIENT_ID": name,
        "CONNECTOR_TEST_FAULT": fault,
        VARIABLE: failpoint,
    }
    command = [sys.executable, str(FAILING), "--config", str(stack.config), role]
    log = stack.folder / f"{name}-{failpoint.replace(':', '-')}.log"
    child = Child(name, command, env, log, port)
    stack.children.append(child)
    return child
