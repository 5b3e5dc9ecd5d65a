"""A training in one process that is killed, and the step that is run again.

What belongs here: that the step's training goes on where it was. What does not: the training loop
(:mod:`tests.nn.test_training_loop`), trainings on a cluster (:mod:`tests.resources.test_cluster_training`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atelier.nn.training_loop import TrainingLoop
from resources.attribute_fit import fitted_and_evaluated
from resources.compute import Compute
from resources.recommender_fit import fitted
from tests.attributes.conftest import plant
from tests.resources.training_worker import ATTRIBUTES, recommender_fit

ALONE = Compute("cpu", 1)


def _attributes(state: Path) -> Any:
    planted = plant(400)
    model, _ = fitted_and_evaluated(
        planted.articles,
        planted.labels,
        ATTRIBUTES.model_copy(update={"max_epochs": 4}),
        ALONE,
        test_share=0.1,
        seed=0,
        device="cpu",
        state=state,
    )
    return model


FITS: dict[str, Callable[[Path], Any]] = {
    "hybrid": lambda state: fitted(recommender_fit("hybrid", state), ALONE),
    "transformer": lambda state: fitted(recommender_fit("transformer", state), ALONE),
    "attributes": _attributes,
}


@pytest.mark.parametrize("name", FITS)
def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, looks, look = tmp_path / "staging" / "state", list[int](), TrainingLoop._look
    FITS[name](tmp_path / "other").save(tmp_path / "undisturbed")

    def counted(self: TrainingLoop[Any], step: int, loss: float | None) -> bool:
        going_on = look(self, step, loss)
        looks.append(step)
        if len(looks) == 2:
            raise KeyboardInterrupt
        return going_on

    monkeypatch.setattr(TrainingLoop, "_look", counted)
    with pytest.raises(KeyboardInterrupt):
        FITS[name](state)
    assert state.exists()
    FITS[name](state).save(tmp_path / "resumed")
    assert not state.exists()
    assert looks == sorted(set(looks)), "a look was taken twice"
    for file in (tmp_path / "undisturbed").iterdir():
        assert (tmp_path / "resumed" / file.name).read_bytes() == file.read_bytes(), file.name
