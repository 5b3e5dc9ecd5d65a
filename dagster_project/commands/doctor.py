"""``atelier doctor``: what is broken in a home, and the command that mends each.

What belongs here: the command and its table. What does not: looking through a home (:mod:`resources.doctor`).
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    from resources.doctor import Finding

HEADINGS = ("state", "file", "what is wrong", "mended by")


@click.command()
@click.option("--sizes-only", is_flag=True, help="Look at files without reading them: quick, but misses changed bytes.")
def doctor(sizes_only: bool) -> None:
    """Look through the home for broken files, and name the command that mends each; exit status 1 if there are any."""
    from resources.doctor import examine

    home = Home.initialised()
    found = examine(home, sizes_only=sizes_only)
    for line in lines(found.findings):
        click.echo(line)
    broken = len(found.broken)
    other = {state: sum(each.state == state for each in found.findings) for state in ("incomplete", "left over")}
    if not other["incomplete"]:
        del other["incomplete"]
    click.echo(
        f"{home.root}: {counted(found.partitions, 'partition')}, {counted(found.bundles, 'model bundle')}, "
        f"{counted(found.vector_files, 'file')} of image vectors {'looked at' if sizes_only else 'read'}: "
        f"{broken:,} broken, " + ", ".join(f"{count:,} {state}" for state, count in other.items())
    )
    if found.broken:
        raise SystemExit(1)


def counted(count: int, noun: str) -> str:
    """A number of things, in words: ``1 file``, ``2 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def lines(findings: "Iterable[Finding]") -> Iterator[str]:
    """The findings as the lines of a table with headings; none where there is none."""
    rows = [tuple(map(clean, (each.state, each.file, each.problem, each.command))) for each in findings]
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    for row in (HEADINGS, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
