"""Every guard of the code taken out once, and the test that notices.

    python tests/support/mutants.py            all of them
    python tests/support/mutants.py NAME ...   some of them

Each mutant is one replacement in a copy of the tree; the tests it names are run there and must fail. Before
that they are run on the untouched copy and must pass, or a failure would prove nothing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
TREE: Final = (
    "connector",
    "schemas",
    "tests",
    "docs",
    "examples",
    "benchmarks",
    "pyproject.toml",
    "README.md",
)
RUNTIME: Final = "connector/runtime"
INTEGRATION: Final = "tests/integration"
STATE: Final = "tests/unit/test_state.py"
HANDOVER: Final = f"{INTEGRATION}/test_handover.py"
REBUILD: Final = f"{INTEGRATION}/test_rebuild.py"
TRACES: Final = "tests/unit/test_traces.py"
PRODUCER: Final = "tests/faults/test_ingress_producer.py"


class Mutant(NamedTuple):
    """One guard taken out."""

    name: str
    path: str
    old: str
    """Stands in the file exactly once."""
    new: str
    tests: tuple[str, ...]
    """pytest ids of which at least one must fail."""


MUTANTS: Final = (
    Mutant(
        "the changelog is read before the offsets are asked for",
        f"{RUNTIME}/rebuild.py",
        """            places = self._committed(admin, reader, raws)
            if states:
                self._filling.run(admin, reader, states, cancelled)
""",
        """            if states:
                self._filling.run(admin, reader, states, cancelled)
            places = self._committed(admin, reader, raws)
""",
        (f"{REBUILD}::test_a_commit_at_the_last_moment_shows_in_the_state_or_not_in_the_offset",),
    ),
    Mutant(
        "the last stable offset is taken for the end",
        f"{RUNTIME}/filling.py",
        "    return int(message.offset() or 0) >= end",
        "    return True",
        (f"{REBUILD}::test_a_rebuild_waits_for_a_transaction_that_is_open_and_reads_what_lies_behind_it",),
    ),
    Mutant(
        "records deleted unread are passed over",
        f"{RUNTIME}/rebuild.py",
        "            elif one.offset < oldest[raw]:",
        "            elif False:",
        (f"{REBUILD}::test_records_deleted_unread_stop_the_rebuild_with_the_remedy",),
    ),
    Mutant(
        "the tombstone is left out of the transaction",
        f"{RUNTIME}/wire.py",
        "            for record in outcome.records\n",
        "            for record in outcome.records\n            if record.value is not None\n",
        (f"{INTEGRATION}/test_end_to_end.py::test_the_printed_delete_is_mended_and_told_with_a_tombstone",),
    ),
    Mutant(
        "a delivery without an offset is taken for one",
        f"{RUNTIME}/wire.py",
        "    return UNPLACED if error is None and message.offset() is None else error",
        "    return error",
        (
            f"{INTEGRATION}/test_unplaced.py",
            "tests/faults/test_unplaced.py",
            "tests/unit/test_transactions.py",
        ),
    ),
    Mutant(
        "offsets are committed without the records",
        f"{RUNTIME}/transactions.py",
        "                    put(producer, record, self._heard)\n",
        "                    pass\n",
        (f"{INTEGRATION}/test_aborts.py",),
    ),
    Mutant(
        "an aborted transaction is not read again",
        f"{RUNTIME}/outlet.py",
        """            self._count("transaction aborted, reading again", aborted)
            self._read_again(forget=False)
""",
        """            self._count("transaction aborted, reading again", aborted)
            self._intake.settled(cycle)
""",
        (f"{INTEGRATION}/test_aborts.py",),
    ),
    Mutant(
        "an abort keeps the overlays of what it dropped",
        f"{RUNTIME}/state.py",
        """        with self._lock:
            self._overlays = []
            self._epoch = epoch
""",
        """        with self._lock:
            self._epoch = epoch
