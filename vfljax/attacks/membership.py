"""Infer from an embedding's updates which records were trained on.

Melis, Song, De Cristofaro, Shmatikov, "Exploiting Unintended Feature Leakage in
Collaborative Learning" (S&P 2019, https://doi.org/10.1109/SP.2019.00029), membership
inference. The gradient of a row of an embedding table is zero unless a sample of the
batch has that row's token. So each round tells which tokens its batches had, and a
record all of whose tokens some round had is called a member. Every member is found;
others are called so as well where larger batches have all of their tokens by chance.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, UInt32

from vfljax._checks import NOT_NEGATIVE, require
from vfljax.attacks.base import Attack, MembershipInference
from vfljax.attacks.property_features import hash_of, row_norms, rows_of_table
from vfljax.attacks.watching import Reader
from vfljax.goals import MEMBERSHIP, Goal
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView

_WORD = 32  # rounds in one word
_ROUNDING = 1e-6  # relative error of a difference of terms that cancel


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokensPresent(Reader):
    """Keep of each round which rows of an embedding table its update moves.

    With momentum m an update is u_t = m·u_{t−1} + g_t, which moves every row that was
    ever moved. Then three numbers of each row are kept instead: its products with one
    random direction before and after the decay is taken off, from which u_t − m·u_{t−1}
    follows in that direction, and the sum of the absolute values of the first one's
    terms, which says how far they are rounded. Watched rounds must follow one another.
    """

    table: str = "words"
    """Name of the embedding layer."""
    threshold: float = 0.0
    """Norm that a row's gradient must exceed for its token to be present; 0 without
    noise. With momentum, the size in a random direction."""
    weight_decay: float = 0.0
    """Factor of the weights that the participants add to the gradient; it is taken off
    first. Exact for one local step."""
    momentum: float = 0.0
    """Factor, below 1, of the previous update in an update; 0 for plain gradients."""
    ranges: ClassVar = {
        "threshold": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "momentum": {"low": 0.0, "high": 1.0, "high_excluded": True},
    }

    def __call__(self, key, view: UpdateView, known: Known = NOTHING):
        """Keeps a boolean for each token, or with momentum (3, tokens) numbers."""
        moved = rows_of_table(view.update, self.table)
        decay = self.weight_decay * rows_of_table(view.params, self.table)
        decay = decay * view.num_steps
        gradient = moved - decay if self.weight_decay else moved
        if self.momentum:
            half = jnp.float32(2.0**31)
            direction = hash_of(moved.shape[1]).astype(jnp.float32) / half - 1.0
            sizes = jnp.abs(moved) @ jnp.abs(direction)
            return jnp.stack([moved @ direction, gradient @ direction, sizes])
        rounding = _ROUNDING * jnp.linalg.norm(decay, axis=1)
        return row_norms(gradient) > self.threshold + rounding

    def tokens(self, readings: Any) -> Bool[Array, "rounds tokens"]:
        """Which tokens each round had.

        With momentum, without the first watched round, which remembers earlier ones.
        """
        if not self.momentum:
            return readings
        found = jnp.abs(readings[1:, 1] - self.momentum * readings[:-1, 0])
        sizes = readings[1:, 2] + readings[:-1, 2]
        return found > self.threshold + _ROUNDING * sizes


@dataclasses.dataclass(frozen=True, kw_only=True)
class MembershipFromEmbedding(Attack):
    """Call a record a member if some round had all of its tokens.

    Token 0 is padding and no part of a record. Nothing can be said of a record without
    tokens, which every round has all of: it is not called a member. Neither is one with
    a token that is no row of the table.
    """

    reader: TokensPresent = TokensPresent()
    """What is kept of each round."""
    last_tokens: int | None = None
    """How many of a record's last tokens, at least 1, some round must have, as the
    gradient of a recurrent network at earlier ones is so small that it becomes zero;
    None for all tokens."""
    sees = UpdateView
    goal: ClassVar[Goal] = MEMBERSHIP
    uses = ("records",)
    knowledge = "the records it asks about"

    def __post_init__(self):
        """Checks the range."""
        super().__post_init__()
        number = self.last_tokens
        require(number is None or number >= 1, "last_tokens", number, ">= 1, or None")

    def __call__(self, key, view: Any, known: Known = NOTHING):
        """Infers from what was kept of all rounds; the key is not used."""
        present, records = self.reader.tokens(view), jnp.asarray(known.records)
        if self.last_tokens is not None:
            records = last_of(records, self.last_tokens)
        is_member = held_by_a_round(present, records)
        return MembershipInference(is_member, jnp.array(True))


def last_of(records: Array, number: int) -> Array:
    """Records, (records, length), with padding for all but their last tokens.

    Example:
        >>> last_of(jnp.array([[3, 1, 2, 0], [4, 0, 5, 6]]), 2).tolist()
        [[0, 1, 2, 0], [0, 0, 5, 6]]
    """
    tokens = records.reshape(len(records), -1)
    is_token = tokens != 0
    to_the_end = jnp.cumsum(is_token[:, ::-1], axis=1)[:, ::-1]
    return jnp.where(is_token & (to_the_end <= number), tokens, 0)


def held_by_a_round(
    present: Bool[Array, "rounds tokens"], records: Array
) -> Bool[Array, " records"]:
    """Whether some round has all tokens of a record, (records, length) numbers.

    Rounds are bits: a token is the word of bits of the rounds that have it, a record
    the bitwise AND of its tokens' words.
    """
    tokens = records.reshape(len(records), -1).astype(jnp.int32)
    words = pack_rounds(present)
    number = words.shape[0]
    all_rounds = jnp.full((len(tokens), words.shape[1]), 0xFFFFFFFF, jnp.uint32)

    def keep(kept, column):
        # Padding keeps all rounds, a token that is no row none.
        found = words.at[column].get(mode="fill", fill_value=0)
        return jnp.where((column == 0)[:, None], kept, kept & found), None

    outside = (tokens < 0) | (tokens >= number)
    kept, _ = jax.lax.scan(keep, all_rounds, jnp.where(outside, number, tokens).T)
    has_tokens = jnp.any(tokens != 0, axis=1)
    return jnp.any(kept != 0, axis=1) & has_tokens


def pack_rounds(
    present: Bool[Array, "rounds tokens"],
) -> UInt32[Array, "tokens words"]:
    """Of each token the rounds that have it, 32 in a word; missing ones are zero.

    Example:
        >>> pack_rounds(jnp.array([[True, False], [True, True]])).tolist()
        [[3], [2]]
    """
    missing = -len(present) % _WORD
    bits = jnp.pad(present, ((0, missing), (0, 0))).astype(jnp.uint32)
    bits = bits.reshape(-1, _WORD, present.shape[1])
    places = jnp.arange(_WORD, dtype=jnp.uint32)[None, :, None]
    return jnp.sum(bits << places, axis=1, dtype=jnp.uint32).T
