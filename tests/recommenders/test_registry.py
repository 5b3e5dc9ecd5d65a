"""Recommenders by name: what there is, who reads a bundle, and that nothing is loaded before it is asked for."""

from pathlib import Path

import pandas as pd
import pytest

from atelier import recommenders
from atelier.errors import BundleError
from atelier.recommenders import MODELS, UnknownModelError


def test_names() -> None:
    with pytest.raises(UnknownModelError, match="no recommender 'best'; there are popular"):
        recommenders.build("best")
    assert all(recommenders.model_class(name).name == name for name in MODELS)


def test_a_bundle_is_read_by_its_own_class_only(tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer_id": ["u"], "article_id": ["a"]})
    recommenders.build("popular").fit(frame).save(tmp_path)
    with pytest.raises(BundleError, match="holds the model popular, not als"):
        recommenders.model_class("als").load(tmp_path)


def test_the_package_does_not_load_models_until_asked() -> None:
    import subprocess
    import sys

    code = "import sys, atelier.recommenders; sys.exit(any(m in sys.modules for m in ('torch', 'implicit')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
