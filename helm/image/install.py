"""Inside the build: wheels -> a virtual environment that is the same bytes each time. Run by the Dockerfile.

python3 install.py FOLDER ROOT      made for FOLDER, left in ROOT/FOLDER
"""

# ruff: noqa: INP001  (a script of the image's build)

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from py_compile import PycInvalidationMode

CONTEXT = Path(__file__).parent


def main(folder: Path, root: Path) -> None:
    """Make the environment: install, compile, set every time to SOURCE_DATE_EPOCH."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    python = folder / "bin" / "python"
    (pip,) = (CONTEXT / "wheels").glob("pip-*.whl")
    # straight out of its wheel: the environment gets no installer
    install = [
        str(python),
        f"{pip}/pip",
        "install",
        "--no-index",
        "--no-deps",
        "--require-hashes",
        "--no-compile",
    ]
    quiet = ["--quiet", "--no-cache-dir", "--disable-pip-version-check", "--root-user-action=ignore"]
    where = [f"--find-links={CONTEXT / 'wheels'}", f"--requirement={CONTEXT / 'requirements.txt'}"]
    subprocess.run([*install, *quiet, *where], check=True)  # noqa: S603  our own arguments
    # "unchecked": no times inside, and a read-only root could not renew them anyway
    if not compileall.compile_dir(folder, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH):
        sys.exit("a module does not compile")
    (folder / "sbom.cdx.json").write_bytes((CONTEXT / "sbom.cdx.json").read_bytes())
    left = root / folder.relative_to("/")
    left.parent.mkdir(parents=True)
    shutil.move(folder, left)
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
