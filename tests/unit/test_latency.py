"""The open loop of the benchmarks: its figures, its verdict and its table."""

import msgspec

from benchmarks import latency, results, table
from benchmarks.latency import Sent, figures, opened, quantile

MACHINE = {"cpu": "x", "cores": 2, "python": "3.11"}


def case(p50: float, p99: float) -> results.Case:
    extra = {f"{span}{one}_ms": 1.0 for span in ("", "sent_", "ack_") for one in table.PARTS}
    extra |= {"p50_ms": p50, "p99_ms": p99}
    one = results.Round(1000, 1.0, 0.5, 100.0, (1.0, 1.0), 0.0, "waiting", extra)
    bad = msgspec.structs.replace(one, extra={**extra, "p50_ms": 900.0}, discarded="others used the core")
    made = results.case("E1", latency.SUBJECT, {"rate": 1000}, [one, bad], results.Correct(taken=1000))
    assert made is not None
    return opened(made, latency.TARGET_MS)


def test_a_quantile_is_the_value_that_so_many_do_not_exceed() -> None:
    values = [float(one) for one in range(1, 101)]

    assert quantile(values, 0.5) == 50
    assert quantile(values, 0.99) == 99
    assert quantile(values, 0.999) == 100
    assert quantile([7.0], 0.5) == 7


def test_the_longest_wait_is_the_last_one_of_all() -> None:
    sent = [Sent(float(one)) for one in range(3)]
    for one in sent:
        one.accepted_s = one.due_s

    assert figures(sent, [0.1, 5.5, 2.2])["max_ms"] == 4500.0


def test_waiting_for_a_connection_counts_from_when_a_callback_was_due() -> None:
    late, prompt = Sent(1.0), Sent(2.0)
    late.accepted_s, prompt.accepted_s = 1.5, 2.001

    told = figures([late, prompt], [1.51, 2.021])

    assert told["p99_ms"] == 20.0
    assert told["p50_ms"] == 10.0
    assert told["sent_p99_ms"] == 510.0
    assert told["ack_p50_ms"] == 1.0


def test_a_latency_is_judged_by_the_rounds_that_count_and_a_miss_is_told() -> None:
    assert case(14.0, 59.0).target == {"p50_ms": 15.0, "p99_ms": 60.0, "met": True}
    assert case(14.0, 61.0).target == {"p50_ms": 15.0, "p99_ms": 60.0, "met": False}


def test_an_open_loop_has_a_table_of_its_own() -> None:
    report = results.Report(
        1, "c", "2026-01-01T00:00:00Z", "real", "full", MACHINE, {}, cases=[case(14.0, 61.0)]
    )

    text = table.render([report])

    assert (
        "| E1 | connector serve + work | rate 1,000 | 14 / 61 / 1 / 1 | 1 / 1 / 1 / 1 | 1 / 1 / 1 / 1 | 500 |"
        in text
    )
    assert "**no**" in text
    assert "events/s best" not in text
