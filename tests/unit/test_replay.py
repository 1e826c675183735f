"""What a replay selects and writes, what a rebuild keeps and tells anew, and what both refuse."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from everything import Everything, delivered
from furniture import Bench, callback, furnished, raws

from connector import flow
from connector.cli import main
from connector.cli.samples import SAMPLES
from connector.core.folding import Retold, differing, without
from connector.core.selection import Selection, Span, copied
from connector.errors import Misconfigured
from connector.model import NEVER, ChangelogRecord, EntityKey, Facet, Outcome, Position, RawRecord, State
from connector.runtime import bookmark
from connector.runtime.bookmark import Bookmark, Part
from connector.runtime.last_records import LastRecords
from connector.runtime.reprocess import _View
from connector.sources import SOURCES

CHANGES = 400


def everything(seed: int = 1) -> list[RawRecord]:
    """Give every sample and every event of every vendor, as raw records."""
    found = [raw for one in SAMPLES.values() for raw in raws(callback(one.source, one.body, **one.headers))]
    for made in delivered(Everything(seed).changes(CHANGES), Random(seed), "c"):
        found += raws(callback(made.source, made.body))
    return found


def test_a_copy_differs_from_its_original_in_its_origin_alone() -> None:
    for raw in everything():
        again = copied(raw)

        assert again.meta.origin == "replay"
        assert msgspec.structs.replace(again.meta, origin=raw.meta.origin) == raw.meta
        assert (again.key, again.body) == (raw.key, raw.body)


def test_copies_change_no_state_and_send_to_second_keys_what_their_originals_sent() -> None:
    found = everything()
    bench = Bench().work(found)
    told, known = len(bench.outcomes), dict(bench.known)

    bench.work(copied(raw) for raw in found)

    again = [one for one in bench.outcomes[told:] if isinstance(one, Outcome)]
    assert not [one.records for one in again if one.records]
    assert bench.known == known
    firsts = [one for one in bench.outcomes[:told] if isinstance(one, Outcome)]
    assert {(sent.key, sent.body) for one in again for sent in one.forwards} == {
        (sent.key, sent.body) for one in firsts if one.event.meta.origin != "forward" for sent in one.forwards
    }


def test_without_its_forwards_raw_still_ends_in_the_same_states() -> None:
    """A forward need not be replayed: from the originals alone, in another order, all of it comes anew."""
    found = everything()
    shuffled = [*found]
    Random(2).shuffle(shuffled)

    assert Bench().work(copied(raw) for raw in shuffled).changelog() == Bench().work(found).changelog()


def placed(raw: RawRecord, offset: int = 7) -> RawRecord:
    return RawRecord(raw.key, raw.body, raw.meta, Position("erp.raw.duett", 3, offset))


RAW = placed(raws(callback("duett", SAMPLES["duett-customer-updated"].body))[0])
AT = RAW.meta.received_us


@pytest.mark.parametrize(
    ("selection", "has"),
    [
        (Selection(), True),
        (Selection(sources=("duett",), tenants=("acme",), entities=("customer",)), True),
        (Selection(sources=("quickfile",)), False),
        (Selection(tenants=("other",)), False),
        (Selection(entities=("item", "customer")), True),
        (Selection(entities=("item",)), False),
        (Selection(since_us=AT), True),
        (Selection(since_us=AT + 1), False),
        (Selection(until_us=AT), False),
        (Selection(until_us=AT + 1), True),
        (Selection(spans=(Span("erp.raw.duett", 3, 5, 7),)), True),
        (Selection(spans=(Span("erp.raw.duett", 3, 8, 9), Span("erp.raw.duett", 3, 1, 6))), False),
        (Selection(spans=(Span("erp.raw.duett", 2, 5, 7),)), False),
    ],
)
def test_a_selection_has_what_was_asked_for(selection: Selection, has: bool) -> None:  # noqa: FBT001  a case
    assert selection.has(RAW) is has


def test_forwards_and_copies_are_left_out() -> None:
    (merge,) = raws(callback("quickfile", SAMPLES["quickfile-merge"].body))
    (outcome,) = flow.carry([placed(merge)], SOURCES["quickfile"], Bench(), furnished()[0])
    assert isinstance(outcome, Outcome)
    (sent,) = outcome.forwards
    forward = RawRecord(sent.key, sent.body, sent.meta)

    assert Selection().left_out(RAW) is None
    assert Selection().left_out(forward) == "forward"
    assert Selection(copies=True).left_out(forward) == "forward"
    assert Selection().left_out(copied(RAW)) == "copy"
    assert Selection(copies=True).left_out(copied(RAW)) is None


@pytest.mark.parametrize(
    "text", ["", "erp.raw.duett", "erp.raw.duett/1", "a/1/9-8", "a/1/2-", "a/-1/2", "a/1/x"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="offset"):
        Span.parse(text)


def state(version: int, **fields: Any) -> State:
    return State(facets={"body": Facet(version, 200, fields)})


def test_what_an_event_tells_again_is_forgotten_of_the_live_state_once() -> None:
    retold, live = Retold(), state(5, name="as old code read it", city="Oslo", zip="0150")

    first = retold.columns("key", live, state(5, name="a", city="Bodø"))
    assert without(live, live, first) == state(5, zip="0150")
    second = retold.columns("key", live, state(5, city="Bergen", zip="1"))
    assert second == {"body": frozenset({"zip"})}, "between two events of one time the join decides"
    assert retold.columns("other", live, state(5, name="a"))
    assert not retold.columns("key", live, state(6, name="b")), "a newer event wins by itself"
    assert not retold.columns("key", live, state(4, name="b"))
    assert not retold.columns("third", live, state(5, name="a"), whole_from=6), "its rival may be gone"


def test_of_a_facet_that_was_replaced_meanwhile_nothing_is_forgotten() -> None:
    live, newer = state(5, name="old"), state(6, name="new")

    assert without(newer, live, {"body": frozenset({"name"})}) == newer


def test_a_comparison_names_columns_of_the_state_and_no_provenance() -> None:
    old = {"meta_clocks": "a", "meta_event_id": "1", "name": "x", "gone": None}
    new = {"meta_clocks": "b", "meta_event_id": "2", "name": "x", "more": 1, "none": None}

    assert differing(old, new) == ["meta_clocks", "more"]


class Fold:
    """A rebuild of everything in memory, over live records or none."""

    def __init__(self, live: LastRecords | None = None, whole_from: int = NEVER) -> None:
        self._whole_from = whole_from
        self.told = LastRecords(furnished()[0].changelogs, furnished()[1])
        self._view = _View(live, self.told)

    def work(self, found: list[RawRecord]) -> Fold:
        desk = furnished()[0]
        for raw in found:
            if raw.key.entity == "identity":
                continue
            source = SOURCES[raw.key.source]
            event = flow.normalise(raw, source, desk.privacy)
            self._view.expect(event, self._whole_from)
            outcome = flow.compact(event, source, self._view, desk)
            if outcome.known is not None:
                self._view.put(raw.key, outcome)
        return self


def worked(found: list[RawRecord]) -> tuple[Bench, LastRecords, list[RawRecord]]:
    """Work raw records; give the states, their last records, and raw with what was forwarded."""
    bench = Bench().work(found)
    live = LastRecords(furnished()[0].changelogs, furnished()[1])
    more = []
    for one in bench.outcomes:
        assert isinstance(one, Outcome)
        more += [RawRecord(sent.key, sent.body, sent.meta) for sent in one.forwards]
        if one.records and one.event.key.entity != "identity":
            live.put(one.records)
    return bench, live, [*found, *more]


def states(records: LastRecords) -> dict[str, State]:
    return {key: known.state for key in records if (known := records.known(EntityKey.parse(key)))}


def test_a_fold_of_all_of_raw_is_the_live_state_and_so_is_one_over_it() -> None:
    bench, live, raw = worked(everything())
    wanted = {key: known.state for key, known in bench.known.items() if "/identity/" not in key}

    assert states(live) == wanted
    assert states(Fold().work(raw).told) == wanted
    over = states(Fold(live).work(raw).told)
    assert over
    assert not [key for key in over if over[key] != wanted[key]]


@pytest.mark.parametrize("seed", range(3))
def test_a_fold_of_a_part_of_raw_over_the_live_state_loses_and_adds_nothing(seed: int) -> None:
    bench, live, raw = worked(everything(seed))
    part = Random(seed).sample(raw, k=len(raw) // 3)

    told = states(Fold(live, whole_from=1 << 62).work(part).told)

    known = {key: one.state for key, one in bench.known.items()}
    assert not [key for key in told if told[key] != known[key]]


def test_what_old_code_wrote_is_told_anew_even_where_a_join_would_keep_it() -> None:
    (raw,) = raws(callback("duett", SAMPLES["duett-customer-updated"].body))
    _, live, _ = worked([raw])
    spoilt = live.of(raw.key.text)
    assert spoilt is not None
    value = live.decoded(raw.key, spoilt)
    name = value["name"]
    value["name"] = "\U0010ffff"
    framed = furnished()[1].writer("customer").encode(value)
    live.put([ChangelogRecord(raw.key, "UPSERT", framed, spoilt.records[0][1], spoilt.timestamp_ms)])

    told = states(Fold(live).work([raw]).told)[raw.key.text]

    assert told.facets["body"].fields["name"] == name


def test_a_bookmark_is_read_back_and_belongs_to_its_replay(tmp_path: Path) -> None:
    path = tmp_path / "bookmark"
    wanted = Bookmark("erp", Selection(sources=("duett",)), [Part("erp.raw.duett", 0, 3, 9)], 4)
    assert bookmark.load(path, "erp", Selection()) is None
    bookmark.save(path, wanted)

    assert bookmark.load(path, "erp", wanted.selection) == wanted
    assert bookmark.load(path, "erp", Selection()) == wanted, "alone it goes on with what it was begun with"
    for prefix, selection in (("erp", Selection(sources=("quickfile",))), ("other", wanted.selection)):
        with pytest.raises(Misconfigured, match="something else"):
            bookmark.load(path, prefix, selection)
    path.write_text("{}")
    with pytest.raises(Misconfigured, match="not a bookmark"):
        bookmark.load(path, "erp", Selection())
    with pytest.raises(Misconfigured, match="can be written"):
        bookmark.save(tmp_path / "nowhere" / "bookmark", wanted)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("replay --source nobody", "known are duett"),
        ("replay --entity nothing", "known are account"),
        ("replay --since yesterday", "write a span such as 90m"),
        ("replay --since 1h --until 2h", "is not after --since"),
        ("replay --offsets erp.raw.duett/1", "such as erp.raw.duett/7/10-20"),
        ("replay --offsets erp.raw.duett/1/9-8", "the last offset is before the first"),
        ("replay --rate 10", "add --yes"),
        ("replay --resume file", "add --yes"),
        ("replay --yes --rate 0", "x>=1"),
        ("rebuild plan nothing", "known are account"),
        ("rebuild apply", "Missing option '--file'"),
        ("rebuild switch", "Missing argument 'FILE'"),
    ],
)
def test_a_wrong_command_line_is_refused_with_its_remedy(words: str, told: str, tmp_path: Path) -> None:
    config = tmp_path / "connector.yaml"
    config.write_text("topics: {prefix: erp}\n")

    result = CliRunner().invoke(main, ["--config", str(config), *words.split()])

    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("{}", "not written by connector rebuild apply"),
        ({"prefix": "other"}, "is about topics.prefix other, not erp"),
        ({"prefix": "erp"}, "the switch is to {customer: 2}; set that for all workers first"),
    ],
)
def test_a_switch_that_cannot_be_is_refused_in_one_line(
    content: str | dict[str, Any] | None, told: str, tmp_path: Path
) -> None:
    config, file = tmp_path / "connector.yaml", tmp_path / "rebuilt.json"
    config.write_text("topics: {prefix: erp}\n")
    if content is not None:
        whole = {"live": {"customer": 1}, "ahead": {"customer": 2}, "ends": []}
        file.write_text(content if isinstance(content, str) else json.dumps({**whole, **content}))

    result = CliRunner().invoke(main, ["--config", str(config), "rebuild", "switch", str(file)])

    assert result.exit_code == 1
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_version_of_an_entity_nobody_knows_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "connector.yaml"
    config.write_text("topics: {versions: {custmer: 2}}\n")

    result = CliRunner().invoke(main, ["--config", str(config), "config", "check"])

    assert result.exit_code == 1
    assert "custmer: no such entity" in result.stderr + result.stdout
