"""What goes together: the day's outfit model.

What belongs here: which outfits the model learns from, and how good it is. What does not: the model
(:mod:`atelier.outfits`), the lists made with it (:mod:`assets.complements`).
"""

from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from assets.recommenders import GROUP, training_interactions
from assets.stage import stage
from assets.step import Step
from atelier.answers import FEEDBACK
from resources.article_inputs import INPUTS
from resources.compute import gpu_pool

if TYPE_CHECKING:
    from pathlib import Path

    from atelier.articles.table import Articles
    from atelier.outfits.config import OutfitConfig
    from atelier.outfits.feedback import Feedback
    from atelier.outfits.held_out import Measured
    from atelier.outfits.outfits import Outfits

MODEL = "outfit_model"
CURATED, BASKETS = "outfits", "baskets"
#: The file of a bundle that has what was measured.
HELD_OUT = "held_out.json"
FAMILY = "product_type"
COLUMNS = (FAMILY, "brand", "division")
READ = (*INPUTS, "predicted_attributes", "outfits", FEEDBACK, "interactions")
ENOUGH, LEARNED, AGREE = "outfits_to_learn_from", "more_than_counting", "answers_agree"


class OutfitTraining(dg.Config):
    """How the outfit model is trained.

    Attributes:
        least: the outfits that are enough to train; with fewer curated ones baskets stand in for them.
        baskets: the newest baskets that are read, at most, where they stand in for outfits.
        epochs: passes over the outfits.
        batch_size: masked articles in a step.
        feedback_weight: as how many outfits an answer of a person counts.
        seed: of all that is drawn.
    """

    least: int = 50
    baskets: int = 20_000
    feedback_weight: int = 5
    epochs: int = 3
    batch_size: int = 128
    seed: int = 0


class Truth(NamedTuple):
    """What there is to learn from.

    Attributes:
        basis: ``outfits`` that people put together, or ``baskets`` of one customer and day; empty: too few of either.
        outfits: distinct ones; None where there are too few.
        curated: distinct curated outfits.
        dropped: rows of curated outfits whose article is not in the day's catalogue.
    """

    basis: str
    outfits: "Outfits | None"
    curated: int
    dropped: int


def train_outfits(step: Step, config: OutfitTraining) -> None:
    """Learn what goes together from the day's outfits; where there are too few, from baskets; else train nothing."""
    from atelier.outfits import OutfitModel
    from atelier.outfits.held_out import Measured

    device = str(step.compute.apply())
    articles, settings = described_articles(step), _settings(step, config)
    truth = truth_of(step, articles, config)
    step.note(MODEL, curated_outfits=truth.curated, rows_of_other_articles=truth.dropped)
    _check_truth(step, truth, config)
    feedback = answers(step, articles)
    if truth.outfits is None:
        step.note(MODEL, earlier_model_withdrawn=step.withdraw_model(MODEL))
        step.check(LEARNED, False, "whether a model knows more than counting was not measured: nothing was trained")
        return
    tables = [*INPUTS, "predicted_attributes", FEEDBACK, "outfits" if truth.basis == CURATED else "interactions"]
    chosen = config.model_dump(), settings.model_dump(mode="json")
    recipe = step.recipe(tables, config=chosen, device=device)
    bundle = step.reused(MODEL, recipe)
    if bundle is None:
        measured = _measured(truth.outfits, articles, settings)
        model = OutfitModel(settings).fit(truth.outfits, articles, feedback)

        def save(folder: "Path") -> None:
            """Save the model beside what was measured of it, so that a day that reuses it can report that again."""
            model.save(folder)
            (folder / HELD_OUT).write_text(measured.to_json(), encoding="utf-8")

        step.save_model(MODEL, save, tables=tables, seed=config.seed, recipe=recipe)
    else:
        measured = Measured.from_json((bundle.path / HELD_OUT).read_text(encoding="utf-8"))
    _report_held_out(step, measured)
    worn = int((truth.outfits.frequency > 0).sum())
    step.note(MODEL, outfits=len(truth.outfits), learned_from=truth.basis, articles=len(articles), articles_worn=worn)


def basis_of(upstreams: "dict[str, str]") -> str:
    """What a model learned from, by what its manifest says that it was made of."""
    return CURATED if "outfits" in upstreams else BASKETS


def described_articles(step: Step) -> "Articles":
    """The articles of the day with what the model reads of them: text, photographs, columns, completed attributes."""
    from atelier.articles.table import Articles
    from resources.article_inputs import article_inputs

    inputs = article_inputs(step.store, step.cache, step.ds)
    values = step.read("predicted_attributes")
    wide = values.pivot(index="article_id", columns="attribute", values="value").add_prefix("attribute ")
    return Articles.from_frame(inputs.merge(wide.reset_index(), on="article_id", how="left"))


