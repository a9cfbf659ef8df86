from cloudtrain.guest.deadline import Deadline


class Clocks:
    def __init__(self) -> None:
        self.wall, self.steady = 1000.0, 5.0

    def deadline(self, at: float | None) -> Deadline:
        return Deadline(at, lambda: self.wall, lambda: self.steady)

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_time_runs_down() -> None:
    clocks = Clocks()
    deadline = clocks.deadline(1060)
    clocks.pass_s(20)
    assert deadline.remaining_s() == 40


def test_none_never_comes() -> None:
    assert Clocks().deadline(None).remaining_s() is None


def test_clock_set_back_does_not_lengthen_it() -> None:
    clocks = Clocks()
    deadline = clocks.deadline(1060)
    clocks.pass_s(60)
    clocks.wall -= 3600
    assert deadline.remaining_s() == 0


def test_machine_that_slept_is_told_by_the_wall_clock() -> None:
    clocks = Clocks()
    deadline = clocks.deadline(1060)
    clocks.wall += 60
    assert deadline.remaining_s() == 0
