"""Which settings of a recommender are tried, derived from its config.

What belongs here: from the fields of a pydantic config, their bounds, their choices and the marks
:class:`~atelier.recommenders.config.Search`, to the parameters of a search. What does not: the search itself
(:mod:`atelier.studies.tuning`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic.fields import FieldInfo

from atelier.errors import AtelierError
from atelier.recommenders.config import Choice, RecommenderConfig, Search

DECIDED = ("seed", "train_kinds", "seen_kinds", "customer_attributes")
"""Fields that no search tries: they say what the data are, or would change the task itself."""


class SearchSpaceError(AtelierError, ValueError):
    """A field cannot be searched; the message names it and the remedy."""


@dataclass(frozen=True)
class Parameter:
    """One field that is searched: numbers between two bounds, or a choice.

    Attributes:
        name: the field.
        low: the lowest number; None for a choice.
        high: the highest number; None for a choice.
        log: whether numbers are drawn on a logarithmic scale.
        step: the distance of whole numbers; None: real numbers.
        choices: the values of a choice; empty for numbers.
    """

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: int | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def distribution(self) -> BaseDistribution:
        """The same as Optuna has it."""
        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.low is None or self.high is None:
            raise SearchSpaceError(f"{self.name} has neither choices nor bounds")
        if self.step is not None:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=self.step)
        return FloatDistribution(float(self.low), float(self.high), log=self.log)

    def holds(self, value: object) -> bool:
        """Whether a value is one of those that are tried."""
        if self.choices:
            return any(value == each and type(value) is type(each) for each in self.choices)
        if self.low is None or self.high is None or isinstance(value, bool) or not isinstance(value, int | float):
            return False
        on_step = self.step is None or (isinstance(value, int) and (value - int(self.low)) % self.step == 0)
        return self.low <= value <= self.high and on_step

    def text(self) -> str:
        """What is tried, in words."""
        if self.choices:
            return ", ".join("empty" if each is None else str(each) for each in self.choices)
        steps = f" in steps of {self.step}" if self.step not in (None, 1) else ""
        return f"{self.low:g} … {self.high:g}{steps}{', logarithmic' if self.log else ''}"


def search_space(
    config: type[RecommenderConfig],
    fields: Iterable[str] = (),
    *,
    choices: Mapping[str, Iterable[Choice]] | None = None,
    fixed: Iterable[str] = (),
    dated: bool = True,
    content: bool = True,
) -> tuple[Parameter, ...]:
    """The parameters of a search among the settings of a model.

    Args:
        config: the model's.
        fields: which of its fields are searched; empty: those that it marks with
            :class:`~atelier.recommenders.config.Search`, but for those that make no difference.
        choices: values that are tried instead of what the config says, by field; such a field is searched in any case.
        fixed: fields that are not searched because they are given.
        dated: whether the interactions have dates.
        content: whether the model reads content.

    Returns:
        The parameters in the order of the config's fields; the same order gives the same search.

    Raises:
        SearchSpaceError: a field does not exist, is both given and asked for, or nothing says what to try.
    """
    listed = {name: tuple(values) for name, values in (choices or {}).items()}
    asked, given = set(fields) | set(listed), set(fixed)
    for name in sorted(asked | given):
        if name not in config.model_fields:
            raise SearchSpaceError(
                f"{name} is no field of {config.__name__}; there are {', '.join(config.model_fields)}"
            )
        if name in DECIDED:
            raise SearchSpaceError(f"{name} is not searched and not fixed: the study itself sets it; remove it")
    if both := sorted(asked & given):
        raise SearchSpaceError(f"{both[0]} is fixed and searched at once: keep one of the two")
    wanted = (
        asked if fields else asked | {name for name in config.model_fields if _marked(config, name, dated, content)}
    )
    space = tuple(
        _parameter(config, name, listed.get(name, ())) for name in config.model_fields if name in wanted - given
    )
    if not space:
        raise SearchSpaceError(f"nothing of {config.__name__} is left to search: name fields, or fix fewer")
    return space


def _marked(config: type[RecommenderConfig], name: str, dated: bool, content: bool) -> bool:
    mark = _mark(config.model_fields[name])
    return mark is not None and (dated or not mark.dated) and (content or not mark.content)


def _mark(field: FieldInfo) -> Search | None:
    return next((each for each in field.metadata if isinstance(each, Search)), None)


def _parameter(config: type[RecommenderConfig], name: str, choices: tuple[Choice, ...]) -> Parameter:
    """The parameter of a field: given choices first, then its mark, then what its type and bounds say."""
    field = config.model_fields[name]
    mark = _mark(field) or Search()
    kind = _kind(field.annotation)
    found = choices or mark.choices or _values(kind)
    if found:
        if wrong := [each for each in found if not isinstance(each, bool | int | float | str | NoneType)]:
            raise SearchSpaceError(f"{name}: {wrong[0]!r} cannot be a choice: take numbers, texts, true, false or null")
        return Parameter(name, choices=tuple(dict.fromkeys(found)))
    if kind not in (int, float):
        raise SearchSpaceError(f"{name} is neither a number nor a choice: name its values in choices")
    low = mark.low if mark.low is not None else _bound(field, Ge, kind)
    high = mark.high if mark.high is not None else _bound(field, Le, kind)
    if low is None or high is None:
        raise SearchSpaceError(f"{name} has no bounds on both sides to search between: name its values in choices")
    return Parameter(name, low, high, mark.log, mark.step if kind is int else None)


def _kind(annotation: Any) -> Any:
    """The field's own type, without Annotated and without "or empty"."""
    if hasattr(annotation, "__metadata__"):
        return _kind(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        others = [each for each in get_args(annotation) if each is not NoneType]
        return _kind(others[0]) if len(others) == 1 else annotation
    return annotation


def _values(kind: Any) -> tuple[Choice, ...]:
    if get_origin(kind) is Literal:
        return tuple(get_args(kind))
    return (False, True) if kind is bool else ()


def _bound(field: FieldInfo, side: type[Ge] | type[Le], kind: type) -> float | None:
    """The bound of a number that the field itself declares; an open bound of whole numbers is moved by one.

    A real number with an open bound has no lowest or highest value, so that it has to be marked.
    """
    for each in field.metadata:
        if side is Ge and isinstance(each, Ge):
            return float(each.ge)  # type: ignore[arg-type]
        if side is Le and isinstance(each, Le):
            return float(each.le)  # type: ignore[arg-type]
        if kind is int and side is Ge and isinstance(each, Gt):
            return float(each.gt) + 1  # type: ignore[arg-type]
        if kind is int and side is Le and isinstance(each, Lt):
            return float(each.lt) - 1  # type: ignore[arg-type]
    return None
