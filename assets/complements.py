"""Complements of every article: what completes the look, and what its buyers also bought.

What belongs here: both lists of ``complementary_articles``, and whether they keep what is promised of them. What does
not: the outfit model (:mod:`assets.outfits`), how lists are computed (:mod:`atelier.outfits.complements`,
:mod:`atelier.recommenders.co_purchase`).
"""

from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from assets.outfits import BASKETS, MODEL, basis_of
from assets.recommenders import GROUP, catalogue, training_interactions
from assets.stage import stage
from assets.step import Step
from atelier.answers import FEEDBACK
from atelier.complement_lists import BOUGHT, LOOK, TABLE
from atelier.errors import PartitionMissing
from resources.compute import gpu_pool
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import pandas as pd

    from atelier.outfits import OutfitModel
    from atelier.outfits.feedback import Feedback

PROMISES, COVERED = "complements_can_be_offered", "articles_have_complements"


class ComplementConfig(dg.Config):
    """The lists of complements.

    Attributes:
        k: the length of each list.
        families: product types of which candidates for a look are compared; those most often combined with the
            article's.
        candidates: of each of these types, at most.
        least_customers: customers who have to have bought both articles.
        least_covered: the share of articles with complements below which the check warns.
    """

    k: int = 6
    families: int = 12
    candidates: int = 200
    least_customers: int = 2
    least_covered: float = 0.9


def write_complements(step: Step, config: ComplementConfig) -> None:
    """Write what completes the look of each article of the day, and what its buyers also bought."""
    import pandas as pd

    from atelier.articles.table import Articles
    from atelier.outfits.feedback import Feedback

    step.compute.apply()
    articles = sold_articles(step)
    answered = Feedback.from_frame(step.read(FEEDBACK), Articles.from_frame(articles[["article_id"]]))
    looks, bought = _looks(step, articles, config), _bought(step, articles, answered, config)
    table = pd.concat([looks.assign(list=LOOK), bought.assign(list=BOUGHT, model_id=None)], ignore_index=True)
    step.write(TABLE, table[[column.name for column in REGISTRY[TABLE].columns]])
    _report(step, articles, table, answered, config)


def sold_articles(step: Step) -> "pd.DataFrame":
    """The articles of the day: ``article_id``, ``product_type``, ``in_stock``; numbers: ``kind``, ``style``, ``role``.

    The kind of an article without a product type is −1, and so is the role of one without either; an article without a
    style is a style of its own.
    """
    import pandas as pd

    from atelier.articles.table import Articles
    from atelier.outfits.roles import roles_of

    sold = catalogue(step)
    kinds, _ = pd.factorize(sold.frame["product_type"], sort=True)
    styles, _ = pd.factorize(Articles.from_frame(sold.frame).styles)
    roles, _ = pd.factorize(roles_of(sold.frame, step.read("outfits")), sort=True)
    known = sold.frame[["article_id", "product_type"]]
    return known.assign(in_stock=sold.in_stock, kind=kinds, style=styles, role=roles)


def _looks(step: Step, articles: "pd.DataFrame", config: ComplementConfig) -> "pd.DataFrame":
    """The lists that the outfit model makes; none where no model was trained, as its own check says."""
    import pandas as pd

    from atelier.outfits import OutfitModel

    try:
        bundle = step.bundle(MODEL)
    except PartitionMissing:
        step.note(TABLE, without_model="no look is completed: the day has no outfit model")
        return pd.DataFrame({name: [] for name in ("article_id", "complement_article_id")}, dtype="str")
    basis = basis_of(bundle.manifest.upstreams)
    step.note(TABLE, looks_learned_from=basis)
    model = OutfitModel.load(bundle.path)
    table = _completed(model, articles, config)
    return table.assign(reason=_look_reasons(table, articles, basis), model_id=bundle.model_id)


def _completed(model: "OutfitModel", articles: "pd.DataFrame", config: ComplementConfig) -> "pd.DataFrame":
    """The looks of all articles of the day that the model knows, from those in stock."""
    import numpy as np

    from atelier.outfits.complements import LookConfig, complete_looks

    chosen = LookConfig(**config.model_dump(include={"k", "families", "candidates"}))
    by_id = articles.set_index("article_id").reindex(model.fitted.articles.names)
    offered = by_id["in_stock"].eq(True).to_numpy(bool)
    styles, roles = (by_id[name].fillna(-1).to_numpy(np.int64) for name in ("style", "role"))
    table = complete_looks(model, offered, styles, chosen, roles)
    return table[table["article_id"].isin(articles["article_id"])].reset_index(drop=True)


def _look_reasons(table: "pd.DataFrame", articles: "pd.DataFrame", basis: str) -> "pd.Series":
    """Why each complement of a look was chosen, a sentence for people."""
    import pandas as pd

    kinds = articles.set_index("article_id")["product_type"]
    own, other = (
        table[name].map(kinds).fillna("articles without a type") for name in ("article_id", "complement_article_id")
    )
    by = "by photograph, text and attributes"
    what = "baskets" if basis == BASKETS else "outfits"
    combined = pd.Series(f"{what} combine ", table.index).mask(table["family_outfits"] == 0, "people combine ")
    reasons = combined + own + " with " + other + f", and this one fits best {by}"
    reasons = reasons.mask(table["unseen"], f"none of the {what} has an article of its type; chosen {by}")
    together = f"in {what} together: " + table["outfits"].astype(str)
    reasons = reasons.mask(table["accepted"], "accepted by people").mask(table["outfits"] > 0, together)
    return reasons.mask(table["accepted"] & (table["outfits"] > 0), together + "; accepted by people too")


