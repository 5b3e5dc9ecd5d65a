"""Writing of ``atelier.toml``: whole by ``atelier init``, single sections later.

What belongs here: what may be written into it, and that no reader sees half of it. What does not: what it holds, the
rules of its keys and reading it (:mod:`resources.retailer`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from resources.retailer import PRESET_NAME, Home, Preset, Settings, SettingsError, read_settings


def check_settings(home: Home, settings: Settings) -> bool:
    """Whether the home serves these settings already; False where it serves none. Nothing is written.

    Raises:
        SettingsError: it serves others, or its file cannot be read.
    """
    if not home.toml.exists():
        return False
    existing = read_settings(home.toml)
    # What was promoted, tuned or chosen since is no other request: init knows nothing of it.
    encoder = settings.encoder.model_copy(update={"promoted": existing.encoder.promoted})
    cluster = {name: getattr(existing.compute, name) for name in ("executor", "address", "workers", "training_workers")}
    since: dict[str, Any] = {"encoder": encoder, "compute": settings.compute.model_copy(update=cluster)}
    since |= {name: getattr(existing, name) for name in ("presets", "recommenders", "gates")}
    asked = settings.model_copy(update=since)
    different = list(_differences(existing.model_dump(), asked.model_dump()))
    if not different:
        return True
    if all(line.startswith("compute.") for line in different):
        raise SettingsError(f"{home.toml} says otherwise: {', '.join(different)}; edit its section [compute] instead")
    raise SettingsError(
        f"{home.toml} already serves {existing.source} at {existing.path} ({', '.join(different)});"
        " one home serves one source: set ATELIER_HOME to another folder"
    )


def write_settings(home: Home, settings: Settings) -> None:
    """Write ``atelier.toml``, once; the same settings again change nothing.

    Raises:
        SettingsError: the home already serves other settings, or cannot be written to.
    """
    import tomlkit

    if check_settings(home, settings):
        return
    document = tomlkit.document()
    document.add(
        tomlkit.comment("Written once by `atelier init`; later only [compute], [gates], `recommenders` may be edited.")
    )
    document.add(
        tomlkit.comment("`recommenders = [...]`, above the first section, says which models the daily job fits.")
    )
    document.add(tomlkit.comment("`atelier promote` writes encoder.promoted, the job `tune` writes [presets]."))
    document.add(tomlkit.comment("Everything else is Dagster config."))
    for name, value in settings.model_dump(exclude_none=True).items():
        if name != "gates" and (name != "presets" or value):  # thresholds that nobody set keep their defaults
            document.add(name, value)
    _replace(home, tomlkit.dumps(document))


def promote_encoder(home: Home, model_id: str | None) -> bool:
    """Let photographs be encoded with a fine-tuned backbone from now on. The rest of the file stays byte for byte.

    Args:
        home: whose atelier.toml.
        model_id: the bundle of ``image_backbone``; None: back to the backbone and weights that ``atelier init`` wrote.

    Returns:
        Whether that changed anything.

    Raises:
        SettingsError: the home has no settings yet, or they cannot be read or written.
    """
    import tomlkit

    if not home.toml.exists():
        raise SettingsError(f"there is no {home.toml}; run `atelier init`")
    if read_settings(home.toml).encoder.promoted == model_id:
        return False
    document = tomlkit.parse(home.toml.read_text(encoding="utf-8"))
    section = document.setdefault("encoder", tomlkit.table())
    if model_id is None:
        section.remove("promoted")
    else:
        section["promoted"] = model_id
    _replace(home, tomlkit.dumps(document))
    return True


def write_preset(home: Home, name: str, preset: Preset) -> bool:
    """Write a preset into ``[presets.NAME]``, in place of one of that name. The rest of the file stays byte for byte.

    Args:
        home: whose atelier.toml.
        name: letters, digits, hyphens and underscores.
        preset: what is written.

    Returns:
        Whether that changed anything.

    Raises:
        SettingsError: the name is none, the home has no settings yet, or they cannot be read or written.
    """
    import tomlkit

    if not PRESET_NAME.fullmatch(name):
        raise SettingsError(f"{name!r} is no name of a preset: take letters, digits, hyphens and underscores")
    if not home.toml.exists():
        raise SettingsError(f"there is no {home.toml}; run `atelier init`")
    if read_settings(home.toml).presets.get(name) == preset:
        return False
    document = tomlkit.parse(home.toml.read_text(encoding="utf-8"))
    presets = document.setdefault("presets", tomlkit.table(is_super_table=True))
    presets[name] = preset.model_dump(exclude_none=True, exclude_defaults=True)
    _replace(home, tomlkit.dumps(document))
    return True


def _replace(home: Home, text: str) -> None:
    """Replace atelier.toml by ``text`` in one step, so that no reader sees half of it."""
    staged = home.toml.with_suffix(".toml.new")
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        staged.write_text(text, encoding="utf-8")
        staged.replace(home.toml)
    except OSError as error:
        raise SettingsError(f"{home.toml} cannot be written ({error}); set ATELIER_HOME to another folder") from error


def _differences(existing: Mapping[str, Any], asked: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for name in sorted(existing.keys() | asked.keys()):
        old, new = existing.get(name), asked.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{within}{name}.")
        elif old != new:
            yield f"{within}{name} is {old!r}, asked for {new!r}"
