"""The vertical protocol on real ciphertexts: three roles that exchange bytes.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithms 1 and 3.
"""

from vfljax.protocol.encrypted.active_party import ActiveParty, check_additive
from vfljax.protocol.encrypted.agreement import Agreement, describe
from vfljax.protocol.encrypted.gradient_product import RowOperations
from vfljax.protocol.encrypted.inputs import ActiveInputs, PassiveInputs
from vfljax.protocol.encrypted.knowledge import summarize_messages, who_learned_what
from vfljax.protocol.encrypted.messages import MessageRecord
from vfljax.protocol.encrypted.passive_party import Observation, PassiveParty
from vfljax.protocol.encrypted.processes import (
    RoleFailed,
    iterate_in_processes,
    run_in_processes,
)
from vfljax.protocol.encrypted.run import EncryptedRun, iterate_here, run_here
from vfljax.protocol.encrypted.third_party import ThirdParty

__all__ = [
    "ActiveInputs",
    "ActiveParty",
    "Agreement",
    "EncryptedRun",
    "MessageRecord",
    "Observation",
    "PassiveInputs",
    "PassiveParty",
    "RoleFailed",
    "RowOperations",
    "ThirdParty",
    "check_additive",
    "describe",
    "iterate_here",
    "iterate_in_processes",
    "run_here",
    "run_in_processes",
    "summarize_messages",
    "who_learned_what",
]
