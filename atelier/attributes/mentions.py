"""Which values the text of an article names: "in recycled polyester" says polyester, "wear it with jeans" nothing.

What belongs here: reading texts as words that are affirmed or not, and finding the names of values among them, by rules
alone and without any label. What does not: words that stand for a value as labels teach
(:mod:`atelier.attributes.synonyms`), what the network makes of a mention
(:mod:`atelier.attributes.network.architecture`).

The rules, for texts in English; in another language names are found all the same, and no clause is left out:

- Words are runs of letters and digits, lower case, in the singular (:func:`singular`); a hyphen separates two words.
- A name is found as whole words in a row. Of two names of one attribute the longer one wins: "light blue" is not
  "blue".
- What stands behind "wear it with", "pair with", "goes well with" and the like, up to the end of the sentence, is about
  another article and does not count.
- Up to three words behind "no", "without", "not", "never", "free of" or "free from" are denied, up to the next comma,
  and so is a word before "-free". With a hyphen ("non-iron", "no-iron") the one word behind it is denied, no further
  one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from atelier.arrays import Int64s, Mask, distinct_values
from atelier.articles.errors import ArticlesError
from atelier.articles.table import Articles
from atelier.attributes.labels import Heads
from atelier.frames import columns

#: Marks among the words; control characters, which no word holds.
SENTENCE, COMMA, HYPHEN = "\x02", "\x03", "\x04"
PAIRING_VERBS = (
    *("wear", "worn", "pair", "pairs", "paired", "style", "team", "teams", "teamed", "combine", "combines", "combined"),
    *("match", "matches", "looks", "goes", "go", "works", "layer", "complete"),
)
PAIRING_PREPOSITIONS = ("with", "alongside", "next", "beside", "over", "under")
PAIRING_REACH = 4
"""How many words before its preposition the verb may stand: "complete the whole look with"."""
NEGATIONS = ("no", "not", "non", "never", "without", "nor")
NEGATION_REACH = 3
NOT_ONLY = ("only", "just")
FREE, OF = "free", ("of", "from")
SAYING_NOTHING = (
    *NEGATIONS,
    *("a", "all", "an", "and", "any", "as", "at", "be", "by", "for", "from", "in", "is", "it", "n", "na", "of", "on"),
    *("or", "other", "that", "the", "this", "to", "with"),
    *("default", "false", "misc", "miscellaneous", "nan", "none", "null", "true", "undefined", "unknown"),
    *("unspecified", "various", "yes"),
)
"""Words, in the singular, that name no value by themselves."""
PLURAL_ONLY = ("shorts", "tights", "briefs", "flats", "glasses", "overalls", "heels")
"""Plurals whose singular means something else: "short sleeves" are no shorts."""
SINGULAR = (
    (r"^(.{2,})ies$", r"\1y"),
    (r"^(.{3,})ie$", r"\1y"),  # so that "hoodie" and "hoodies" become one
    (r"^(.+(?:ss|x|zz|ch|sh))es$", r"\1"),
    (r"^(.{2,}[^sui])s$", r"\1"),
)
SPELLINGS = (
    (r"\p{Cf}", ""),  # soft hyphens and other characters that nobody sees
    ("ß", "ss"),
    ("ς", "σ"),
    (r"n['’]t([^\p{L}\p{M}\p{N}]|$)", r" not\1"),
    (r"['’]s([^\p{L}\p{M}\p{N}]|$)", r"\1"),  # "men's" holds no size S
)
"""Regular expressions of what is spelt in several ways, in lower case, and the one way in which it is read."""
Synonyms = Mapping[str, Mapping[str, tuple[str, ...]]]


def singular(words: Any) -> Any:
    """Words in the singular, by their endings; what is no plural stays, if perhaps by another spelling ("hoody").

    Args:
        words: ``pa.StringArray [n]``, lower case.
    """
    found = words
    for pattern, replacement in SINGULAR:
        found = pc.replace_substring_regex(found, pattern, replacement)
    return pc.if_else(pc.is_in(words, pa.array(PLURAL_ONLY)), words, found)


@dataclass(frozen=True)
class ReadWords:
    """The words of n texts in order, flat, with what their clause says of them.

    Attributes:
        texts: how many texts there are.
        rows: int64 [words]: the text of each word, ascending.
        parts: int64 [words]: the number of its part of a sentence, up to a comma; no part is in two texts.
        values: ``pa.StringArray [words]``, in the singular.
        affirmed: bool [words]: said of the article; not denied, and not of what it is to be worn with.
    """

    texts: int
    rows: Int64s
    parts: Int64s
    values: Any
    affirmed: Mask

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: Mask) -> "ReadWords":
        """The words of the chosen texts, bool [texts]."""
        kept = chosen[self.rows]
        rows = (np.cumsum(chosen) - 1)[self.rows[kept]].astype(np.int64)
        return ReadWords(
            int(chosen.sum()), rows, self.parts[kept], self.values.filter(pa.array(kept)), self.affirmed[kept]
        )

    def runs(self, length: int) -> tuple[Int64s, Any]:
        """Every run of that many words inside a part of a sentence.

        Returns:
            The place of its first word, int64 [runs], and the words joined by spaces, ``pa.StringArray [runs]``.
        """
        places = np.arange(max(0, len(self) - length + 1), dtype=np.int64)
        places = places[self.parts[places] == self.parts[places + length - 1]] if len(places) else places
        values = [self.values.take(pa.array(places + step)) for step in range(length)]
        return places, values[0] if length == 1 else pc.binary_join_element_wise(*values, " ")

    def affirmed_run(self, places: Int64s, length: int | Int64s) -> Mask:
        """Whether all words of these runs are affirmed, bool [runs]."""
        denied = np.concatenate([[0], np.cumsum(~self.affirmed)])
        return np.asarray(denied[places + length] == denied[places])


def read_words(texts: Any) -> ReadWords:
    """Split texts into words and decide what each clause says.

    Args:
        texts: ``pa.StringArray [n]``; null counts as empty.
    """
    lower = pc.utf8_lower(pc.utf8_normalize(pc.fill_null(texts, ""), form="NFKC"))
    lower = pc.replace_substring_regex(lower, rf"[{SENTENCE}{COMMA}{HYPHEN}]", " ")
    for pattern, plain in SPELLINGS:
        lower = pc.replace_substring_regex(lower, pattern, plain)
    for pattern, mark in (
        (r"[.!?;…]+(\s|$)|[\n\r|•]+", SENTENCE),
        (r"[,()\[\]–—]+", COMMA),
        (r"([\p{L}\p{M}\p{N}])[-‐‑]([\p{L}\p{M}\p{N}])", rf"\1 {HYPHEN} \2"),
        # Once more for the hyphens of which the first search used up a letter: "off-t-shirt".
        (r"([\p{L}\p{M}\p{N}])[-‐‑]([\p{L}\p{M}\p{N}])", rf"\1 {HYPHEN} \2"),
    ):
        lower = pc.replace_substring_regex(lower, pattern, mark if mark.startswith("\\") else f" {mark} ")
    lists = pc.split_pattern_regex(lower, rf"[^\p{{L}}\p{{M}}\p{{N}}{SENTENCE}{COMMA}{HYPHEN}]+")
    values, rows = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    full = pc.not_equal(values, "")
    return _read(len(texts), values.filter(full), rows[full.to_numpy(zero_copy_only=False)].astype(np.int64))


def _read(texts: int, values: Any, rows: Int64s) -> ReadWords:
    """From words and marks, ``pa.StringArray``, to the words alone."""
    encoded = values.dictionary_encode()
    codes, names = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary

    def among(*words: str) -> Mask:
        """Which of the words and marks are one of these."""
        return np.asarray(pc.is_in(names, pa.array(words)).to_numpy(zero_copy_only=False)[codes], dtype=bool)

    ends, commas, hyphens = among(SENTENCE), among(COMMA), among(HYPHEN)
    marks = ends | commas | hyphens
    begins = np.concatenate([[True], rows[1:] != rows[:-1]]) if len(rows) else np.zeros(0, dtype=bool)
    sentences, parts = np.cumsum(ends | begins), np.cumsum(ends | commas | begins)
    kept = np.flatnonzero(~marks)
    # Whether a hyphen joins a word to the one before it.
    joined = np.concatenate([[False], hyphens[:-1]])[kept] if len(kept) else np.zeros(0, dtype=bool)
    paired = _paired(sentences[kept], among(*PAIRING_VERBS)[kept], among(*PAIRING_PREPOSITIONS)[kept])
    denied = _denied(parts[kept], joined, lambda *words: among(*words)[kept])
    words = singular(names).take(pa.array(codes[kept])) if len(kept) else pa.array([], pa.string())
    return ReadWords(texts, rows[kept], parts[kept].astype(np.int64), words, ~(paired | denied))


def _before(mask: Mask, step: int, groups: Int64s) -> Mask:
    """Whether the word that many places before has the mark and is of the same group, bool [words]."""
    found = np.zeros(len(mask), dtype=bool)
    if step < len(mask):
        found[step:] = mask[:-step] & (groups[step:] == groups[:-step])
    return found


def _after(mask: Mask, groups: Int64s) -> Mask:
    """Whether the next word has the mark and is of the same group, bool [words]."""
    return _before(mask[::-1], 1, groups[::-1])[::-1]


def _paired(sentences: Int64s, verbs: Mask, prepositions: Mask) -> Mask:
    """The words of a sentence behind a verb of pairing and its preposition, bool [words]."""
    near = np.zeros(len(verbs), dtype=bool)
    for step in range(1, PAIRING_REACH + 1):
        near |= _before(verbs, step, sentences)
    begun = np.cumsum(prepositions & near)
    first = np.searchsorted(sentences, sentences, side="left")  # the place of the first word of the sentence
    return np.asarray(begun > np.concatenate([[0], begun])[first])


def _denied(parts: Int64s, joined: Mask, among: Any) -> Mask:
    """The words that a part of a sentence denies, bool [words]."""
    of, free = among(*OF), among(FREE)
    negations = among(*NEGATIONS) & ~_after(among(*NOT_ONLY), parts)
    negations |= of & _before(free, 1, parts)
    # "non-iron cotton" is cotton: joined by a hyphen, a negation reaches one word only.
    bound = negations & _after(joined, parts)
    denied = _before(bound, 1, parts)
    for step in range(1, NEGATION_REACH + 1):
        denied |= _before(negations & ~bound, step, parts)
    return np.asarray(denied | _after(free & ~_after(of, parts), parts))


def texts_of(articles: Articles) -> tuple[Any, Any]:
    """The name and the description of n articles, ``pa.StringArray [n]`` each; a column ``text`` is a description."""
    if "text" in columns(articles.frame):
        return pa.nulls(len(articles), pa.string()), articles.column("text", pa.string())
    return articles.column("name", pa.string()), articles.column("description", pa.string())


@dataclass(frozen=True)
class ValueNames:
    """What values are called: m names, each of one class.

    Attributes:
        names: ``pa.StringArray [m]``: words in the singular, joined by spaces.
        lengths: int64 [m]: words of each.
        judged: int64 [m, 2]: which words of the name have to be affirmed: the first of them, counted from 0, and how
            many. These are all words, or where the name denies something the word that does.
        classes: int64 [m]: the number of its class, the classes of all attributes one after the other.
        owners: int64 [classes]: the number of the attribute of each class.
    """

    names: Any
    lengths: Int64s
    judged: Int64s
    classes: Int64s
    owners: Int64s

    @classmethod
    def of(cls, heads: Heads, synonyms: Synonyms | None = None) -> "ValueNames":
        """The names of all values that can be predicted, and their given synonyms.

        A value is called by its own words; one with slashes also by each part ("Leggings/Tights"), one with a hyphen
        also without it ("tshirt"). A value without any word ("–"), or with none that says something, has no name.

        Args:
            heads: the attributes and their values.
            synonyms: what else texts call values, by attribute and value; those of unknown ones are left out, because
                a value may have too few labels on a day.

        Raises:
            ArticlesError: a synonym has no word.
        """
        classes = heads.table()
        given = synonyms or {}
        spelt = [
            (number, spelling)
            for number, (attribute, value) in enumerate(zip(classes["attribute"], classes["value"], strict=True))
            for spelling in (*_spellings(value), *_checked(given.get(attribute, {}).get(value, ()), attribute, value))
        ]
        words = read_words(pa.array([spelling for _, spelling in spelt], pa.string()))
        bounds = np.searchsorted(words.rows, np.arange(len(spelt) + 1))
        flat = words.values.to_pylist()
        # Once for each name of a value, of which there are hundreds; each name of a class once, in their order.
        split = [tuple(flat[bounds[place] : bounds[place + 1]]) for place in range(len(spelt))]
        order = dict.fromkeys((number, name) for (number, _), name in zip(spelt, split, strict=True))
        named = [(number, name) for number, name in order if set(name) - set(SAYING_NOTHING)]
        return cls(
            names=pa.array([" ".join(name) for _, name in named], pa.string()),
            lengths=np.array([len(name) for _, name in named], dtype=np.int64),
            judged=np.array([_judged(name) for _, name in named], dtype=np.int64).reshape(-1, 2),
            classes=np.array([number for number, _ in named], dtype=np.int64),
            owners=np.repeat(np.arange(len(heads), dtype=np.int64), heads.sizes),
        )

    def find(self, words: ReadWords) -> csr_array:
        """Which values each text affirms.

        Returns:
            bool ``csr_array [texts, classes]``.
        """
        found = [self._matches(words, length) for length in distinct_values(self.lengths).tolist()]
        names, places = (
            np.concatenate([each[part] for each in found]) if found else np.zeros(0, np.int64) for part in (0, 1)
        )
        lengths = self.lengths[names]
        kept = ~_inside_longer(self.owners[self.classes[names]], places, lengths)
        names, places, lengths = names[kept], places[kept], lengths[kept]
        first, count = self.judged[names].T
        affirmed = words.affirmed_run(places + first, count)
        cells = words.rows[places[affirmed]], self.classes[names[affirmed]]
        ones = np.ones(len(cells[0]), dtype=np.int64)
        counted = csr_array((ones, cells), shape=(words.texts, len(self.owners)))
        counted.sum_duplicates()
        return counted.astype(bool)

    def stated(self, articles: Articles) -> csr_array:
        """Which values the names or descriptions of n articles affirm: bool ``csr_array [n, classes]``."""
        name, description = (self.find(read_words(texts)) for texts in texts_of(articles))
        return (name + description).astype(bool)

    def only_of_attribute(self, named: csr_array) -> csr_array:
        """Of the values that texts name, bool [n, classes], those beside which it names no other of their attribute."""
        rows, classes = named.tocoo().coords
        keys = rows.astype(np.int64) * (int(self.owners.max(initial=0)) + 1) + self.owners[classes]
        _, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
        alone = counts[group] == 1
        cells = rows[alone], classes[alone]
        return csr_array((np.ones(len(cells[0]), dtype=bool), cells), shape=named.shape)

    def _matches(self, words: ReadWords, length: int) -> tuple[Int64s, Int64s]:
        """The names of one length that stand somewhere, affirmed or not: numbers of names, places of first words."""
        mine = np.flatnonzero(self.lengths == length)
        known = self.names.take(pa.array(mine))
        distinct = pc.unique(known)
        places, runs = words.runs(length)
        hits = pc.fill_null(pc.index_in(runs, distinct), -1).to_numpy(zero_copy_only=False).astype(np.int64)
        places, hits = places[hits >= 0], hits[hits >= 0]
        # A name may be that of several classes: "blue" of a colour and of a colour's family.
        owner = pc.index_in(known, distinct).to_numpy(zero_copy_only=False).astype(np.int64)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(distinct) + 1))
        counts = (starts[1:] - starts[:-1])[hits]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return mine[order[np.repeat(starts[hits], counts) + within]], np.repeat(places, counts)


def _judged(name: tuple[str, ...]) -> tuple[int, int]:
    """The first word of a name that has to be affirmed, and how many."""
    denying = [place for place, word in enumerate(name) if word in (*NEGATIONS, FREE)]
    return (denying[0], 1) if denying and len(name) > 1 else (0, len(name))


def _spellings(value: str) -> tuple[str, ...]:
    parts = tuple(value.split("/")) if "/" in value else ()
    return (value, *parts, *((value.replace("-", ""),) if "-" in value else ()))


def _checked(synonyms: tuple[str, ...], attribute: str, value: str) -> tuple[str, ...]:
    for synonym in synonyms:
        if not len(read_words(pa.array([synonym], pa.string()))):
            raise ArticlesError(f"the synonym {synonym!r} of {attribute} {value!r} has no word; give letters or digits")
    return synonyms


def _inside_longer(attributes: Int64s, places: Int64s, lengths: Int64s) -> Mask:
    """Which matches lie inside a longer one of the same attribute, bool [matches]."""
    ends = places + lengths
    order = np.lexsort((-ends, places, attributes))
    group, start, end = attributes[order], places[order], ends[order]
    fresh = np.ones(len(order), dtype=bool)
    if len(order):
        fresh[1:] = (group[1:] != group[:-1]) | (start[1:] != start[:-1]) | (end[1:] != end[:-1])
    span = np.cumsum(fresh) - 1  # equal spans stand or fall together
    stride = int(ends.max(initial=0)) + 1
    reached = np.maximum.accumulate(group[fresh] * stride + end[fresh]) if len(order) else end
    before = np.concatenate([[-1], reached[:-1]]) if len(order) else reached
    inside = before >= group[fresh] * stride + end[fresh]
    found = np.zeros(len(order), dtype=bool)
    found[order] = inside[span]
    return found
