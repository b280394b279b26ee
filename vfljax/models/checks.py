"""Errors of the networks' sizes: name, value and what is allowed."""


def check_counts(**counts: int) -> None:
    """Raises a `ValueError` unless every number is at least 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}={count}: must be >= 1")


def check_dropout(dropout: int | float) -> None:
    """Raises a `ValueError` unless a share of units is in [0, 1)."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout}: must be in [0, 1)")
