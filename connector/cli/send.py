"""`connector send`: a callback signed as the endpoint's configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector.cli.context import json_option, load_settings, pairs, print_json, read_body

if TYPE_CHECKING:
    from connector.core.authenticate import Endpoint
    from connector.runtime.settings import Settings

TIMEOUT_S = 15


@click.command()
@click.option(
    "--endpoint", "name", required=True, help="Id of an endpoint of the configuration, or source/id."
)
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where `serve` listens.")
@click.option("--sample", help="Send one of the vendors' samples instead of FILE.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header to send along.")
@click.argument("file", required=False)
@json_option
@click.pass_context
def send(
    ctx: click.Context,
    *,
    name: str,
    url: str,
    sample: str | None,
    headers: tuple[str, ...],
    file: str | None,
    as_json: bool,
) -> None:
    """Post FILE (- for standard input) to an endpoint, signed with its first secret; print the answer."""
    from connector.cli.samples import SAMPLES

    if sample is not None and sample not in SAMPLES:
        raise click.BadParameter(f"known are {', '.join(SAMPLES)}", param_hint="--sample")
    if (sample is None) == (file is None):
        raise click.UsageError("give FILE or --sample NAME, one of them")
    endpoint = _endpoint(load_settings(ctx), name)
    given = pairs(headers, "--header")
    if sample is None:
        body = read_body(str(file))
    else:
        body, given = SAMPLES[sample].body, {**SAMPLES[sample].headers, **given}
    status, answer = post(url, endpoint, body, given)
    if as_json:
        print_json({"status": status, "answer": answer})
    else:
        click.echo(f"{status} {answer}")
    if status >= 300:  # noqa: PLR2004  anything but a 2xx
        raise click.ClickException(f"not taken: {status}")


def _endpoint(settings: Settings, name: str) -> Endpoint:
    """Find an endpoint by its id; only its own secrets are read."""
    from connector.runtime.credentials import endpoint

    found = [
        (at, one) for at, one in enumerate(settings.endpoints) if name in (one.id, f"{one.source}/{one.id}")
    ]
    if len(found) != 1:
        known = ", ".join(f"{one.source}/{one.id}" for one in settings.endpoints) or "none"
        raise click.BadParameter(f"names {len(found)} endpoints; known are {known}", param_hint="--endpoint")
    at, one = found[0]
    return endpoint(one, f"endpoints[{at}]")


def post(url: str, endpoint: Endpoint, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Sign and post one callback; give status and text of the answer.

    Raises:
        click.ClickException: Nobody listens there.
    """
    import http.client
    from urllib.parse import quote, urlsplit

    from connector.core.authenticate import UrlToken, sign, token_of

    path = f"/hooks/{endpoint.source}/{endpoint.id}"
    signed = {"content-type": "application/json", **headers}
    for scheme in endpoint.schemes:
        signed |= sign(scheme, body)
        if isinstance(scheme, UrlToken):
            path += f"/{quote(token_of(scheme), safe='', encoding='latin-1')}"
    to = urlsplit(url)
    kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
    connection = kind(to.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("POST", to.path.rstrip("/") + path, body, signed)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise click.ClickException(f"{url}: {why}; does `connector serve` run there?") from None
    finally:
        connection.close()
