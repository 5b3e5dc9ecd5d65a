"""The version of code changes with what it imports, and with nothing else."""

from pathlib import Path

import pytest

from assets.on_demand import STAGES
from atelier import code_version as module
from atelier.code_version import ROOT, code_version, reachable

VERSIONS = {each.name: each for each in STAGES}


def changed(monkeypatch: pytest.MonkeyPatch, edited: str) -> set[str]:
    """The stages whose version changes where a file is edited."""

    def versions() -> dict[str, str]:
        found = {}
        for each in STAGES:
            vars(each).pop("code_version", None)
            found[each.name] = each.code_version
            vars(each).pop("code_version", None)
        return found

    before, read = versions(), Path.read_bytes
    target = ROOT / edited
    assert target.is_file()
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == target))
    return {name for name, version in versions().items() if version != before[name]}


def test_a_template_of_the_report_changes_what_writes_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    found = changed(monkeypatch, "atelier/report/templates/page.html.j2")
    assert "report" in found
    assert found <= {
        "report",
        "completeness",
        "study_attributes",
        "compare_recommenders",
        "compare_sequence_models",
        "tune_recommender",
        "fine_tune_backbone",
    }


@pytest.mark.parametrize(
    ("edited", "more", "not_these"),
    [
        (
            "atelier/recommenders/factorisation/als.py",
            {"als_model", "recommendations_als"},
            {"hybrid_model", "articles"},
        ),
        ("atelier/recommenders/factorisation/hybrid_training.py", {"hybrid_model"}, {"als_model", "attribute_model"}),
        ("atelier/recommenders/base.py", {"als_model", "hybrid_model", "popular_model"}, {"attribute_model"}),
        ("sql/article_features.sql", {"article_features"}, {"als_model", "articles"}),
        ("atelier/attributes/network/architecture.py", {"attribute_model"}, {"als_model", "articles"}),
        ("sql/views/attribute_lineage.sql", {"feature_store"}, {"als_model", "articles"}),
    ],
)
def test_an_edit_changes_who_imports_it(
    monkeypatch: pytest.MonkeyPatch, edited: str, more: set[str], not_these: set[str]
) -> None:
    found = changed(monkeypatch, edited)
    assert more <= found
    assert not found & not_these


def test_imports_are_followed_into_functions_and_not_for_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "assets/top.py": "from typing import TYPE_CHECKING\n\nfrom atelier import one\n"
        "from atelier.two import (\n    A,\n    B,\n)\n\n"
        "if TYPE_CHECKING:\n    from atelier.types_only import C\n\n\ndef f():\n    from atelier.inner import D\n",
        "atelier/__init__.py": "",
        "atelier/one.py": "import atelier.deep\n",
        "atelier/two.py": "",
        "atelier/deep.py": "from atelier.one import x\n",
        "atelier/inner.py": "",
        "atelier/types_only.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    for cached in (module._imports, module._is_module, module._files):
        cached.cache_clear()
    found = reachable(("assets.top",))
    for cached in (module._imports, module._is_module, module._files):
        cached.cache_clear()
    assert found == {"assets.top", "atelier.one", "atelier.deep", "atelier.two", "atelier.inner"}


def test_a_version_is_short_and_the_same_each_time() -> None:
    assert code_version("assets.features") == code_version("assets.features")
    assert len(code_version("assets.features")) == 12


def test_what_counts_alone_is_not_followed() -> None:
    assert code_version(alone=("assets.features",)) != code_version("assets.features")
    assert code_version(alone=("assets.features",)) != code_version(alone=("assets.raw",))


def test_a_library_whose_name_begins_like_ours_is_not_ours() -> None:
    found = reachable(("atelier.studies.tuning",))  # it imports sqlalchemy
    assert not [name for name in found if name.startswith("sqlalchemy")]
    assert "atelier.studies.tuning_plan" in found
