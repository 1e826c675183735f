"""Build the image: lay out wheels whose hashes are locked, and let Docker put them into a base with Python.

python helm/image/build.py [--tag NAME:TAG] [--python-image IMAGE] [--context FOLDER]

Nothing is fetched while Docker builds. The variables PYTHON_IMAGE and SOURCE_DATE_EPOCH are read, too; the
second is by default the time of the last commit.
"""

# ruff: noqa: INP001, T201  (a program that prints)

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import locked
import sbom

HERE = Path(__file__).parent
PYTHON_IMAGE = "python:3.13-slim-bookworm"
GLIBC_MINORS = range(5, 37)
"""Wheels for glibc 2.5 to 2.36: Debian 12 and later."""
ASK = (
    "import glob,json,platform;r=lambda p:open(p).read();"
    "print(json.dumps([platform.python_version(),platform.libc_ver(),"
    "''.join(r(p)+chr(10) for p in glob.glob('/var/lib/dpkg/status')+glob.glob('/var/lib/dpkg/status.d/*')),"
    "''.join(r(p) for p in glob.glob('/etc/debian_version')).strip()]))"
)
"""Asked in the base: its Python, its C library, and what it is made of."""


def run(*arguments: str, env: dict[str, str] | None = None) -> str:
    """Run a program and give what it printed; its complaints go to our own stderr."""
    whole = {**os.environ, **(env or {})}
    told = subprocess.run(  # noqa: S603  our own arguments
        arguments, env=whole, stdout=subprocess.PIPE, check=False, text=True, cwd=locked.ROOT
    )
    if told.returncode:
        begin = " ".join(arguments[:4])
        sys.exit(f"image: {begin} ... failed with {told.returncode}\n{told.stdout}")
    return told.stdout.strip()


def epoch() -> int:
    """Give the time everything is stamped with, in seconds since 1970."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    return int(_git("log", "-1", "--format=%ct") or 0)


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    told = subprocess.run(command, capture_output=True, check=False, text=True, cwd=locked.ROOT)  # noqa: S603  as above
    return told.stdout.strip()


def lay_out(context: Path, base: str) -> None:
    """Fill the context: wheels, requirements with hashes, the bill of materials, the installer.

    Args:
        context: An empty folder.
        base: The image with Python.
    """
    asked = run("docker", "run", "--rm", "--network=none", "--entrypoint=python3", base, "-c", ASK)
    python, libc, status, debian = json.loads(asked)
    if libc[0] != "glibc":
        sys.exit(f"{base}: its C library is {libc[0] or 'unknown'}; the wheels need glibc")
    environment = locked.target(python)
    needs = locked.needed(sbom.NAME, environment)
    lock = locked.read(locked.LOCK, environment)
    tools = locked.read(locked.TOOLS, environment)
    wanted = {name: lock[name] for name in needs if name != sbom.NAME} | tools
    wheels = context / "wheels"
    wheels.mkdir(parents=True)
    requirements = context / "requirements.txt"
    requirements.write_text("".join(f"{one.line}\n" for one in wanted.values()))
    _download(requirements, wheels, python)
    # exactly one file is allowed for each package: the one that was fetched
    fetched = {
        name: locked.Locked(one.name, one.version, (_digest(wheels, name),)) for name, one in wanted.items()
    }
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels),
        env={"SOURCE_DATE_EPOCH": str(epoch())})  # fmt: skip
    own = locked.Locked(sbom.NAME, version(sbom.NAME), (_digest(wheels, sbom.NAME),))
    installed = {**fetched, sbom.NAME: own}
    del installed["pip"]
    requirements.write_text("".join(f"{installed[name].line}\n" for name in sorted(installed)))
    materials = {name: one for name, one in installed.items() if name != sbom.NAME}
    told = sbom.document(materials, needs, epoch(), sbom.debian(status, f"debian-{debian}"))
    (context / "sbom.cdx.json").write_text(json.dumps(told, indent=2) + "\n")
    for name in ("Dockerfile", "install.py"):
        shutil.copyfile(HERE / name, context / name)


def _download(requirements: Path, wheels: Path, python: str) -> None:
    """Fetch wheels alone, for the Python and machine of the base; pip checks every hash."""
    short = ".".join(python.split(".")[:2])
    machine = platform.machine().replace("arm64", "aarch64")
    ages = ("manylinux2014", "manylinux2010", "linux", *(f"manylinux_2_{minor}" for minor in GLIBC_MINORS))
    run(
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={short}",
        *(f"--platform={age}_{machine}" for age in ages), f"--dest={wheels}", f"--requirement={requirements}",
    )  # fmt: skip


def _digest(wheels: Path, name: str) -> str:
    (wheel,) = [
        one for one in wheels.glob("*.whl") if locked.canonicalize_name(one.name.split("-")[0]) == name
    ]
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def main() -> None:
    """Build, and say what came out."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--tag", default=f"{sbom.NAME}:{version(sbom.NAME)}")
    options.add_argument("--python-image", default=os.environ.get("PYTHON_IMAGE") or PYTHON_IMAGE)
    options.add_argument("--context", type=Path, help="keep the context in this folder")
    options.add_argument("--no-cache", action="store_true", help="build every step anew")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="erp-connector-image-") as scratch:
        context = given.context or Path(scratch) / "context"
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir(parents=True)
        print(f"image: wheels for {given.python_image}", flush=True)
        lay_out(context, given.python_image)
        arguments = {
            "PYTHON_IMAGE": given.python_image,
            "SOURCE_DATE_EPOCH": str(epoch()),
            "VERSION": version(sbom.NAME),
            "REVISION": _git("rev-parse", "HEAD") or "unknown",
        }
        print(f"image: docker build -t {given.tag}", flush=True)
        built = [f"--build-arg={name}={text}" for name, text in arguments.items()]
        cache = ["--no-cache"] if given.no_cache else []
        run("docker", "build", "-q", *cache, *built, "-t", given.tag, str(context))
    size = int(run("docker", "image", "inspect", "--format={{.Size}}", given.tag))
    print(f"image: {given.tag}, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
