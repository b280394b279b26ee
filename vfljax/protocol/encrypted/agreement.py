"""What all roles agree on before the first iteration; everything in it is public."""

import dataclasses
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Int64, UInt64

from vfljax import encryption
from vfljax._checks import check_choice, check_number, require, require_all
from vfljax.encryption import Backend, Layout

Mode = Literal["exact", "taylor"]
LayoutName = Literal["row", "compact"]
BackendName = Literal["bfv", "plain_int"]
PresetName = Literal["default", "flood", "small"]

ACTIVE = "active"
THIRD_PARTY = "third_party"
_LIMITS = (
    "the third party decrypts what an honest party asks for: a malicious passive party "
    "could submit a single sample's gradient; in presets without flooding the noise of "
    "a passive party's answer tells the third party about its activations"
)
_SEES = {
    "exact": "the logits of all parties added up, softmax - y; of two parties those "
    "are the passive party's logits",
    "taylor": "ciphertexts only, and its own decrypted batch gradient",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncryptionChoices:
    """How what crosses between the parties is encrypted.

    In exact mode the active party gets the summed logits back and computes
    dL/dH = (softmax - y)/B; in taylor mode it computes (H/C + 1/C - y)/B, of encrypted
    logits H that are centered over the classes.

    Raises:
        ValueError: For another choice, or the compact layout with taylor mode, which
            sends a ciphertext per sample.
    """

    mode: Mode = "exact"
    """Loss under encryption: exact is cross-entropy by a masked decryption of the
    summed logits, taylor a quadratic surrogate on ciphertexts alone."""
    layout: LayoutName = "row"
    """What a ciphertext holds: row is one sample, compact as many samples as fit."""
    backend: BackendName = "bfv"
    """Scheme: bfv encrypts, plain_int computes with the same integers in the clear."""
    preset: PresetName = "default"
    """Sizes of the scheme; flood hides the noise of answers, small is for tests."""
    prefix: ClassVar[str] = ""  # of names in errors

    def __post_init__(self):
        """Refuses other choices."""
        for field in dataclasses.fields(EncryptionChoices):
            name, allowed = f"{self.prefix}{field.name}", get_args(field.type)
            check_choice(name, getattr(self, field.name), allowed)
        allowed = f"'row' where {self.prefix}mode is 'taylor'"
        fits = self.mode == "exact" or self.layout == "row"
        require(fits, f"{self.prefix}layout", self.layout, allowed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement(EncryptionChoices):
    """The public settings of an encrypted training.

    The active party encodes B·dL/dH with `gradient_bits`, passive parties their
    activations with `activation_bits`: 20 and 14 bits leave an error of some 1e-6 in a
    gradient of 128 samples, and room for `gradient_bound` and an amplification.

    Attributes:
        num_classes: C >= 2.
        batch_size: B >= 1.
        widths: Columns of each party's activations, the active party's last.
        logit_bits: After the point, of logits (exact mode).
        gradient_bits: After the point, of B·dL/dH (in taylor mode, of C times that).
        activation_bits: After the point, of activations.
        gradient_bound: Of |B·dL/dH|, noise of a defense included.
        looks: Iterations, from 0, in which every message passes and nobody takes a
            step: parameters, optimizers, losses and the defense stay as they are.

    Raises:
        ValueError: For a setting outside its range.
    """

    num_classes: int
    batch_size: int
    widths: tuple[int, ...]
    logit_bits: int = 20
    gradient_bits: int = 20
    activation_bits: int = 14
    gradient_bound: int | float = 64.0
    looks: tuple[int, ...] = ()

    def __post_init__(self):
        """Refuses settings outside their range."""
        super().__post_init__()
        check_number("num_classes", self.num_classes, low=2, high=self.num_coefficients)
        check_number("batch_size", self.batch_size, low=1)
        allowed = "one number >= 1 for each passive party and one for the active party"
        are_enough = len(self.widths) >= 2 and min(self.widths) >= 1
        require(are_enough, "widths", self.widths, allowed)
        for name in ("logit_bits", "gradient_bits", "activation_bits"):
            check_number(name, getattr(self, name), low=1, high=24)
        check_number("gradient_bound", self.gradient_bound, low=1)
        require_all("looks", self.looks, lambda number: number >= 0, ">= 0")

    @property
    def passive_names(self) -> tuple[str, ...]:
        """Of the passive parties, in order."""
        return tuple(f"passive_{place}" for place in range(len(self.widths) - 1))

    @property
    def party_names(self) -> tuple[str, ...]:
        """Of all parties that train something."""
        return (*self.passive_names, ACTIVE)

    @property
    def plain_bits(self) -> int:
        """log2 of t."""
        return encryption.PRESETS[self.preset].plain_bits

    @property
    def num_coefficients(self) -> int:
        """N."""
        return encryption.PRESETS[self.preset].num_coefficients

    @property
    def logit_bound(self) -> float:
        """Of each party's |logits|, so that their sum can't wrap around."""
        if self.mode == "taylor":  # C·B·dL/dH has one more term, 1 - C·y
            terms = len(self.widths) + 1
            return self.num_classes * self.gradient_bound / terms
        return 2.0 ** (self.plain_bits - 1 - self.logit_bits) / len(self.widths)

    @property
    def gradient_unit(self) -> int:
        """The integer that encodes an entry 1/B of dL/dH."""
        factor = self.num_classes if self.mode == "taylor" else 1
        return factor << self.gradient_bits

    @property
    def gradient_scale(self) -> float:
        """By which a decrypted integer is divided to give a mean gradient's entry."""
        return 2.0**self.activation_bits * self.gradient_unit * self.batch_size

    def make_backend(self) -> Backend:
        """The scheme; raises an `ImportError` if its library is absent."""
        return encryption.BACKENDS[self.backend](encryption.PRESETS[self.preset])

    def layout_of(self, party: str) -> Layout:
        """Of the party's activations with a column of ones."""
        is_row = self.layout == "row"
        make = encryption.row_layout if is_row else encryption.compact_layout
        width = self.widths[self.party_names.index(party)]
        return make(self.batch_size, width + 1, self.num_classes, self.num_coefficients)

    @property
    def logit_room(self) -> int:
        """Coefficients of a polynomial for logits: all, or those of one sample."""
        return self.num_classes if self.mode == "taylor" else self.num_coefficients

    @property
    def logit_sizes(self) -> tuple[int, ...]:
        """Coefficients in use of each polynomial of logits."""
        sizes = self.batch_size, self.num_classes, self.logit_room
        return encryption.packed_sizes(*sizes)

    def residues(
        self, integers: Int64[np.ndarray, "*shape"]
    ) -> UInt64[np.ndarray, "*shape"]:
        """Integers mod t, as they are encrypted."""
        return encryption.to_residues(integers, self.plain_bits)

    @property
    def requests(self) -> dict[str, tuple[str, ...]]:
        """Who asks the third party for what, by kind, once per iteration each."""
        if self.mode == "taylor":
            return {"masked_gradient": self.party_names}
        return {"masked_gradient": self.passive_names, "masked_logits": (ACTIVE,)}


def describe(agreement: Agreement) -> dict[str, Any]:
    """What every result of an encrypted run has to say about itself; fit for JSON."""
    backend = agreement.make_backend()
    names = ("mode", "layout", "backend", "preset", "logit_bits", "gradient_bits")
    names += ("activation_bits", "plain_bits", "num_coefficients")
    is_exact, encrypts = agreement.mode == "exact", agreement.backend != "plain_int"
    return {name: getattr(agreement, name) for name in names} | {
        "loss": "cross-entropy" if is_exact else "quadratic surrogate",
        "looks": list(agreement.looks),
        "library": backend.library,
        "prime_bits": list(backend.preset.prime_bits) if encrypts else [],
        "security_check": backend.security,
        "layers_encrypted": "the last layer of each party, kernel and bias",
        "threat_model": "honest-but-curious",
        "active_party_sees": _SEES[agreement.mode],
        "limits": _LIMITS,
    }
