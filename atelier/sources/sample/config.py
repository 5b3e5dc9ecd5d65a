"""What can be asked of the sample retailer.

What belongs here: the configuration, its defaults and its limits. What does not: anything that is drawn from it.

The defaults of the second half were calibrated once against real transactions (``benchmarks/sample_calibration.py``;
the table stands in ``docs/sample_retailer.md``).
"""

from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, Field


class SampleConfig(BaseModel):
    """Size, time, seed and behaviour of a sample retailer. The same configuration gives the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    articles: int = Field(default=1200, ge=20, description="Articles that are ever on sale during the history.")
    customers: int = Field(default=3000, ge=1, description="Customers who are ever registered.")
    days: int = Field(default=60, ge=1, le=3660, description="Days of history.")
    first_day: date = Field(default=date(2025, 3, 3), description="The first day of history.")
    seed: int = Field(default=0, ge=0, description="The seed of everything that is drawn.")
    photographs: bool = Field(default=True, description="Whether photographs are drawn.")
    image_size: int = Field(default=112, ge=32, le=1024, description="Width and height of a photograph, in pixels.")
    outfits_per_article: float = Field(default=0.5, ge=0, description="Outfits that people made, for each article.")
    styles: int = Field(default=24, ge=2, le=64, description="Styles of the mixture from which customers choose.")
    wrong_labels: float = Field(default=0.03, ge=0, le=1, description="Share of annotations that are wrong.")

    sessions_per_customer: float = Field(default=0.046, gt=0, description="Mean sessions of a customer on a day.")
    activity_shape: float = Field(default=1.0, gt=0, description="Shape of the gamma distribution of that mean.")
    considered: float = Field(default=5.4, ge=1, description="Mean articles in a session (geometric, from 1).")
    hauls: float = Field(default=0.12, ge=0, le=1, description="Share of sessions that consider HAUL times as many.")
    buying_sessions: float = Field(default=0.5, ge=0, le=1, description="Share of sessions in which one may buy.")
    bagged: float = Field(default=0.42, ge=0, le=1, description="Share of considered articles that are bagged.")
    bought: float = Field(default=0.8, ge=0, le=1, description="Share of bagged articles bought, in a buying session.")
    saved: float = Field(default=0.12, ge=0, le=1, description="Share of considered articles that are saved.")
    second_unit: float = Field(default=0.02, ge=0, lt=1, description="Chance that a bought unit has a next one.")
    repeat: float = Field(default=0.23, ge=0, lt=1, description="Chance, right after a purchase, to consider it again.")
    repeat_half_life: float = Field(default=3.5, gt=0, description="Days after which that chance has halved.")
    shop_sessions: float = Field(default=0.2, ge=0, le=1, description="Share of sessions in shops (purchases only).")

    popularity_sigma: float = Field(default=1.0, ge=0, description="Standard deviation of an article's log popularity.")
    style_sigma: float = Field(default=1.0, ge=0, description="Scale of what a style likes and dislikes.")
    taste_concentration: float = Field(default=0.03, gt=0, description="Dirichlet parameter of a customer's styles.")
    drift: float = Field(default=0.5, ge=0, le=1, description="Share of a taste that the drift replaces.")
    article_life: float = Field(default=140.0, gt=7, description="Mean days for which an article is on sale.")
    novelty_days: float = Field(default=35.0, gt=0, description="Days after which newness has faded to 1/e.")
    novelty_boost: float = Field(default=1.0, ge=0, description="That attraction, relative to an old article's.")
    slow_start: float = Field(default=0.8, ge=0, lt=1, description="Share of its attraction that is lacking at first.")
    slow_start_days: float = Field(default=10.0, gt=0, description="Days after which that lack has shrunk to 1/e.")

    @property
    def last_day(self) -> date:
        """The last day of history."""
        return self.first_day + timedelta(days=self.days - 1)
