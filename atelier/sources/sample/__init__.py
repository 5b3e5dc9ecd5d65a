"""The sample retailer: a generated shop whose truth is known.

What belongs here: everything that invents it (:mod:`~atelier.sources.sample.taxonomy` the vocabulary,
:mod:`~atelier.sources.sample.catalogue` the articles, :mod:`~atelier.sources.sample.text` what is written about them,
:mod:`~atelier.sources.sample.drawing` their photographs, :mod:`~atelier.sources.sample.labels` what people annotated,
:mod:`~atelier.sources.sample.population` and :mod:`~atelier.sources.sample.behaviour` who does what,
:mod:`~atelier.sources.sample.choice` with which probability, :mod:`~atelier.sources.sample.generate` the files). What
does not: reading the files back as a source, which is the Parquet source's work, and any model.
"""

from atelier.sources.sample.choice import oracle_lists
from atelier.sources.sample.config import SampleConfig
from atelier.sources.sample.generate import generate, is_complete

__all__ = ["SampleConfig", "generate", "is_complete", "oracle_lists"]
