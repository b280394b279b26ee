"""BFV (exact integers) through the SEAL bindings of TenSEAL.

Brakerski (2012, https://eprint.iacr.org/2012/078), Fan and Vercauteren (2012,
https://eprint.iacr.org/2012/144), as in Microsoft SEAL. BFV and not CKKS, although CKKS
is as fast: a CKKS decryption carries the noise, and a party that knows its ciphertext
and its mask computes the secret key from two answers (Li and Micciancio, 2021,
https://eprint.iacr.org/2020/1533). A BFV decryption is exact and carries none.

No circuit privacy in presets without `flood_bits`: the noise of a ciphertext that was
multiplied depends on the factor, and the holder of the secret key can read it.
"""

import contextlib
import importlib.metadata
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from vfljax.encryption.base import Backend, Content, EncryptionError, Polynomial
from vfljax.encryption.presets import Preset


def bfv(preset: Preset) -> Backend:
    """Returns the backend on real ciphertexts.

    Raises:
        ImportError: If TenSEAL isn't installed.
    """
    seal = _sealapi()
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
    parameters.set_poly_modulus_degree(preset.num_coefficients)
    parameters.set_coeff_modulus(
        seal.CoeffModulus.Create(preset.num_coefficients, list(preset.prime_bits))
    )
    parameters.set_plain_modulus(seal.Modulus(1 << preset.plain_bits))
    level = seal.SEC_LEVEL_TYPE.TC128
    context = seal.SEALContext(parameters, True, level)  # True: with smaller moduli
    if not context.parameters_set():
        raise EncryptionError(f"preset={preset}: {context.parameters_error_name()}")
    return Backend(
        name="bfv",
        preset=preset,
        keygen=lambda: _Secret(seal, context),
        public_side=lambda key: _Public(seal, context, preset, key),
        library=f"tenseal {importlib.metadata.version('tenseal')} (SEAL, BFV)",
        security="128 bits, classical (SEAL's check TC128)",
    )


class _Public:
    def __init__(self, seal, context, preset, key: Content):
        self._seal, self._context, self._preset = seal, context, preset
        public_key = seal.PublicKey()
        _load(public_key, context, key)
        self._encryptor = seal.Encryptor(context, public_key)
        self._evaluator = seal.Evaluator(context)

    def encrypt(self, polynomial: Polynomial):
        result = self._seal.Ciphertext()
        self._encryptor.encrypt(self._plaintext(polynomial), result)
        return result

    def add(self, left, right):
        result = self._seal.Ciphertext()
        self._evaluator.add(left, right, result)
        return result

    def add_plain(self, ciphertext, polynomial: Polynomial):
        result = self._seal.Ciphertext()
        self._evaluator.add_plain(ciphertext, self._plaintext(polynomial), result)
        return result

    def multiply_plain(self, ciphertext, polynomial: Polynomial):
        result, t = self._seal.Ciphertext(), 1 << self._preset.plain_bits
        # Where all primes are above t, SEAL doesn't take a single coefficient above t/2
        # for a small negative one, and the noise budget is gone: negate twice.
        places = np.flatnonzero(polynomial)
        is_negative = len(places) == 1 and int(polynomial[places[0]]) > t // 2
        if is_negative:
            polynomial = np.where(polynomial, np.uint64(t) - polynomial, np.uint64(0))
        self._evaluator.multiply_plain(ciphertext, self._plaintext(polynomial), result)
        if is_negative:
            self._evaluator.negate_inplace(result)
        return result

    def hide_noise(self, ciphertext):
        bits = self._preset.flood_bits
        if not bits:
            return ciphertext
        random = np.frombuffer(os.urandom(8 * self._preset.num_coefficients), "<u8")
        zero = self.encrypt(np.zeros(1, np.uint64))
        flood = self.multiply_plain(zero, random >> np.uint64(64 - bits))
        return self.add(ciphertext, flood)

    def to_bytes(self, ciphertext):
        return _saved(ciphertext)

    def from_bytes(self, content: Content):
        return _load(self._seal.Ciphertext(), self._context, content)

    def _plaintext(self, polynomial):
        """Through SEAL's documented text form, highest degree first."""
        degrees = np.flatnonzero(polynomial)[::-1]
        terms = zip(polynomial[degrees].tolist(), degrees.tolist(), strict=True)
        text = " + ".join(f"{value:X}x^{degree}" for value, degree in terms)
        return self._seal.Plaintext(text or "0")


class _Secret:
    """Keeps the secret key inside its decryptor and has no way of writing it."""

    def __init__(self, seal, context):
        self._seal, self._context = seal, context
        keys, public_key = seal.KeyGenerator(context), seal.PublicKey()
        keys.create_public_key(public_key)
        self.public_key = _saved(public_key)
        self._decryptor = seal.Decryptor(context, keys.secret_key())

    def noise_budget(self, content: Content):
        return self._decryptor.invariant_noise_budget(self._ciphertext(content))

    def decrypt(self, content: Content):
        ciphertext, plain = self._ciphertext(content), self._seal.Plaintext()
        if self._decryptor.invariant_noise_budget(ciphertext) <= 0:
            raise EncryptionError(
                "ciphertext: its noise budget is 0 bits, must be positive: what would "
                "be decrypted is not what was encrypted"
            )
        self._decryptor.decrypt(ciphertext, plain)
        result = np.zeros(ciphertext.poly_modulus_degree(), np.uint64)
        count = plain.coeff_count()
        result[:count] = [plain[place] for place in range(count)]
        return result

    def _ciphertext(self, content):
        return _load(self._seal.Ciphertext(), self._context, content)


def _sealapi():
    """TenSEAL's bindings; imported here and nowhere else, and only when needed."""
    try:
        import tenseal.sealapi as seal
    except ImportError as error:
        raise ImportError(
            "backend='bfv' needs TenSEAL: pip install 'vfljax[encrypted]' brings it; "
            "backend='plain_int' computes the same without encryption"
        ) from error
    return seal


def _saved(thing) -> bytes:
    """What `thing.save` writes."""
    with _private_path() as path:
        thing.save(path)
        return Path(path).read_bytes()


def _load(thing, context, content: Content):
    """`thing` after `thing.load` of these bytes."""
    with _private_path() as path:
        Path(path).write_bytes(content)
        try:
            thing.load(context, path)
        except (RuntimeError, ValueError) as error:
            raise EncryptionError(
                f"content: {len(content)} bytes that are no {type(thing).__name__} "
                f"of this scheme ({error})"
            ) from error
    return thing


@contextlib.contextmanager
def _private_path() -> Iterator[str]:
    """The bindings write to paths only: a file in this process's memory has one too."""
    make: Callable[[str], int] | None = getattr(os, "memfd_create", None)
    if make is None:  # not on Linux
        with tempfile.TemporaryDirectory() as folder:
            yield os.path.join(folder, "content")
        return
    descriptor = make("vfljax")
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
