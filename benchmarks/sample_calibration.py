"""The sample retailer compared with real transactions, by the statistics to which its defaults were calibrated.

    python -m benchmarks.sample_calibration HM_FOLDER HM_WEEK_FOLDER [--demo FOLDER] [--quick]

HM_FOLDER holds two years of a sample of customers, HM_WEEK_FOLDER every transaction of one week, both in the H&M
Kaggle layout (transactions_train.csv or .parquet). The sample retailer is generated once in the shape of each (as many
articles, customers and days, no photographs), so that equal shapes are compared, and once as the demo has it.
"""

import argparse
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from atelier.sources.sample import SampleConfig, generate

WINDOW = 60
HELD = 3  # days at the start of a week in which a new article must not have been sold
KINDS = {  # corresponding columns, ours and H&M's, with about as many values
    "product_type": "garment_group_name",
    "division": "index_group_name",
    "colour": "perceived_colour_master_name",
    "pattern": "graphical_appearance_name",
    "product_code": "product_code",
}
MOST_PURCHASES = 60  # customers with more are left out of pairs, whose number grows with the square
BUYERS = 20  # an article with so many buyers, but none on the first three days, is new and not slow-selling


def read_file(folder: Path, name: str) -> pd.DataFrame:
    """A file in the H&M layout, CSV or Parquet, with article ids as ten digits."""
    file = next(path for path in (folder / f"{name}.{end}" for end in ("parquet", "csv")) if path.exists())
    relation = duckdb.read_parquet(str(file)) if file.suffix == ".parquet" else duckdb.read_csv(str(file))
    frame: pd.DataFrame = relation.project("* REPLACE (lpad(article_id::VARCHAR, 10, '0') AS article_id)").df()
    return frame


def read_hm(folder: Path) -> pd.DataFrame:
    """Purchases in the H&M layout: day (from 0), customer_id, article_id and the columns of KINDS."""
    frame = read_file(folder, "transactions_train")
    days = pd.to_datetime(frame["t_dat"])
    frame["day"] = (days - days.min()).dt.days
    kinds = {column: ours for ours, column in KINDS.items()}
    articles = read_file(folder, "articles")[["article_id", *kinds]].rename(columns=kinds)
    return frame[["day", "customer_id", "article_id"]].merge(articles, on="article_id", how="left")


def read_sample(root: Path, config: SampleConfig, first: int = 0) -> pd.DataFrame:
    """Purchases of a generated retailer from a day on: day (from 0), customer_id, article_id, new (first week)."""
    frames = []
    for day in range(first, config.days):
        ds = (config.first_day + pd.Timedelta(days=day)).isoformat()[:10]
        frame = pd.read_parquet(
            root / "interactions" / f"ds={ds}.parquet", columns=["customer_id", "article_id", "kind"]
        )
        frames.append(frame[frame["kind"] == "purchase"].drop(columns="kind").assign(day=day))
    launched = pd.read_parquet(root / "truth" / "choice_articles.parquet").set_index("article_id")["launched"]
    attributes = pd.read_parquet(root / "truth" / "attributes.parquet")
    attributes = attributes.pivot(index="article_id", columns="attribute", values="value")
    last = pd.read_parquet(max((root / "articles").glob("*.parquet"))).set_index("article_id")
    kinds = last[["product_type", "division", "product_code"]].join(attributes[["colour", "pattern"]])
    frame = pd.concat(frames, ignore_index=True).merge(kinds.reset_index(), on="article_id", how="left")
    new = frame["day"] - frame["article_id"].map(launched).astype(int) < 7
    return frame.assign(day=frame["day"] - first, new=new)


def gini(counts: np.ndarray) -> float:
    """Gini coefficient of positive counts."""
    counts = np.sort(counts)
    n = len(counts)
    return float(((2 * np.arange(1, n + 1) - n - 1) * counts).sum() / (n * counts.sum()))


def repeats(frame: pd.DataFrame) -> float:
    """The share of repeats among the purchases after a customer's first day: articles bought on an earlier day."""
    known = frame["day"] > frame.groupby("customer_id")["day"].transform("min")
    again = frame["day"] > frame.groupby(["customer_id", "article_id"])["day"].transform("min")
    return float(again[known].mean())


def persistence(frame: pd.DataFrame, kind: str) -> float:
    """The persistence of tastes: how much more often than by chance a customer's purchases of two days agree.

    Over pairs of different articles that one customer bought on two days at most 60 days apart, each customer having
    the same weight: the share of pairs that agree, divided by the share among pairs of different customers.
    """
    bought = frame[["customer_id", "day", "article_id", kind]].dropna().drop_duplicates()
    count = bought.groupby("customer_id")["day"].transform("size")
    bought = bought[(count > 1) & (count <= MOST_PURCHASES)]
    pairs = bought.merge(bought, on="customer_id")
    pairs = pairs[(pairs["day_x"] < pairs["day_y"]) & (pairs["article_id_x"] != pairs["article_id_y"])]
    pairs = pairs[pairs["day_y"] - pairs["day_x"] <= WINDOW]
    weight = 1 / pairs.groupby("customer_id")["day_x"].transform("size")
    together = float(weight[pairs[f"{kind}_x"] == pairs[f"{kind}_y"]].sum() / weight.sum())
    shares = [weight.groupby(pairs[f"{kind}_{side}"]).sum() / weight.sum() for side in "xy"]
    return together / float((shares[0] * shares[1]).sum())


