"""A home of the sample retailer with one ingested day, for the benchmarks that read homes."""

from datetime import date

import pytest

from atelier.sources.sample import SampleConfig, generate
from resources.feature_store import FeatureStore
from resources.frames import empty_table
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import REGISTRY

INGESTED = date(2025, 3, 17)


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Articles and annotations of :data:`INGESTED`, without photographs."""
    home = Home(tmp_path_factory.mktemp("home"))
    generate(
        home.root / "retailer", SampleConfig(articles=160, customers=20, days=28, photographs=False, wrong_labels=0.2)
    )
    write_settings(home, Settings(source="sample", path="retailer", first_day=date(2025, 3, 3)))
    source, store = home.open_source(), FeatureStore(home.store, threads=1)
    for table in ("articles", "annotated_attributes"):
        ((_, landed),) = source.land(table, [INGESTED])
        store.write(table, INGESTED, landed.accepted)
    for table in ("images", "image_embeddings"):
        store.write(table, INGESTED, empty_table(REGISTRY[table]))
    return home
