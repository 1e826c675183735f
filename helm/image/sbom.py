"""The bill of materials, CycloneDX 1.6: what is in the package, or in the image with its base.

python helm/image/sbom.py FILE        the program and what it needs to run, from the lock
"""

# ruff: noqa: INP001, T201  (a program that prints)

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import metadata, version
from pathlib import Path
from platform import python_version
from typing import Any

import locked

NAME = "erp-connector"


def document(
    packages: Mapping[str, locked.Locked],
    needs: Mapping[str, set[str]],
    epoch: int,
    below: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Lay out the document; the same input gives the same bytes.

    Args:
        packages: What is installed, with the digests of the files it may come from.
        needs: Package -> what it needs.
        epoch: Seconds since 1970; the document's time.
        below: Components of the base image.
    """
    own = _purl(NAME, version(NAME))
    components = [_component(one) for _, one in sorted(packages.items())]
    others = sorted(below, key=lambda one: str(one["bom-ref"]))
    refs = {name: _purl(one.name, one.version) for name, one in packages.items()} | {NAME: own}
    told = json.dumps([components, others, epoch], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, told)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": NAME,
                "version": version(NAME),
                "purl": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [*components, *others],
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[one] for one in needs.get(name, ()) if one in refs)}
            for name in sorted(refs)
        ],
    }


def _component(one: locked.Locked) -> dict[str, Any]:
    purl = _purl(one.name, one.version)
    component = {"type": "library", "bom-ref": purl, "name": one.name, "version": one.version, "purl": purl}
    if len(one.hashes) == 1:  # which file it is, is only known once it was fetched
        component["hashes"] = [{"alg": "SHA-256", "content": one.hashes[0]}]
    if licence := _licence(one.name):
        component["licenses"] = [{"license": {"name": licence}}]
    return component


def _licence(name: str) -> str | None:
    try:
        told = metadata(name)
    except ModuleNotFoundError:  # not installed here: the image's own tools
        return None
    named = [
        one.rpartition(" :: ")[2] for one in told.get_all("Classifier", ()) if one.startswith("License ::")
    ]
    text = told.get("License-Expression") or ", ".join(named) or told.get("License") or ""
    return text.splitlines()[0][:200] if text else None


def _purl(name: str, release: str) -> str:
    return f"pkg:pypi/{locked.canonicalize_name(name)}@{release}"


def debian(status: str, distribution: str) -> list[dict[str, Any]]:
    """Read dpkg's status: the components of a Debian base."""
    found = []
    for paragraph in status.split("\n\n"):
        lines = paragraph.splitlines()
        told = dict(line.split(": ", 1) for line in lines if ": " in line and not line.startswith(" "))
        if "Package" in told and "Version" in told:
            purl = (
                f"pkg:deb/debian/{told['Package']}@{told['Version'].replace('+', '%2B').replace(':', '%3A')}"
                f"?arch={told.get('Architecture', 'all')}&distro={distribution}"
            )
            found.append(
                {
                    "type": "library",
                    "bom-ref": purl,
                    "name": told["Package"],
                    "version": told["Version"],
                    "purl": purl,
                }
            )
    return found


def of_the_package(epoch: int) -> dict[str, Any]:
    """Describe the program with what it needs to run, on this Python."""
    environment = locked.target(python_version())
    needs = locked.needed(NAME, environment)
    lock = locked.read(locked.LOCK, environment)
    return document({name: lock[name] for name in needs if name != NAME}, needs, epoch)


if __name__ == "__main__":
    from build import epoch

    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(of_the_package(epoch()), indent=2) + "\n")
    print(path)