def answers(step: Step, articles: "Articles") -> "Feedback":
    """What people said of pairs and outfits up to the day; a check names answers that cannot be used."""
    from atelier.outfits.feedback import Feedback

    found = Feedback.from_frame(step.read(FEEDBACK), articles)
    step.note(MODEL, answers_accepted=len(found.accepted), answers_rejected=len(found.rejected))
    step.check(
        AGREE,
        not (found.contradictory or found.unusable),
        f"{len(found.accepted):,} pairs and outfits are accepted and {len(found.rejected):,} rejected; "
        f"{found.contradictory:,} are both, which counts as no answer, and {found.unusable:,} answers name fewer "
        f"than two articles of the day: correct them in the newest file of {FEEDBACK}",
    )
    return found


def _settings(step: Step, config: OutfitTraining) -> "OutfitConfig":
    from atelier.outfits.config import OutfitConfig

    with step.connect("predicted_attributes") as con:
        rows = con.sql("SELECT DISTINCT attribute FROM predicted_attributes ORDER BY attribute").fetchall()
    attributes = (*COLUMNS, *(f"attribute {name}" for (name,) in rows))
    chosen = config.model_dump(include={"epochs", "batch_size", "feedback_weight", "seed"})
    return OutfitConfig(family=FAMILY, attributes=attributes, **chosen)


def truth_of(step: Step, articles: "Articles", config: OutfitTraining) -> Truth:
    """The curated outfits where there are enough, otherwise baskets where there are enough, otherwise nothing."""
    from atelier.outfits.baskets import baskets
    from atelier.outfits.outfits import Outfits

    rows = step.read("outfits")
    known = rows[articles.find(rows["article_id"]) >= 0]
    curated = Outfits.from_frame(known, articles).deduplicated()
    counts = {"curated": len(curated), "dropped": len(rows) - len(known)}
    if len(curated) >= config.least:
        return Truth(CURATED, curated, **counts)
    purchases = training_interactions(step, ["purchase"]).of_kinds("purchase")
    kinds = articles.categories[FAMILY].to_pandas().set_axis(articles.names)
    bought = Outfits.from_frame(baskets(purchases, kinds, config.baskets), articles).deduplicated()
    if len(bought) >= config.least:
        return Truth(BASKETS, bought, **counts)
    return Truth("", None, **counts)


def _check_truth(step: Step, truth: Truth, config: OutfitTraining) -> None:
    few = f"there are {truth.curated:,} curated outfits of articles of the day, and {config.least:,} are enough"
    told = {
        CURATED: f"the model learned from {truth.curated:,} curated outfits",
        BASKETS: f"{few}: the model learned from purchases of one customer and day instead, which is weaker truth, "
        "because what is bought together need not be worn together; deliver outfits for better lists",
        "": f"{few}; baskets of one customer and day are too few as well, so that nothing was trained and no look is "
        "completed: deliver outfits, or interactions of the kind purchase",
    }
    step.check(ENOUGH, truth.basis == CURATED, told[truth.basis], curated_outfits=truth.curated)


def _measured(outfits: "Outfits", articles: "Articles", settings: "OutfitConfig") -> "Measured":
    """The right answers about outfits that were held out from a model of the same settings."""
    from atelier.outfits.held_out import Measured, held_out_accuracy
    from atelier.outfits.outfits import OutfitsError

    try:
        return Measured(held_out_accuracy(outfits, articles, settings))
    except OutfitsError as error:
        return Measured(None, str(error))


def _report_held_out(step: Step, measured: "Measured") -> None:
    """Note and check what was measured."""
    found = measured.found
    if found is None:
        step.note(MODEL, held_out=f"not measured: {measured.why_not}")
        step.check(
            LEARNED, False, f"whether the model knows more than counting could not be measured: {measured.why_not}"
        )
        return
    step.note(
        MODEL,
        questions=found.questions,
        fill_in_the_blank=found.model.value,
        fill_in_the_blank_interval=str(found.model),
        best_control=found.control,
        best_control_accuracy=found.best.value,
        best_control_interval=str(found.best),
        gain_interval=str(found.gain),
    )
    surely = found.gain.low > 0
    step.check(
        LEARNED,
        surely,
        f"of {found.questions:,} questions about outfits that were held out, one right answer of four, the model "
        f"answers {found.model} and the best control, {found.control}, {found.best}: a gain of {found.gain} (95% "
        f"intervals), {'above 0' if surely else 'not surely above 0: that it knows more than counting is not shown'}",
        gain=found.gain.value,
    )


outfit_model = stage(
    name=MODEL,
    description="The model of what goes together, trained on curated outfits; where there are too few, on baskets.",
    produces=[MODEL],
    deps=READ,
    group=GROUP,
    checks={
        ENOUGH: "Whether there are enough curated outfits; else baskets, a weaker truth, stand in, or nothing does.",
        AGREE: "Whether all answers of people can be used: none contradicts another, none is about unknown articles.",
        LEARNED: "Whether the model surely answers more questions about held-out outfits than the best control that "
        "counts: whether the 95% interval of the gain lies above 0.",
    },
    isolated=True,
    pool=gpu_pool(),
)(train_outfits)

STAGES = (outfit_model,)
