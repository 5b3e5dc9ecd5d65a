"""People's answers about pairs, as files of the landing zone.

What belongs here: reading a file that people filled in, comparing it with the articles, and putting its answers beside
the earlier ones. What does not:
which pairs are asked (:mod:`atelier.outfits.worth_asking`), what is learned from answers
(:mod:`atelier.outfits.feedback`), checking rows, which every ingest does.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.answers import ANSWERS, FEEDBACK
from atelier.errors import AtelierError

if TYPE_CHECKING:
    import pandas as pd

PAIR = ["article_id", "complement_article_id"]
COLUMNS = ["outfit_id", "article_id", "answer"]
AS_A_NUMBER = r"\d+([.,]\d+)?E\+?\d+|\d+[.,]0*"
"""How spreadsheets write long identifiers that they take for numbers."""
NAMED = 5
"""Unknown articles that an error names."""
LOCK = ".lock"


class AnswersError(AtelierError, ValueError):
    """A file of answers that cannot be read, or that cannot be put into the landing zone."""


def read_answers(file: Path) -> "pd.DataFrame":
    """The pairs that a person answered: ``article_id``, ``complement_article_id``, ``answer``; others are left out.

    Args:
        file: CSV, as the page of pairs saves it or as the list of questions was filled in. The apostrophe before what
            a spreadsheet would take for a formula is taken off again.

    Returns:
        The answers, indexed by the line of the file.

    Raises:
        AnswersError: the file is no such CSV, an answer is another word, a pair lacks an article, or nothing is
            answered.
    """
    from atelier.csv_rows import with_formulas

    frame = _read(file)
    absent = [name for name in (*PAIR, "answer") if name not in frame.columns]
    if absent:
        raise AnswersError(f"{file}: there is no column {absent[0]}; take the file that `atelier pairs ask` wrote")
    said: pd.DataFrame = frame[[*PAIR, "answer"]].apply(lambda column: with_formulas(column.str.strip()))
    frame = said[said["answer"] != ""]
    wrong = (~frame["answer"].isin(ANSWERS)) | (frame[PAIR] == "").any(axis=1) | (frame[PAIR[0]] == frame[PAIR[1]])
    if wrong.any():
        first = frame[wrong].iloc[0]
        line = frame.index[wrong.to_numpy()][0]
        raise AnswersError(
            f"{file}, line {line}: {first.tolist()} is no answer: name two articles and one of {', '.join(ANSWERS)}, "
            "or an empty answer where nobody can say"
        )
    if frame.empty:
        raise AnswersError(f"{file}: nothing is answered; write {' or '.join(ANSWERS)} into the column answer")
    return frame


def check_articles(file: Path, answers: "pd.DataFrame", articles: "pd.Series[str]", day: date) -> None:
    """Refuse answers about articles that the retailer does not have: the ingest would reject them.

    Args:
        file: where the answers are from, for the error.
        answers: as :func:`read_answers` gives them.
        articles: the identifiers of the day's articles.
        day: which day.

    Raises:
        AnswersError: naming strangers, the line of the first one, and what probably happened to them.
    """
    unknown = ~answers[PAIR].isin(set(articles))
    if not unknown.to_numpy().any():
        return
    lines = answers.index[unknown.any(axis=1).to_numpy()]
    strangers = answers[PAIR].melt()["value"][unknown.melt()["value"].to_numpy()].drop_duplicates().sort_values()
    shown = ", ".join(strangers.iloc[:NAMED]) + (", …" if len(strangers) > NAMED else "")
    if strangers.str.fullmatch(AS_A_NUMBER).any():
        cause = "a spreadsheet rewrote identifiers as numbers"
    elif strangers.isin(set(articles.str.lstrip("0"))).any():
        cause = "a spreadsheet took leading zeros off identifiers"
    else:
        cause = "they are mistyped, or not sold any more"
    raise AnswersError(
        f"{file}, line {lines[0]}: {len(strangers)} articles are not among those of {day}: {shown}; probably {cause}. "
        "Nothing was written; correct them, and open the file with the columns of identifiers imported as text"
    )


def known_answers(root: Path, day: date) -> "pd.DataFrame":
    """The answers that hold on a day, as the landing zone has them: ``outfit_id``, ``article_id``, ``answer``.

    Args:
        root: the source's folder.
        day: which day.

    Raises:
        SourceError: a file is not named for a day.
        AnswersError: the file cannot be read, or lacks a column.
    """
    import pandas as pd

    from atelier.sources.day_files import file_on, files_by_day

    file = file_on(files_by_day(root, FEEDBACK), day)
    if file is None:
        return pd.DataFrame({name: pd.array([], "str") for name in COLUMNS})
    frame = _read(file)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise AnswersError(f"{file}: there is no column {' and no column '.join(absent)}; docs/outfits.md says which")
    return frame


def add_answers(root: Path, answers: "pd.DataFrame", day: date) -> Path:
    """Put answers beside those that hold already, as the file of a day; a new answer about a pair replaces an old one.

    Args:
        root: the source's folder.
        answers: as :func:`read_answers` gives them; the last one about a pair counts.
        day: from which day on they hold.

    Returns:
        The file that was written.

    Raises:
        AnswersError: a later day has a file, in which the answers would be missing; or the earlier file is unreadable.
        SourceError: a file is not named for a day.
    """
    from filelock import FileLock

    folder = root / FEEDBACK
    folder.mkdir(exist_ok=True)
    with FileLock(folder / LOCK):  # two people may hand in answers at once
        return _add(root, answers, day)


def _add(root: Path, answers: "pd.DataFrame", day: date) -> Path:
    """Write the file of a day, see :func:`add_answers`; nobody else writes meanwhile."""
    from atelier.sources.day_files import CSV, files_by_day

    files = files_by_day(root, FEEDBACK)
    if later := [other for other in files if other > day]:
        raise AnswersError(
            f"{files[later[-1]]} is of a later day than {day}, and each file replaces the earlier ones: the answers "
            f"would be lost again; add them from that day on with --day {later[-1]}, or move that file away if its day "
            "is wrong"
        )
    file = root / FEEDBACK / f"ds={day.isoformat()}{CSV}"
    beside = file.with_name(f".{file.name}")
    _together(known_answers(root, day), answers).to_csv(beside, index=False)
    beside.replace(file)
    if (former := files.get(day)) is not None and former != file:
        former.unlink()  # its rows are in the new file
    return file


def _together(earlier: "pd.DataFrame", answers: "pd.DataFrame") -> "pd.DataFrame":
    """Earlier rows without those about the same pairs, and the answers, in the order of the outfits.

    A pair is named by its articles with a plus sign between them; a plus sign within an identifier is escaped, and a
    name that an earlier outfit of other articles has is lengthened by plus signs.
    """
    import numpy as np
    import pandas as pd

    left, right = np.sort(answers[PAIR].to_numpy(object), axis=1).T
    pairs = pd.DataFrame({"left": left, "right": right, "answer": answers["answer"].to_numpy()})
    pairs = pairs.drop_duplicates(["left", "right"], keep="last")
    said = earlier.groupby("outfit_id")["article_id"].agg(frozenset)
    anew = {frozenset(pair) for pair in zip(pairs["left"], pairs["right"], strict=True)}
    kept = earlier[~earlier["outfit_id"].isin(said.index[[members in anew for members in said]])]
    escaped = [pairs[side].str.replace("%", "%25").str.replace("+", "%2B") for side in ("left", "right")]
    pairs["outfit_id"] = escaped[0] + "+" + escaped[1]
    while (taken := pairs["outfit_id"].isin(set(kept["outfit_id"]))).any():
        pairs.loc[taken, "outfit_id"] += "+"
    added = pairs.melt(["outfit_id", "answer"], ["left", "right"], value_name="article_id")[COLUMNS]
    return pd.concat([kept, added]).sort_values(["outfit_id", "article_id"])


def _read(file: Path) -> "pd.DataFrame":
    """A CSV or Parquet file as texts, indexed by the line or row of the file; null is empty."""
    import pandas as pd

    from atelier.csv_rows import CsvError, read_rows

    try:
        if file.suffix == ".parquet":
            frame = pd.read_parquet(file).astype("str").fillna("")
            return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))
        return read_rows(file)
    except CsvError as error:
        raise AnswersError(str(error)) from error
    except (OSError, ValueError) as error:  # ValueError: pandas' and Arrow's own, of files that they cannot read
        said = str(error).strip().splitlines()
        raise AnswersError(f"{file}: it cannot be read ({said[0] if said else type(error).__name__})") from error
