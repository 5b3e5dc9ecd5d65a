"""What is written about the sample retailer's articles: names and descriptions.

What belongs here: putting truth into varied words, some of it left out and a little of it wrong. What does not: the
words themselves (:mod:`~atelier.sources.sample.taxonomy`).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from atelier.sources.sample import taxonomy
from atelier.sources.sample.catalogue import Articles

MISLEADING = 0.015
NO_DESCRIPTION = 0.02
PAIRING = 0.15

_OPENERS = ("A", "Our best-loved", "Meet the", "Designed in our studio, a", "The new-season", "An easy")
_PURPOSES = ("made for", "that is right for", "we love for", "at home at", "cut with a view to")
_NO_PURPOSE = (
    "to reach for again and again",
    "with a modern line",
    "that goes with everything",
    "built to last",
    "with thoughtful details",
)
_DETAILS = ("It has", "Details:", "Finished with", "Features include", "Look out for")
_MADE = ("Made from", "Woven in soft", "Crafted in", "In a fine quality of", "The fabric is mostly")
_COMES = ("Comes in", "Shown here in", "This colour is", "Dyed in")
_FILLERS = (
    "Machine wash at 30 degrees.",
    "Model wears size M.",
    "Take your usual size.",
    "Part of our core range.",
    "Lined for comfort.",
    "Ships within two days.",
    "Inspired by vintage finds.",
    "Wipe clean only.",
)
_PAIRINGS = ("Wear it with", "Style it alongside", "It looks great next to")


def _one_of(rng: np.random.Generator, options: tuple[str, ...], n: int) -> Any:
    """Arrow strings [n]: one of the options for each."""
    return pa.array(options, pa.string()).take(pa.array(rng.integers(0, len(options), size=n)))


def _where(condition: NDArray[np.bool_], yes: Any, no: Any = None) -> Any:
    """Arrow strings [n]: ``yes`` where the condition holds, otherwise ``no`` (null)."""
    return pc.if_else(pa.array(condition), yes, pa.scalar(None, pa.string()) if no is None else no)


def _join(separator: str, *columns: Any) -> Any:
    """Arrow strings [n]: the columns joined, nulls skipped; empty where all are null."""
    # pyarrow's "skip" drops a row in which every column is null, and the result is then shorter than its input.
    first = pc.if_else(pc.is_null(pc.coalesce(*columns)), "", columns[0])
    return pc.binary_join_element_wise(first, *columns[1:], separator, null_handling="skip")


def _prefixed(prefix: Any, column: Any, end: str) -> Any:
    """Arrow strings [n]: ``prefix column`` + end, null where the column is null or empty."""
    filled = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    return pc.binary_join_element_wise(pc.binary_join_element_wise(prefix, filled, " "), end, "")


def _words(rng: np.random.Generator, attribute: taxonomy.Attribute, codes: NDArray[np.int64]) -> Any:
    """Arrow strings [n]: a word for each article's value; null where it does not apply or is not mentioned."""
    flat = [word for name in attribute.names for word in attribute.words[name]]
    counts = np.array([len(attribute.words[name]) for name in attribute.names])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    misled = rng.random(len(codes)) < MISLEADING
    said = np.where(misled, rng.integers(0, len(counts), size=len(codes)), codes)
    said = np.maximum(said, 0)
    chosen = starts[said] + np.floor(rng.random(len(codes)) * counts[said]).astype(np.int64)
    silent = (codes < 0) | (rng.random(len(codes)) >= attribute.mentioned)
    return pa.array(flat, pa.string()).take(pa.array(chosen, mask=silent))


def write_texts(articles: Articles, rng: np.random.Generator) -> pa.Table:
    """Names and descriptions.

    Args:
        articles: the catalogue.
        rng: where chance comes from.

    Returns:
        Columns name and description (null for a few), aligned with the catalogue.
    """
    n = len(articles)
    said = {
        attribute.name: _words(rng, attribute, articles.attributes[:, index])
        for index, attribute in enumerate(taxonomy.ATTRIBUTES)
    }
    noun = _nouns(rng, articles)
    in_name = {name: rng.random(n) < share for name, share in (("colour", 0.35), ("material", 0.4), ("fit", 0.35))}
    titled = {name: _where(mask, said[name]) for name, mask in in_name.items()}
    name = _join(" in ", _join(" ", titled["fit"], titled["material"], noun), titled["colour"])
    rest = {name: _where(~mask, said[name]) for name, mask in in_name.items()}
    described = _description(rng, {**said, **rest}, noun)
    absent = rng.random(n) < NO_DESCRIPTION
    return pa.table({"name": pc.utf8_capitalize(name), "description": _where(~absent, described)})


def _nouns(rng: np.random.Generator, articles: Articles) -> Any:
    """Arrow strings [n]: what each article is called."""
    nouns = pa.nulls(len(articles), pa.string())
    for index, kind in enumerate(taxonomy.TYPES):
        nouns = _where(articles.types == index, _one_of(rng, kind.nouns, len(articles)), nouns)
    return nouns


def _description(rng: np.random.Generator, said: dict[str, Any], noun: Any) -> Any:
    """Arrow strings [n]: four or five sentences with what is to be said."""
    n = len(noun)
    purpose = _prefixed(_one_of(rng, _PURPOSES, n), said["occasion"], "")
    opener = _join(" ", _one_of(rng, _OPENERS, n), noun, pc.coalesce(purpose, _one_of(rng, _NO_PURPOSE, n)))
    details = [
        said[name] for name in ("neckline", "sleeve_length", "length", "fit", "closure", "heel", "embellishment")
    ]
    orders = (details, details[::-1], details[3:] + details[:3])
    order = rng.integers(0, len(orders), size=n)
    listed = pa.nulls(n, pa.string())
    for index, columns in enumerate(orders):
        listed = _where(order == index, _join(", ", *columns), listed)
    # A pairing names a colour and a garment that are not this article's: words that mislead, as real texts do.
    other = _join(" ", _any_word(rng, "colour", n), _one_of(rng, tuple(kind.nouns[0] for kind in taxonomy.TYPES), n))
    pairing = _where(rng.random(n) < PAIRING, _prefixed(_one_of(rng, _PAIRINGS, n), other, "."))
    filler = _where(rng.random(n) < 0.7, _one_of(rng, _FILLERS, n))
    return _join(
        " ",
        _join("", opener, _one_of(rng, (".", "!", "."), n)),
        _prefixed(_one_of(rng, _DETAILS, n), listed, "."),
        _prefixed(_one_of(rng, _MADE, n), said["material"], "."),
        _prefixed(_one_of(rng, _COMES, n), said["colour"], "."),
        filler,
        pairing,
    )


def _any_word(rng: np.random.Generator, name: str, n: int) -> Any:
    """Arrow strings [n]: any word of an attribute."""
    words = taxonomy.attribute(name).words
    return _one_of(rng, tuple(word for options in words.values() for word in options), n)