""",
        (f"{STATE}::test_an_abort_forgets_everything_uncommitted", f"{INTEGRATION}/test_aborts.py"),
    ),
    Mutant(
        "a dropped cycle may still leave an overlay",
        f"{RUNTIME}/state.py",
        "            if cycle.epoch < self._epoch:",
        "            if False:",
        (f"{STATE}::test_a_cycle_that_begins_after_it_was_dropped_is_known_to_nobody",),
    ),
    Mutant(
        "reading goes on where it stood after an abort",
        f"{RUNTIME}/assignment.py",
        "            consumer.seek(TopicPartition(topic, partition, offsets[topic, partition]))",
        "            del topic, partition",
        (f"{INTEGRATION}/test_aborts.py",),
    ),
    Mutant(
        "a call that never returns is waited for",
        f"{RUNTIME}/transactions.py",
        "(took_s := time.monotonic() - called_at_s) > HUNG_S:",
        "(took_s := time.monotonic() - called_at_s) > 1e9:",
        (f"{INTEGRATION}/test_outage.py::test_a_client_without_an_outcome_is_replaced_and_nothing_is_lost",),
    ),
    Mutant(
        "a call is made again for ever",
        f"{RUNTIME}/transactions.py",
        "(tried_s := time.monotonic() - began_s) > GIVE_UP_S:",
        "(tried_s := time.monotonic() - began_s) > 1e9:",
        (f"{INTEGRATION}/test_outage.py::test_a_client_without_an_outcome_is_replaced_and_nothing_is_lost",),
    ),
    Mutant(
        "a process that stood still goes on",
        f"{RUNTIME}/outlet.py",
        "        return self._stood_still or clock_s() - self._stamped_at_s > self._pause_s",
        "        return False",
        (f"{HANDOVER}::test_a_worker_stopped_in_mid_transaction_is_fenced_and_its_copies_are_never_read",),
    ),
    Mutant(
        "without transactions offsets are committed before the records are confirmed",
        f"{RUNTIME}/awaited.py",
        "        while self._told < self._produced and self._refused is None:\n",
        "        while False:\n",
        ("tests/unit/test_at_least_once.py",),
    ),
    Mutant(
        "without transactions a record that was refused is passed over",
        f"{RUNTIME}/awaited.py",
        "            self._refused = fault_of(error, message)",
        "            fault_of(error, message)",
        (f"{INTEGRATION}/test_aborts.py::test_without_transactions_a_refusal_at_every_step_loses_nothing",),
    ),
    Mutant(
        "the door takes a record that was refused for confirmed",
        f"{RUNTIME}/producer.py",
        "        if way.error is None:",
        "        if True:",
        (
            f"{PRODUCER}::test_an_array_of_which_one_record_fails_is_503_as_a_whole_and_a_repeat_stores_all_of_it",
        ),
    ),
    Mutant(
        "a trace of any vendor is continued",
        f"{RUNTIME}/ingress.py",
        "        if not self.settings.trust_traceparent:\n",
        "        if False:\n",
        (f"{TRACES}::test_without_traces_a_traceparent_is_handed_on_only_where_it_is_trusted",),
    ),
    Mutant(
        "a role that ends waits for the collector of its traces",
        f"{RUNTIME}/spans.py",
        "        ending.join(FLUSH_S)\n",
        "        ending.join()\n",
        (f"{TRACES}::test_an_exporter_that_hangs_keeps_no_callback_and_no_end_waiting",),
    ),
    Mutant(
        "a transaction does not say whose records it holds",
        f"{RUNTIME}/agents.py",
        "                traces.TRACER.met(batch.cycle, raws)\n",
        "                pass\n",
        (f"{INTEGRATION}/test_traces_on_kafka.py::test_a_callback_can_be_followed_to_its_state",),
    ),
    Mutant(
        "a delete does not outlive its entity",
        "connector/core/join.py",
        "(facet.version > deleted and (name",
        "(True and (name",
        ("tests/unit/test_flow.py", "tests/properties/test_join_laws.py"),
    ),
    Mutant(
        "a later arrival wins over a newer one",
        "connector/core/join.py",
        "        return a if left > right else b\n",
        "        return b\n",
        ("tests/unit/test_flow.py", "tests/properties/test_join_laws.py"),
    ),
    Mutant(
        "a clock that runs ahead is believed",
        "connector/flow.py",
        " or occurred > received + AHEAD_TICKS",
        "",
        ("tests/unit/test_flow.py::test_a_clock_ahead_of_ours_counts_as_the_receipt_time",),
    ),
)


def main() -> None:
    """Run the mutants; exit code 1 if one of them lives."""
    chosen = [one for one in MUTANTS if not sys.argv[1:] or one.name in sys.argv[1:]]
    if unknown := set(sys.argv[1:]) - {one.name for one in MUTANTS}:
        sys.exit(f"no mutant of this name: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="connector-mutants-") as folder:
        tree = Path(folder)
        for name in TREE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name)
        tests = sorted({test for one in chosen for test in one.tests})
        if fails(tree, tests):
            sys.exit(f"the tests fail without any mutant: {' '.join(tests)}")
        living = [one.name for one in chosen if not killed(tree, one)]
    print(f"{len(chosen) - len(living)} of {len(chosen)} mutants killed")
    if living:
        sys.exit(f"living: {'; '.join(living)}")


def killed(tree: Path, mutant: Mutant) -> bool:
    """Say whether the tests notice a mutant."""
    place = tree / mutant.path
    text = place.read_text()
    place.write_text(text.replace(mutant.old, mutant.new))
    began = time.monotonic()
    noticed = fails(tree, mutant.tests)
    place.write_text(text)
    print(
        f"{'killed' if noticed else 'LIVES '} in {time.monotonic() - began:3.0f} s  {mutant.name}", flush=True
    )
    return noticed


def fails(tree: Path, tests: tuple[str, ...] | list[str]) -> bool:
    """Run tests in the copy; exit code 1 of pytest is a failed test, anything else but 0 an error of ours."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode not in (0, 1):
        sys.exit(f"pytest ended with {run.returncode}:\n{run.stdout[-3000:]}{run.stderr[-3000:]}")
    return run.returncode == 1


if __name__ == "__main__":
    main()
