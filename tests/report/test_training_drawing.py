"""The plot of a training curve: a panel for each figure, a line for each part."""

import pandas as pd

from atelier.report.training_curves import training_drawing

CURVE = pd.DataFrame(
    [
        (step, part, figure, value / step)
        for step in (1, 2)
        for part, value in (("training", 0.8), ("held_out", 0.6))
        for figure in ("loss", "auc")
    ],
    columns=["step", "part", "figure", "value"],
)


def test_each_figure_has_a_panel_and_each_part_a_line() -> None:
    drawn = training_drawing("two_tower", CURVE)
    assert drawn.name == "training_two_tower"
    for text in ("loss", "AUC", "training", "held out"):
        assert f">{text}<" in drawn.svg
    assert "recall@12" not in drawn.svg
    assert drawn.alt == "loss, AUC of two_tower in training."


def test_a_part_that_is_not_held_out_has_no_line() -> None:
    drawn = training_drawing("two_stage", CURVE[CURVE["part"] == "training"])
    assert ">held out<" not in drawn.svg
