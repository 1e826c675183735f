from connector.runtime.trailing import IDLE_S, Trailing

A, B = ("erp.raw.duett", 0), ("erp.raw.duett", 1)


class Clock:
    """Seconds a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def made() -> tuple[Trailing, Clock]:
    clock = Clock()
    return Trailing(clock), clock


def test_an_end_goes_with_the_next_cycle_and_once() -> None:
    trailing, _ = made()
    trailing.reached(A, 7)

    assert trailing.with_ends({B: 3}) == {A: 7, B: 3}
    assert trailing.with_ends({B: 4}) == {B: 4}
    trailing.reached(A, 7)
    assert trailing.with_ends({}) == {}


def test_an_end_that_waits_too_long_is_due_though_others_come_later() -> None:
    trailing, clock = made()
    assert not trailing.due
    trailing.reached(A, 7)
    clock.now_s += IDLE_S / 2
    trailing.reached(B, 9)
    assert not trailing.due
    clock.now_s += IDLE_S / 2
    assert trailing.due
    trailing.with_ends({})
    assert not trailing.due


def test_an_end_before_what_a_cycle_holds_never_sets_it_back() -> None:
    trailing, clock = made()
    trailing.reached(A, 7)
    assert trailing.with_ends({A: 12}) == {A: 12}
    trailing.reached(A, 12)
    trailing.reached(A, 9)
    clock.now_s += IDLE_S
    assert not trailing.due
    assert trailing.with_ends({}) == {}


def test_ends_of_partitions_that_were_let_go_are_forgotten() -> None:
    trailing, clock = made()
    trailing.reached(A, 7)
    trailing.reached(B, 9)
    trailing.keep({B})
    assert trailing.with_ends({}) == {B: 9}
    trailing.reached(A, 8)
    trailing.keep(())
    clock.now_s += IDLE_S
    assert not trailing.due
    trailing.reached(B, 9)
    assert trailing.with_ends({}) == {B: 9}, "after a rewind the same end counts again"