def week_figures(frame: pd.DataFrame) -> dict[str, float]:
    """The statistics of one week with all its customers."""
    articles = frame.groupby("article_id").size().to_numpy()
    buyers, baskets = frame.groupby("customer_id"), frame.groupby(["customer_id", "day"])
    late = frame[frame["day"] >= HELD]
    popular = late.groupby("article_id")["customer_id"].nunique().loc[lambda count: count >= BUYERS].index
    appeared = popular.difference(pd.Index(frame.loc[frame["day"] < HELD, "article_id"].unique()))
    figures = {
        "articles sold": float(len(articles)),
        "units per article sold": float(articles.mean()),
        "Gini of units over articles sold": gini(articles),
        "share of the best-selling 1%": float(
            np.sort(articles)[-max(len(articles) // 100, 1) :].sum() / articles.sum()
        ),
        "units per buyer": float(buyers.size().mean()),
        "days per buyer": float(buyers["day"].nunique().mean()),
        "units per buyer and day, mean": float(baskets.size().mean()),
        **{
            f"units per buyer and day, {q:.0%} quantile": float(baskets.size().quantile(q))
            for q in (0.5, 0.75, 0.9, 0.99)
        },
        "further units of the same on a day": float(1 - baskets["article_id"].nunique().sum() / len(frame)),
        "repeat share of later days": repeats(frame),
        "sales on articles that appear on day 4–7": float(late["article_id"].isin(appeared).mean()),
    }
    if "new" in frame:
        figures["sales on articles new that week (truth)"] = float(frame["new"].mean())
    return figures


def window_figures(frame: pd.DataFrame) -> dict[str, float]:
    """The statistics of 60-day windows, averaged over windows, and the persistence of tastes."""
    original = frame
    frame = frame[
        frame["day"] < frame["day"].max() // WINDOW * WINDOW if frame["day"].max() >= WINDOW else frame["day"] >= 0
    ]
    frame = frame.assign(window=frame["day"] // WINDOW)
    customers = frame["customer_id"].nunique() * frame["window"].nunique()
    frame["customer_id"] = frame["customer_id"] + "/" + frame["window"].astype(str)
    buyers = frame.groupby("customer_id")
    units, days = buyers.size(), buyers["day"].nunique()
    return {
        "60 days: share of those who ever buy": len(units) / customers,
        "60 days: units per buyer": float(units.mean()),
        "60 days: its coefficient of variation": float(units.std() / units.mean()),
        **{f"60 days: units per buyer, {q:.0%} quantile": float(units.quantile(q)) for q in (0.5, 0.9, 0.99)},
        "60 days: days per buyer": float(days.mean()),
        **{f"60 days: days per buyer, {q:.0%} quantile": float(days.quantile(q)) for q in (0.9, 0.99)},
        "60 days: repeat share of later days": repeats(frame),
        **{f"persistence of {kind.replace('_', ' ')}": persistence(original, kind) for kind in KINDS},
    }


def generated(config: SampleConfig, first: int = 0) -> pd.DataFrame:
    """Purchases of a retailer that is generated in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "retailer"
        generate(root, config)
        return read_sample(root, config, first)


def table(columns: dict[str, dict[str, float]]) -> str:
    """A Markdown table of figures by column."""
    frame = pd.DataFrame(columns)
    lines = ["| figure | " + " | ".join(frame.columns) + " |", "|---|" + "---:|" * frame.shape[1]]
    for name, row in frame.iterrows():
        cells = ("–" if np.isnan(value) else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in row)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hm", type=Path, help="folder with two years of a sample of customers")
    parser.add_argument("hm_week", type=Path, help="folder with one whole week")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other values of the configuration")
    arguments = parser.parse_args()
    changed = {name: float(value) for name, value in (pair.split("=") for pair in arguments.set)}
    demo = SampleConfig.model_validate({"photographs": False, **changed})
    # A fifth of the week's customers and articles; the three weeks before it give customers a history.
    week = demo.model_copy(update={"articles": 5_000, "customers": 85_000, "days": 28})
    long = demo.model_copy(update={"articles": 60_000, "customers": 1_364, "days": 720})
    demo_frame = generated(demo)
    last_week = demo_frame[demo_frame["day"] >= demo.days - 7].assign(day=lambda f: f["day"] - (demo.days - 7))
    print(
        table(
            {
                "H&M": week_figures(read_hm(arguments.hm_week)) | window_figures(read_hm(arguments.hm)),
                "sample, in H&M's shape": week_figures(generated(week, 21)) | window_figures(generated(long)),
                "sample, the demo": week_figures(last_week) | window_figures(demo_frame),
            }
        )
    )


if __name__ == "__main__":
    main()
