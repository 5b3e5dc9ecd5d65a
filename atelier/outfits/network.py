"""Networks of compatibility: how well a candidate completes an outfit.

What belongs here: legs, the ways of joining them, and the two heads. What does not: training
(:mod:`atelier.outfits.training`), how articles become numbers (:mod:`atelier.outfits.article_inputs`).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.nn.layers import FastDropout
from atelier.outfits.article_inputs import Inputs
from atelier.outfits.config import OutfitConfig
from atelier.outfits.names import Merge

STATISTICS = 3
"""Numbers that :func:`atelier.outfits.training.statistics_of` gives about a candidate and an outfit."""
FIRST_WEIGHT = 0.3
"""Of each statistic before training."""
JOINED: Mapping[Merge, Callable[[Tensor, Tensor], Tensor]] = {
    "concatenation": lambda left, right: torch.cat((left, right), dim=-1),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "sum": torch.add,
    "mean": lambda left, right: (left + right) / 2,
}


class Batch(NamedTuple):
    """Outfits with one article masked, and candidates for its place.

    Attributes:
        rest: int64 [b, s], what is left of the outfits, −1 beyond their end.
        candidates: int64 [b, c].
        statistics: float32 [b, c, 3]; None: the network reads none.
        hidden: bool [articles], those whose own embedding is not read, as if they were new; None: all are read.
    """

    rest: Tensor
    candidates: Tensor
    statistics: Tensor | None
    hidden: Tensor | None = None


class Leg(nn.Module):
    """One leg of the siamese network: a fusion layer concatenates what is known of an article, two layers mix it.

    Args:
        inputs: of all articles that will ever be asked for; they are kept as buffers.
        values: how many values each attribute has.
        config: widths, modalities and dropout.
    """

    images: Tensor
    words: Tensor
    codes: Tensor

    def __init__(self, inputs: Inputs, values: tuple[int, ...], config: OutfitConfig) -> None:
        super().__init__()
        self.config = config
        for name in ("images", "words", "codes"):
            self.register_buffer(name, torch.from_numpy(getattr(inputs, name)), persistent=False)
        reads = config.modalities
        kept = values if "attributes" in reads else ()
        self.values = nn.ModuleList(nn.Embedding(count, config.attribute_factors) for count in kept)
        for table in self.values:
            nn.init.normal_(cast(nn.Embedding, table).weight, std=0.3)
        width = inputs.images.shape[1] + inputs.words.shape[1] + config.attribute_factors * len(kept)
        self.fusion = None
        if width:  # else the learned embedding is all that is read
            layers = (nn.Linear(width, config.hidden), nn.GELU(), FastDropout(config.dropout))
            self.fusion = nn.Sequential(*layers, nn.Linear(config.hidden, config.factors))
        self.own = None
        if "embedding" in reads:  # its gradient has rows for the articles of a batch alone
            self.own = nn.Embedding(len(inputs.codes), config.factors, sparse=True)
            nn.init.zeros_(self.own.weight)  # an article that is never trained keeps a vector of zeros
        self.dropout = FastDropout(config.dropout)

    def forward(self, articles: Tensor, hidden: Tensor | None) -> Tensor:
        """The vectors of articles, int64 [n] → [n, factors]; ``hidden`` is that of :class:`Batch`."""
        images = self.images[articles]
        if self.training and self.config.image_noise:
            images = images + self.config.image_noise * torch.randn_like(images)
        codes = self.codes[articles]
        tables = [self.dropout(table(codes[:, place])) for place, table in enumerate(self.values)]
        read = torch.cat([images, self.words[articles], *tables], dim=1)
        fused = read.new_zeros(len(read), self.config.factors) if self.fusion is None else self.fusion(read)
        if self.own is None:
            return cast(Tensor, fused)
        own = self.own(articles)
        if hidden is not None:
            own = own.masked_fill(hidden[articles][:, None], 0)
        return cast(Tensor, fused + own)


class PairHead(nn.Module):
    """Judges a candidate with each article of an outfit, by two layers on the merged vectors, and takes the mean.

    Source: the siamese network of A. Veit and others, Learning Visual Clothing Style with Heterogeneous Dyadic
    Co-occurrences, ICCV 2015, with a merge layer in place of the distance. With a merge that is symmetric the score of
    a pair is too; concatenation tells the candidate's leg from the other.

    Args:
        families: how many there are.
        config: the merge and widths.
    """

    def __init__(self, families: int, config: OutfitConfig) -> None:
        super().__init__()
        self.merge = JOINED[config.merge]
        width = config.factors * (2 if config.merge == "concatenation" else 1)
        self.layers = nn.Sequential(nn.Linear(width, config.factors), nn.GELU(), nn.Linear(config.factors, 1))

    def forward(self, rest: Tensor, mask: Tensor, candidates: Tensor, families: Tensor) -> Tensor:
        """Scores [b, c] of candidates [b, c, factors] for outfits [b, s, factors], of which ``mask`` [b, s] is real."""
        shape = (len(rest), candidates.shape[1], rest.shape[1], rest.shape[2])
        merged = self.merge(rest[:, None].expand(shape), candidates[:, :, None].expand(shape))
        scores = self.layers(merged)[..., 0] * mask[:, None]  # [b, c, s]
        return cast(Tensor, scores.sum(dim=2) / mask.sum(dim=1, keepdim=True).clamp(min=1))

    def beside(self, articles: Tensor, candidates: Tensor, family: int) -> Tensor:
        """Scores [q, c] of candidates [c, factors] of one family, each with each of single articles [q, factors]."""
        every = candidates[None].expand(len(articles), -1, -1)
        alone = articles.new_ones(len(articles), 1, dtype=torch.bool)
        families = torch.full((len(articles),), family, device=articles.device)
        return cast(Tensor, self(articles[:, None], alone, every, families))


class SetHead(nn.Module):
    """Asks the whole outfit, by attention, for the vector of what is missing from it, and compares it with candidates.

    A learned vector of the missing article's family goes into the attention with the outfit's articles; what comes out
    in its place is compared with each candidate by an inner product. Beside it goes a sum of the articles' vectors
    through one linear layer, weighed by the family: what pairs alone say.

    Source: R. Sarkar and others, OutfitTransformer: Learning Outfit Representations for Fashion Recommendation, WACV
    2023, section 3.3 (the target item's token); the linear path is ours.

    Args:
        families: how many there are.
        config: widths.
    """

    def __init__(self, families: int, config: OutfitConfig) -> None:
        super().__init__()
        width = config.factors
        self.families, self.roles = nn.Embedding(families, width), nn.Embedding(families, width)
        nn.init.normal_(self.families.weight, std=0.1)
        nn.init.zeros_(self.roles.weight)
        self.attention = nn.TransformerEncoderLayer(
            width, config.heads, 2 * width, 0.0, functional.gelu, batch_first=True, norm_first=True
        )
        self.pairs, self.candidates = nn.Linear(width, width, bias=False), nn.Linear(width, width)

    def forward(self, rest: Tensor, mask: Tensor, candidates: Tensor, families: Tensor) -> Tensor:
        """Scores [b, c] of candidates [b, c, factors] for outfits [b, s, factors], of which ``mask`` [b, s] is real."""
        wanted = self._wanted(rest, mask, families)
        return cast(Tensor, (wanted[:, None] * self.candidates(candidates)).sum(dim=2) / wanted.shape[1] ** 0.5)

    def beside(self, articles: Tensor, candidates: Tensor, family: int) -> Tensor:
        """Scores [q, c] of candidates [c, factors] of one family, each with each of single articles [q, factors]."""
        alone = articles.new_ones(len(articles), 1, dtype=torch.bool)
        families = torch.full((len(articles),), family, device=articles.device)
        wanted = self._wanted(articles[:, None], alone, families)
        return cast(Tensor, wanted @ self.candidates(candidates).T / wanted.shape[1] ** 0.5)

    def _wanted(self, rest: Tensor, mask: Tensor, families: Tensor) -> Tensor:
        """The vector [b, factors] that each outfit asks its missing article to have."""
        tokens = torch.cat((self.families(families)[:, None], rest), dim=1)
        hidden = torch.cat((torch.zeros_like(mask[:, :1]), ~mask), dim=1)
        wanted = self.attention(tokens, src_key_padding_mask=hidden)[:, 0]
        pairs = self.pairs(rest) * (1 + self.roles(families))[:, None] * mask[..., None]
        return cast(Tensor, wanted + pairs.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1).sqrt())


class OutfitNetwork(nn.Module):
    """Shared legs, a head, and a weight for each statistic.

    Args:
        inputs: of all articles that will ever be asked for.
        values: how many values each attribute has, the unknown one included.
        families: how many families there are, the unknown one included.
        config: the head, widths, dropout.
    """

    families: Tensor

    def __init__(self, inputs: Inputs, values: tuple[int, ...], families: int, config: OutfitConfig) -> None:
        super().__init__()
        self.leg = Leg(inputs, values, config)
        self.head: SetHead | PairHead = (SetHead if config.head == "set" else PairHead)(families, config)
        self.register_buffer("families", torch.from_numpy(inputs.families), persistent=False)
        self.statistics = nn.Linear(STATISTICS, 1, bias=False) if config.statistics else None
        if self.statistics is not None:
            nn.init.constant_(self.statistics.weight, FIRST_WEIGHT)

    def forward(self, batch: Batch) -> Tensor:
        """The log of how much likelier each candidate is, given the outfit, than among its family: [b, c].

        All candidates of a row are scored as if they were of the first one's family.
        """
        rest, mask = batch.rest.clamp(min=0), batch.rest >= 0
        flat = torch.cat((rest.flatten(), batch.candidates.flatten()))
        distinct, places = torch.unique(flat, return_inverse=True)
        vectors = functional.embedding(places, self.leg(distinct, batch.hidden))
        outfits = vectors[: rest.numel()].view(*rest.shape, -1)
        candidates = vectors[rest.numel() :].view(*batch.candidates.shape, -1)
        scores = self.head(outfits, mask, candidates, self.families[batch.candidates[:, 0]])
        if self.statistics is not None and batch.statistics is not None:
            scores = scores + self.statistics(batch.statistics)[..., 0]
        return cast(Tensor, scores)


class Ensemble(nn.Module):
    """Networks that were trained alike from different beginnings; the mean of their scores (T. Dietterich, MCS 2000).

    Args:
        inputs: of all articles that will ever be asked for.
        values: how many values each attribute has, the unknown one included.
        families: how many families there are, the unknown one included.
        config: how many members, and what each is.
    """

    def __init__(self, inputs: Inputs, values: tuple[int, ...], families: int, config: OutfitConfig) -> None:
        super().__init__()
        self.members = nn.ModuleList(OutfitNetwork(inputs, values, families, config) for _ in range(config.members))

    @property
    def networks(self) -> list[OutfitNetwork]:
        """The members."""
        return [cast(OutfitNetwork, member) for member in self.members]

    def forward(self, batch: Batch) -> Tensor:
        """As :meth:`OutfitNetwork.forward`: [b, c]."""
        return torch.stack([member(batch) for member in self.members]).mean(dim=0)
