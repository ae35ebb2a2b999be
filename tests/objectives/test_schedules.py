import pytest
import torch
from netwright.compiler.objectives.schedules import (
    LR_SCHEDULES,
    Constant,
    Cosine,
    OneCycle,
    Schedule,
    Step,
)

TOTAL = 57


def torch_factors(make, steps: int = TOTAL) -> list[float]:
    """The rates that one of torch's schedulers gives for lr = 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("fraction", "div", "final"), [(0.3, 25.0, 1e4), (0.1, 10.0, 100.0), (0.9, 2.0, 1.0)]
)
def test_one_cycle_is_torchs(fraction, div, final):
    ours = OneCycle(warmup_fraction=fraction, div_factor=div, final_div_factor=final)
    theirs = torch_factors(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=1.0,
            total_steps=TOTAL + 1,
            pct_start=fraction,
            div_factor=div,
            final_div_factor=final,
            cycle_momentum=False,
        )
    )
    assert [ours.factor(step, TOTAL + 1) for step in range(TOTAL)] == pytest.approx(theirs)


def test_step_is_torchs():
    theirs = torch_factors(lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=10, gamma=0.5))
    assert [Step(every=10, gamma=0.5).factor(s, TOTAL) for s in range(TOTAL)] == pytest.approx(
        theirs
    )


def test_cosine_is_torchs_after_its_warm_up():
    theirs = torch_factors(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=TOTAL, eta_min=0.1)
    )
    ours = Cosine(warmup=5, final=0.1)
    assert [ours.factor(s + 5, TOTAL + 5) for s in range(TOTAL)] == pytest.approx(theirs)
    assert [ours.factor(s, TOTAL + 5) for s in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])


@pytest.mark.parametrize("total", [1, 2, 3, 100])
@pytest.mark.parametrize("cls", LR_SCHEDULES.values(), ids=LR_SCHEDULES)
def test_factors_stay_in_the_unit_interval(cls, total):
    schedule = cls(every=3) if cls is Step else cls()
    assert all(0 <= schedule.factor(step, total) <= 1 for step in range(total))


def test_constant_warms_up():
    assert [Constant(warmup=4).factor(s, 9) for s in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert Constant().factor(0, 1) == 1


@pytest.mark.parametrize(
    ("curve", "middle"), [("linear", 2.5), ("cosine", 2.5), ("exponential", 2.0)]
)
def test_a_number_that_changes(curve, middle):
    schedule = Schedule(start=1, end=4, steps=10, curve=curve)
    assert schedule.at(0) == 1
    assert schedule.at(5) == pytest.approx(middle)
    assert schedule.at(10) == pytest.approx(4)
    assert schedule.at(1000) == pytest.approx(4)


def test_a_plain_number_never_changes():
    schedule = Schedule(**Schedule.desugar(0.5))
    assert schedule.is_constant
    assert schedule.at(0) == schedule.at(99) == 0.5


def test_an_exponential_curve_does_not_start_at_zero():
    assert "above 0" in str(Schedule(start=0, end=1, steps=5, curve="exponential").problem())
