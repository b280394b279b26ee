"""Where gradients, activations and their product sit in polynomials.

A party's batch gradient is Q = Uᵀ A: U (samples, classes) is dL/dH and A (samples,
columns) what its trained layer is given, with a column of ones for the bias. Sample b
becomes

    u_b(X) = Σ_c U[b, c] X^c        a_b(X) = Σ_m A[b, m] X^(C·m)

so that coefficient C·m + c of Σ_b a_b·u_b is Q[m, c], with no rotation and nothing
else in the ciphertext. That is the row layout, one ciphertext per sample. The compact
one puts sample j of a ciphertext at X^(j·s) and its activations at X^(-j·s), for a
stride s = C·columns: the sum of products is in the first s coefficients again, and the
others hold products of *different* samples, which must not be released.
"""

import dataclasses

import numpy as np
from jaxtyping import Int64

_COMPACT_COLUMNS = 65  # of one answer; fewer columns, more samples per ciphertext


@dataclasses.dataclass(frozen=True)
class Layout:
    """One party's polynomials.

    Attributes:
        num_samples: B.
        num_columns: Of A, the ones included.
        num_classes: C.
        num_coefficients: N.
        samples_per_ciphertext: Samples of U side by side; 1 in the row layout.
        columns_per_answer: Columns of A whose gradient one ciphertext holds.
    """

    num_samples: int
    num_columns: int
    num_classes: int
    num_coefficients: int
    samples_per_ciphertext: int
    columns_per_answer: int

    @property
    def stride(self) -> int:
        """Coefficients from one sample of a ciphertext to the next."""
        return self.num_classes * self.columns_per_answer

    @property
    def num_ciphertexts(self) -> int:
        """That hold U."""
        return -(-self.num_samples // self.samples_per_ciphertext)

    @property
    def num_answers(self) -> int:
        """Ciphertexts that hold Q."""
        return -(-self.num_columns // self.columns_per_answer)

    @property
    def gradient_form(self) -> tuple[int, int]:
        """Equal for two parties whose ciphertexts of U are the same."""
        only_one = self.samples_per_ciphertext == 1
        return self.samples_per_ciphertext, 0 if only_one else self.stride

    def samples_of(self, ciphertext: int) -> range:
        """The samples in a ciphertext of U."""
        first = ciphertext * self.samples_per_ciphertext
        return range(first, min(first + self.samples_per_ciphertext, self.num_samples))

    def place(self, sample: int) -> tuple[int, int]:
        """Ciphertext of a sample, and the degree of its first class in it."""
        ciphertext, position = divmod(sample, self.samples_per_ciphertext)
        return ciphertext, position * self.stride

    def gradient_polynomial(
        self, gradients: Int64[np.ndarray, "samples classes"], ciphertext: int
    ) -> Int64[np.ndarray, " coefficients"]:
        """Σ_j u_j(X)·X^(j·s) over the samples of a ciphertext."""
        result = np.zeros(self.num_coefficients, np.int64)
        for sample in self.samples_of(ciphertext):
            _, start = self.place(sample)
            result[start : start + self.num_classes] = gradients[sample]
        return result

    def activation_polynomial(
        self,
        activations: Int64[np.ndarray, "samples columns"],
        ciphertext: int,
        answer: int,
    ) -> Int64[np.ndarray, " coefficients"]:
        """Σ_j a_j(X)·X^(-j·s), for the columns of one answer."""
        result = np.zeros(self.num_coefficients, np.int64)
        columns = self._columns_of(answer)
        degrees = self.num_classes * np.arange(len(columns))
        for sample in self.samples_of(ciphertext):
            _, start = self.place(sample)
            row = activations[sample, columns]
            if start:  # X^(-k) = -X^(N - k)
                result[degrees + self.num_coefficients - start] = -row
            else:
                result[degrees] = row
        return result

    def num_released(self, answer: int) -> int:
        """The first coefficients of an answer, which are all that is agreed on."""
        return self.num_classes * len(self._columns_of(answer))

    def batch_gradient(
        self, answers: list[Int64[np.ndarray, " _"]]
    ) -> Int64[np.ndarray, "columns classes"]:
        """Q from the released coefficients of all answers."""
        return np.concatenate(answers).reshape(self.num_columns, self.num_classes)

    def _columns_of(self, answer):
        first = answer * self.columns_per_answer
        return range(first, min(first + self.columns_per_answer, self.num_columns))


def row_layout(
    num_samples: int, num_columns: int, num_classes: int, num_coefficients: int
) -> Layout:
    """One ciphertext per sample: rows can be swapped as ciphertexts."""
    return Layout(
        num_samples=num_samples,
        num_columns=num_columns,
        num_classes=num_classes,
        num_coefficients=num_coefficients,
        samples_per_ciphertext=1,
        columns_per_answer=min(num_columns, num_coefficients // num_classes),
    )


def compact_layout(
    num_samples: int, num_columns: int, num_classes: int, num_coefficients: int
) -> Layout:
    """As many samples per ciphertext as there is room for: less time, fewer bytes."""
    most = max(1, min(_COMPACT_COLUMNS, num_coefficients // num_classes))
    num_answers = -(-num_columns // most)
    columns = -(-num_columns // num_answers)
    return Layout(
        num_samples=num_samples,
        num_columns=num_columns,
        num_classes=num_classes,
        num_coefficients=num_coefficients,
        samples_per_ciphertext=num_coefficients // (num_classes * columns),
        columns_per_answer=columns,
    )


def pack(
    rows: Int64[np.ndarray, "samples classes"], num_coefficients: int
) -> list[Int64[np.ndarray, " _"]]:
    """Rows one after the other, as many whole ones per polynomial as fit."""
    num_classes = rows.shape[1]
    samples = num_coefficients // num_classes
    return [
        rows[first : first + samples].reshape(-1)
        for first in range(0, len(rows), samples)
    ]


def packed_sizes(
    num_samples: int, num_classes: int, num_coefficients: int
) -> tuple[int, ...]:
    """Numbers of coefficients of the polynomials that `pack` makes."""
    samples = num_coefficients // num_classes
    return tuple(
        num_classes * min(samples, num_samples - first)
        for first in range(0, num_samples, samples)
    )
