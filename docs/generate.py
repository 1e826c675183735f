"""Write what is made from the code: pages of docs/, schemas/*.avsc and their lock.

python docs/generate.py          write; a changed schema gets the next id and a frozen copy
python docs/generate.py --check  change nothing; say what is stale, exit code 1
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import chart
import metrics_page
import pages
import tolerances_page

from connector.errors import ConnectorError
from connector.runtime import schemas
from connector.runtime.configuration import json_schema

ROOT = Path(__file__).parent.parent


def files() -> dict[Path, str]:
    """Lay out every generated file."""
    docs = ROOT / "docs"
    texts = {
        docs / "topics.md": pages.topics(),
        docs / "configuration.md": pages.configuration(),
        docs / "errors.md": pages.refusals(),
        docs / "schemas.md": pages.schemas(),
        docs / "metrics.md": metrics_page.metrics(),
        docs / "tolerances.md": tolerances_page.tolerances(),
        docs / "config.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
    }
    folder = ROOT / "schemas"
    return (
        texts
        | chart.files()
        | {folder / name: text for name, text in schemas.freeze(folder, version("erp-connector")).items()}
    )


def main(arguments: list[str]) -> int:
    """Write, or check; give the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    laid_out = files()
    stale = [path for path, text in laid_out.items() if not path.exists() or path.read_text() != text]
    unmade = sorted(set((ROOT / "schemas").glob("*.avsc")) - laid_out.keys())
    if arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)}: stale; run: make generate", file=sys.stderr)
        for path in unmade:
            print(f"{path.relative_to(ROOT)}: made from nothing any more; remove it", file=sys.stderr)
        faults = [] if stale else schemas.check(ROOT / "schemas")
        for fault in faults:
            print(f"schemas: {fault}", file=sys.stderr)
        return 1 if stale or unmade or faults else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(laid_out[path])
        print(path.relative_to(ROOT))
    for path in unmade:
        path.unlink()
        print(f"{path.relative_to(ROOT)} removed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConnectorError as refusal:
        sys.exit(str(refusal))
