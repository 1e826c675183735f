"""What Kubernetes takes, in every supported version: the schemas of kubernetes-validate, all read once."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from chart import CHART, CUSTOM, Object
from jsonschema import Draft202012Validator
from referencing import Registry, Resource


class Schemas:
    """The strict schemas of one minor version, and those of the custom resources the chart makes.

    `kubernetes_validate.validate` reads every definition anew for each object: a hundred times slower.
    """

    def __init__(self, minor: str) -> None:
        folders = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
        (self._folder,) = folders.glob(f"v{minor}.*-local-strict")
        definitions = Resource.from_contents(json.loads((self._folder / "_definitions.json").read_text()))
        self._registry: Any = definitions @ Registry()
        self._validators: dict[str, Any] = {}

    def faults(self, thing: Object) -> list[str]:
        """Say what is wrong with an object."""
        kind, version = thing["kind"], thing["apiVersion"].split("/")
        group = version[0].split(".")[0] + "-" if len(version) > 1 else ""
        name = f"{kind.lower()}-{group}{version[-1]}.json"
        if name not in self._validators:
            self._validators[name] = self._validator(kind, name)
        return [
            f"{kind} {thing['metadata']['name']}: {'/'.join(map(str, fault.absolute_path))}: {fault.message}"
            for fault in self._validators[name].iter_errors(thing)
        ]

    def _validator(self, kind: str, name: str) -> Any:
        custom = CUSTOM / f"{kind}.json"
        schema = json.loads((custom if custom.exists() else self._folder / name).read_text())
        if custom.exists():
            return Draft202012Validator(schema)
        return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ self._registry)


def minors() -> list[str]:
    """List the minor versions of Kubernetes the chart supports, of those whose schemas are known."""
    lowest = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"].split(".")[1]
    known = kubernetes_validate.utils.all_versions()
    found = {
        ".".join(version.split(".")[:2]) for version in known if int(version.split(".")[1]) >= int(lowest)
    }
    return sorted(found, key=lambda minor: int(minor.split(".")[1]))
