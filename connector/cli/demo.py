"""`connector demo`: the whole way on one machine, without Docker, registry or configuration."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.cli.board import Board
    from connector.cli.callbacks import Sender
    from connector.cli.children import Child
    from connector.cli.following import Follower
    from connector.cli.setting import Setting

ONCE_S = 60
"""How long `--once` waits for the expected state."""


@click.command()
@click.option("--bootstrap", metavar="SERVERS", help="Use this Kafka instead of starting one.")
@click.option("--prefix", help="Prefix of the topics; by default erp, with --bootstrap erp-demo.")
@click.option("--once", is_flag=True, help="Stop when every entity is as it must be; exit code 1 if not.")
@click.option("--seed", default=1, show_default=True, help="Decides order and repeats of the callbacks.")
def demo(*, bootstrap: str | None, prefix: str | None, once: bool, seed: int) -> None:
    """Start Kafka, ingress and worker, send the vendors' samples, and show the changelog as it changes.

    The samples are signed, half of them come twice, and all in random order. Nothing needs to be installed:
    the first start fetches Kafka (42 MB) into the local Maven cache. Everything is stopped and removed at
    the end (Ctrl-C).
    """

    def end(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    with ExitStack() as stack:
        try:
            _play(stack, bootstrap, prefix or ("erp-demo" if bootstrap else "erp"), seed=seed, once=once)
        except KeyboardInterrupt:
            click.echo("\nstopping ...")
            if once:
                raise click.ClickException("stopped before every entity was as it must be") from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C would leave something behind


def _play(stack: ExitStack, bootstrap: str | None, prefix: str, *, seed: int, once: bool) -> None:
    from rich.console import Console

    from connector.cli.board import Board
    from connector.cli.callbacks import Sender, shuffled
    from connector.cli.following import Follower
    from connector.cli.prediction import predict
    from connector.cli.samples import SAMPLES
    from connector.cli.setting import TENANTS, lay_out
    from connector.runtime.credentials import digest_key, endpoints
    from connector.runtime.desk import furnish, topics_under
    from connector.runtime.registry import Registry, folder

    console = Console(highlight=False)
    setting = lay_out(stack, bootstrap or _start_kafka(stack), prefix)
    settings = setting.settings
    children = _start_roles(stack, setting)
    registry = Registry.load(folder())
    expected = predict(SAMPLES.values(), TENANTS, *furnish(registry, digest_key(settings)))
    follower = Follower(settings.kafka, topics_under(prefix).changelog, registry, earliest=True)
    stack.callback(follower.close)
    _tell(console.print, setting)
    sender = Sender(
        f"http://127.0.0.1:{settings.ingress.port}",
        endpoints(settings),
        shuffled(SAMPLES.values(), seed),
        pause_s=0.15 if console.is_terminal and not once else 0.02,
    )
    board = stack.enter_context(Board(console, expected, follower.kinds))
    sender.start()
    _watch(board, follower, sender, children, once=once)


def _start_kafka(stack: ExitStack) -> str:
    from connector.runtime.broker import BrokerUnavailable, LocalKafka

    try:
        kafka = LocalKafka(progress=click.echo).start()
    except BrokerUnavailable as missing:
        raise click.ClickException(f"{missing}; or name a Kafka of yours: --bootstrap HOST:PORT") from None
    stack.callback(kafka.stop)
    return kafka.bootstrap


def _start_roles(stack: ExitStack, setting: Setting) -> list[Child]:
    """Make the topics, then start both roles and wait until they are ready."""
    from connector.cli.children import Child
    from connector.runtime import admin

    changes = admin.plan(setting.settings)
    admin.apply(setting.settings, changes)
    click.echo(f"topics: {sum(change.action == 'create' for change in changes)} created")
    click.echo("starting `connector serve` and `connector work`")
    children = []
    for role in ("serve", "work"):
        child = Child(role, setting.config, setting.folder / f"{role}.log", setting.ports[role])
        stack.callback(child.stop)
        children.append(child)
    for child in children:
        child.await_ready()
    return children


def _tell(say: Callable[..., None], setting: Setting) -> None:
    """Say where everything is, and what to try; the commands can be copied as they stand."""
    ports, folder = setting.ports, setting.folder
    command = "connector" if shutil.which("connector") else f"{sys.executable} -m connector"
    work, serve = (f"http://127.0.0.1:{ports[role]}" for role in ("work", "serve"))
    for line in (
        "",
        f"callbacks  http://127.0.0.1:{ports['ingress']}/hooks/<source>/<endpoint>",
        f"kafka      {setting.settings.kafka['bootstrap.servers']}",
        f"registry   {work}/registry",
        f"metrics    {serve}/metrics  {work}/metrics",
        f"logs       {folder}/serve.log  {folder}/work.log",
        "",
        "[bold]Try in another terminal:[/bold]",
        f"  . {folder}/env    [dim]# configuration and secrets of this demo[/dim]",
        f"  {command} tail --from earliest customer voucher_line",
        f"  {command} send --endpoint demo-duett --sample duett-customer-updated",
        f"  {command} explain --sample quickfile-merge",
        f"  curl {work}/registry/subjects",
        "",
    ):
        say(line, soft_wrap=True)


def _watch(board: Board, follower: Follower, sender: Sender, children: list[Child], *, once: bool) -> None:
    """Show what comes until Ctrl-C, or with `once` until the end is reached.

    Raises:
        click.ClickException: With `once`, the end was not reached in time.
    """
    deadline = time.monotonic() + ONCE_S
    told = False
    while True:
        for seen in follower.read(0.2):
            board.take(seen)
        for child in children:
            child.check()
        sender.check()
        missing = board.missing()
        board.status = _status(sender, board, len(missing), once=once)
        if sender.done and not missing:
            if not told and not board.live:
                click.echo(board.status)
            told = True
            if once:
                return
        if once and time.monotonic() > deadline:
            late = ", ".join(missing) or f"{sender.count - sender.sent} callbacks"
            raise click.ClickException(f"after {ONCE_S} s not as it must be: {late}")


def _status(sender: Sender, board: Board, missing: int, *, once: bool) -> str:
    end = f"{missing} entities are not there yet" if missing else "every entity is as it must be"
    return (
        f"{sender.sent} of {sender.count} callbacks taken, {sender.repeats} of them repeats, out of order; "
        f"{board.records} changelog records; {end}{'' if once else ' (Ctrl-C ends the demo)'}"
    )