def _bought(step: Step, articles: "pd.DataFrame", answered: "Feedback", config: ComplementConfig) -> "pd.DataFrame":
    """What the buyers of each article bought with it or later, up to the day; no pair that people rejected."""
    from atelier.outfits.feedback import are_rejected
    from atelier.recommenders.co_purchase import AlsoBoughtConfig, also_bought

    purchases = training_interactions(step, ["purchase"]).of_kinds("purchase")
    table = also_bought(
        purchases,
        articles["article_id"],
        articles["in_stock"].to_numpy(bool),
        articles["kind"].to_numpy(),
        articles["style"].to_numpy(),
        AlsoBoughtConfig(k=config.k, least=config.least_customers),
        partial(are_rejected, answered.rejected),
    )
    counts = table[["customers", "buyers"]].astype(str)
    return table.assign(reason=counts["customers"] + " of " + counts["buyers"] + " buyers bought it too, then or later")


def _report(
    step: Step, articles: "pd.DataFrame", table: "pd.DataFrame", answered: "Feedback", config: ComplementConfig
) -> None:
    """Note for how many articles there is each list, and check what is promised of the lists."""
    by_list = {name: set(table.loc[table["list"] == name, "article_id"]) for name in (LOOK, BOUGHT)}
    sold = set(articles["article_id"])
    covered = len(by_list[LOOK] | by_list[BOUGHT])
    step.note(
        TABLE,
        articles=len(sold),
        with_complete_the_look=len(by_list[LOOK]),
        with_people_also_bought=len(by_list[BOUGHT]),
        without_complete_the_look=len(sold - by_list[LOOK]),
        without_people_also_bought=len(sold - by_list[BOUGHT]),
        without_any=len(sold) - covered,
    )
    if "unseen" in table:
        looks = table[(table["list"] == LOOK) & (table["rank"] == 1)]
        step.note(TABLE, of_a_type_in_no_outfit=int(looks["unseen"].astype(bool).sum()))
    share = covered / max(len(sold), 1)
    step.check(
        COVERED,
        share >= config.least_covered,
        f"{covered:,} of {len(sold):,} articles have complements ({share:.1%}; the threshold is "
        f"{config.least_covered:.0%}); looks need outfits, and the other list needs purchases by the same customers",
        share=share,
    )
    broken = broken_promises(table, articles, answered)
    told = ", ".join(f"{count:,} {what}" for what, count in broken.items() if count)
    kept = (
        "all are in stock, of another product type and style than their article, and rejected by nobody; a look has "
        "one article of a role, and none of the article's own"
    )
    step.check(PROMISES, not told, told or kept)


def broken_promises(table: "pd.DataFrame", articles: "pd.DataFrame", answered: "Feedback") -> dict[str, int]:
    """How many rows name what must not be: out of stock, of the article's own product type or style, or rejected.

    In a look also: of the article's own role, or of the role of what stands above it.

    Args:
        table: the lists; ``list``, ``article_id``, ``complement_article_id``.
        articles: of the day, as :func:`sold_articles` gives them.
        answered: what people said of them.
    """
    import pandas as pd

    from atelier.outfits.feedback import are_rejected

    ids = pd.Index(articles["article_id"])
    left, right = (ids.get_indexer(pd.Index(table[name])) for name in ("article_id", "complement_article_id"))
    known = articles.set_index("article_id")
    own, other = (known.reindex(table[name]) for name in ("article_id", "complement_article_id"))
    same = {name: own[name].to_numpy() == other[name].to_numpy() for name in ("kind", "style", "role")}
    look, role = table["list"].eq(LOOK).to_numpy(), other["role"].to_numpy()
    places = pd.DataFrame({"list": table["list"].to_numpy(), "article": table["article_id"].to_numpy(), "role": role})
    return {
        "are out of stock": int((~other["in_stock"].eq(True)).sum()),
        "are of the article's own product type": int((same["kind"] & (own["kind"].to_numpy() >= 0)).sum()),
        "are of the article's own style": int(same["style"].sum()),
        "are of the article's own role in its look": int((look & same["role"] & (role >= 0)).sum()),
        "are of a role that the look has already": int((look & places.duplicated() & (role >= 0)).sum()),
        "were rejected by people": int(are_rejected(answered.rejected, left, right).sum()),
    }


complementary_articles = stage(
    name=TABLE,
    description="What completes the look of each article, and what its buyers also bought.",
    produces=[TABLE],
    deps=[MODEL, "articles", "outfits", "interactions", FEEDBACK],
    group=GROUP,
    checks={
        COVERED: "Whether most articles of the day have complements.",
        PROMISES: "Whether all complements are in stock, of another product type and style, rejected by nobody, "
        "and no look has two articles of a role.",
    },
    isolated=True,
    pool=gpu_pool(),
)(write_complements)

STAGES = (complementary_articles,)
