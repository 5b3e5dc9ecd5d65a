"""The attribute model on real articles."""

from pathlib import Path

import pandas as pd
import pytest

from atelier.attributes import AttributeConfig, fit_and_evaluate

ATTRIBUTES = ["product_group_name", "index_group_name"]


@pytest.mark.real_data
def test_text_alone_tells_far_more_than_the_majority(real_data: Path) -> None:
    columns = ["article_id", "product_code", "prod_name", "detail_desc", *ATTRIBUTES]
    frame = pd.read_csv(real_data / "hm" / "articles.csv", dtype="str", usecols=columns).iloc[::50]
    articles = frame.rename(columns={"prod_name": "name", "detail_desc": "description"})[
        ["article_id", "product_code", "name", "description"]
    ]
    labels = frame.melt("article_id", ATTRIBUTES, var_name="attribute")
    config = AttributeConfig.small(filters=64, text_units=64, joint_units=128, batch_size=64, max_epochs=8)
    _, table = fit_and_evaluate(articles, labels, config)
    scores = table.pivot(index="attribute", columns="metric", values="value")
    assert scores.loc["product_group_name", "weighted_f1"] > 0.75
    assert (scores["weighted_f1"] > scores["majority_weighted_f1"] + 0.15).all(), scores
