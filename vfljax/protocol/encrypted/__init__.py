"""The vertical protocol on real ciphertexts: three roles that exchange bytes.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithms 1 and 3.
"""

from vfljax.protocol.encrypted.active_party import ActiveParty
from vfljax.protocol.encrypted.agreement import (
    Agreement,
    EncryptionChoices,
    describe,
)
from vfljax.protocol.encrypted.gradient_product import RowOperations
from vfljax.protocol.encrypted.inputs import ActiveInputs, PassiveInputs
from vfljax.protocol.encrypted.knowledge import summarize_messages, who_learned_what
from vfljax.protocol.encrypted.messages import MessageRecord
from vfljax.protocol.encrypted.passive_party import Observation, PassiveParty
from vfljax.protocol.encrypted.processes import (
    Processes,
    RoleFailed,
    run_in_processes,
)
from vfljax.protocol.encrypted.run import EncryptedRun, iterate, run_here
from vfljax.protocol.encrypted.third_party import ThirdParty

__all__ = [
    "ActiveInputs",
    "ActiveParty",
    "Agreement",
    "EncryptedRun",
    "EncryptionChoices",
    "MessageRecord",
    "Observation",
    "PassiveInputs",
    "PassiveParty",
    "Processes",
    "RoleFailed",
    "RowOperations",
    "ThirdParty",
    "describe",
    "iterate",
    "run_here",
    "run_in_processes",
    "summarize_messages",
    "who_learned_what",
]
