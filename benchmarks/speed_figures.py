"""What :mod:`benchmarks.speed` keeps of each comparison: its rows, what they belong to, how long it took.

What belongs here: which of the kept measurements still hold, and what is told of them. What does not: which comparisons
there are, running them (:mod:`benchmarks.speed`), the file (:mod:`benchmarks.kept_figures`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from benchmarks import kept_figures
from benchmarks.machine import Machine, difference
from benchmarks.ratios import Row


class Conditions(BaseModel, frozen=True, extra="forbid"):
    """What a measurement belongs to: rows of others are never put into one table with it.

    Attributes:
        comparison: its name.
        options: of its command, sizes and threads among them.
        machine: where it runs, and with which versions.
        code: a digest of Atelier's code that it runs.
    """

    comparison: str
    options: tuple[str, ...]
    machine: Machine
    code: str

    def difference(self, then: "Conditions") -> str:
        """In what earlier conditions differ from these, in words; nothing where they do not."""
        if then.options != self.options:
            return f"measured with {' '.join(then.options) or 'no options'}"
        return difference(then.machine, self.machine) or (
            "" if then.code == self.code else "Atelier's code was another"
        )


class Measurement(BaseModel, frozen=True, extra="forbid"):
    """One comparison, measured.

    Attributes:
        conditions: what it belongs to.
        began: when.
        seconds: how long the whole comparison took by the clock, with imports and drawing its data.
        load: the machine's load average before and after it.
        printed: what it printed.
        rows: what it found; none are left where it is to be measured again.
    """

    conditions: Conditions
    began: datetime
    seconds: float
    load: tuple[float, float]
    printed: str
    rows: tuple[Row, ...]


def found(kept: Sequence[Measurement], wanted: Conditions) -> Measurement | None:
    """The last measurement under exactly these conditions; None where there is none with rows."""
    same = [each for each in kept if each.conditions == wanted]
    return same[-1] if same and same[-1].rows else None


def forget(file: Path, these: Collection[Conditions]) -> None:
    """Remove the rows under these conditions from a file; how long they took stays."""
    kept = kept_figures.read(file, Measurement)
    kept_figures.write(
        file, [each.model_copy(update={"rows": ()}) if each.conditions in these else each for each in kept]
    )


def outlook(kept: Sequence[Measurement], wanted: Conditions, usual: float | None) -> tuple[float | None, str]:
    """About how many seconds a comparison will take, None where nobody knows, and a line that says so.

    Args:
        kept: all earlier measurements, of any conditions.
        wanted: the comparison that is left, with its options.
        usual: how long it took those who wrote it, with these options; None: they have not told.
    """
    earlier = [each for each in kept if each.conditions.comparison == wanted.comparison]
    alike = [each for each in earlier if each.conditions.options == wanted.options]
    seconds = alike[-1].seconds if alike else usual
    told = "how long is not known" if seconds is None else f"about {duration(seconds)}"
    if alike:
        elsewhere = alike[-1].conditions.machine.hardware != wanted.machine.hardware
        told += f", as on {alike[-1].began:%Y-%m-%d}{' on another machine' if elsewhere else ''}"
    elif seconds is not None:
        told += ", as on the machine of docs/speed.md"
    unused = [each for each in (*earlier, *alike) if each.rows]  # with the same options, where there are such
    if unused:
        told += f"; kept rows are not used: {wanted.difference(unused[-1].conditions)}"
    return seconds, f"  {wanted.comparison:<12}{told}"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def times(measured: Sequence[Measurement]) -> str:
    """How long each comparison took, how busy the machine was, and when it was."""
    lines = [f"{'comparison':<12}{'took (s)':>10}{'load before':>13}{'after':>7}  measured (UTC)"]
    lines += [
        f"{each.conditions.comparison:<12}{each.seconds:>10.1f}{each.load[0]:>13.1f}{each.load[1]:>7.1f}"
        f"  {each.began:%Y-%m-%d %H:%M}"
        for each in measured
    ]
    return "\n".join([*lines, f"{'together':<12}{sum(each.seconds for each in measured):>10.1f}"])
