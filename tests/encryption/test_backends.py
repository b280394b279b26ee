"""What both backends do, and what only real ciphertexts have to."""

import builtins

import numpy as np
import pytest

from vfljax import encryption
from vfljax.encryption import EncryptionError

_T = 2**52  # of the small preset


@pytest.fixture(scope="module", params=["bfv", "plain_int"])
def sides(request):
    """Public and secret side of a key pair, small."""
    return make_sides(request.param)


def make_sides(name, preset="small"):
    backend = encryption.BACKENDS[name](encryption.PRESETS[preset])
    secret = backend.keygen()
    return backend.public_side(secret.public_key), secret


def polynomial(*coefficients):
    return encryption.to_residues(np.array(coefficients), 52)


def decrypted(secret, public, ciphertext, count):
    return secret.decrypt(public.to_bytes(ciphertext))[:count].tolist()


def test_operations_on_known_polynomials(sides):
    """(1 + 2X)(3 - X) = 3 + 5X - 2X²; coefficients mod 2^52."""
    public, secret = sides
    left, right = polynomial(1, 2), polynomial(3, -1)
    encrypted = public.encrypt(left)
    assert decrypted(secret, public, encrypted, 3) == [1, 2, 0]
    added = public.add(encrypted, public.encrypt(right))
    assert decrypted(secret, public, added, 3) == [4, 1, 0]
    assert decrypted(secret, public, public.add_plain(encrypted, right), 2) == [4, 1]
    times = public.multiply_plain(encrypted, right)
    assert decrypted(secret, public, times, 4) == [3, 5, _T - 2, 0]
    assert decrypted(secret, public, public.hide_noise(encrypted), 2) == [1, 2]
    assert decrypted(secret, public, encrypted, 2) == [1, 2]  # as it was


def test_powers_wrap_around_with_a_sign(sides):
    """X^4095 · X^2 = X^4097 = -X."""
    public, secret = sides
    last = np.zeros(4096, np.uint64)
    last[-1] = 1
    wrapped = public.multiply_plain(public.encrypt(last), polynomial(0, 0, 1))
    assert decrypted(secret, public, wrapped, 3) == [0, _T - 1, 0]


@pytest.mark.parametrize("preset", list(encryption.PRESETS))
def test_one_negative_coefficient_keeps_the_budget(preset):
    """5X · (-3X²) = -15X³, with the noise of 5X · (3X²)."""
    backend = encryption.BACKENDS["bfv"](encryption.PRESETS[preset])
    secret = backend.keygen()
    public = backend.public_side(secret.public_key)
    bits = encryption.PRESETS[preset].plain_bits
    five = public.encrypt(encryption.to_residues(np.array([0, 5]), bits))
    budgets = []
    for factor in (3, -3):
        residues = encryption.to_residues(np.array([0, 0, factor]), bits)
        times = public.multiply_plain(five, residues)
        expected = [0, 0, 0, 5 * factor % 2**bits]
        assert decrypted(secret, public, times, 4) == expected
        budgets.append(secret.noise_budget(public.to_bytes(times)))
    assert abs(budgets[0] - budgets[1]) <= 1


def test_random_polynomials_of_all_residues(sides):
    public, secret = sides
    random = np.random.default_rng(0)
    left, right = random.integers(0, _T, (2, 4096), dtype=np.uint64)
    added = public.add(public.encrypt(left), public.encrypt(right))
    result = secret.decrypt(public.to_bytes(added))
    np.testing.assert_array_equal(result, (left + right) % _T)


def test_bytes_of_something_else_are_refused(sides):
    public, secret = sides
    content = public.to_bytes(public.encrypt(polynomial(1)))
    for wrong in (b"", b"nonsense", content[:-100]):
        with pytest.raises(EncryptionError, match="content"):
            public.from_bytes(wrong)
        with pytest.raises(EncryptionError, match="content"):
            secret.decrypt(wrong)


@pytest.mark.parametrize("preset", list(encryption.PRESETS))
def test_presets_pass_the_check_and_leave_a_budget(preset):
    public, secret = make_sides("bfv", preset)
    hidden = public.hide_noise(public.encrypt(polynomial(7)))
    assert secret.noise_budget(public.to_bytes(hidden)) > 25
    assert decrypted(secret, public, hidden, 1) == [7]


def test_flood_covers_the_noise():
    """A fresh ciphertext has 101 bits of budget, a flooded one some 60 fewer."""
    public, secret = make_sides("bfv", "flood")
    fresh = public.encrypt(polynomial(7))
    lost = secret.noise_budget(public.to_bytes(fresh)) - secret.noise_budget(
        public.to_bytes(public.hide_noise(fresh))
    )
    assert lost > 50


def test_used_up_noise_budget_raises_instead_of_zeros():
    public, secret = make_sides("bfv")
    ciphertext = public.encrypt(polynomial(1))
    for _ in range(2):
        ciphertext = public.multiply_plain(ciphertext, polynomial(*[2**50] * 64))
    content = public.to_bytes(ciphertext)
    assert secret.noise_budget(content) == 0
    with pytest.raises(EncryptionError, match="noise budget is 0 bits"):
        secret.decrypt(content)


def test_added_plaintext_shows_to_the_author_of_a_ciphertext():
    """Why roles add fresh encryptions: all but the first half stays identical."""
    public, _ = make_sides("bfv", "default")  # its bytes aren't compressed
    original = public.encrypt(polynomial(5))
    sent_back = public.to_bytes(public.add_plain(original, polynomial(0xABC)))
    fresh = public.to_bytes(public.add(original, public.encrypt(polynomial(0xABC))))
    content = public.to_bytes(original)
    half = len(content) // 2
    assert content[half + 1000 :] == sent_back[half + 1000 :]
    assert content[half + 1000 :] != fresh[half + 1000 :]


def test_secret_side_has_no_way_to_the_key():
    """What can be reached by name are decrypted values and the public key."""
    _, secret = make_sides("bfv")
    assert isinstance(secret.public_key, bytes)
    assert not any(hasattr(each, "save") for each in vars(secret).values())


def test_absent_library_is_named_with_its_cure(monkeypatch):
    real_import = builtins.__import__

    def without_tenseal(name, *arguments, **keywords):
        if name.startswith("tenseal"):
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_tenseal)
    with pytest.raises(ImportError, match=r"pip install 'vfljax\[encrypted\]'"):
        encryption.bfv(encryption.PRESETS["small"])


def test_bindings_are_as_expected(tmp_path):
    """Every call that `bfv` makes, in twenty lines: fails if an upgrade changes one."""
    import tenseal.sealapi as seal

    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
    parameters.set_poly_modulus_degree(4096)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(4096, [45, 44, 20]))
    parameters.set_plain_modulus(seal.Modulus(1 << 52))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    assert context.parameters_set(), context.parameters_error_name()
    keys, public_key = seal.KeyGenerator(context), seal.PublicKey()
    keys.create_public_key(public_key)
    encryptor = seal.Encryptor(context, public_key)
    decryptor = seal.Decryptor(context, keys.secret_key())
    evaluator, result = seal.Evaluator(context), seal.Ciphertext()
    encryptor.encrypt(seal.Plaintext("3x^1 + 2x^0"), result)
    evaluator.add(result, result, result)
    evaluator.add_plain(result, seal.Plaintext("1x^0"), result)
    evaluator.multiply_plain(result, seal.Plaintext("Ax^1"), result)
    result.save(str(tmp_path / "ciphertext"))
    loaded, plain = seal.Ciphertext(), seal.Plaintext()
    loaded.load(context, str(tmp_path / "ciphertext"))
    assert decryptor.invariant_noise_budget(loaded) > 10
    decryptor.decrypt(loaded, plain)
    assert [plain[place] for place in range(plain.coeff_count())] == [0, 50, 60]
    assert loaded.poly_modulus_degree() == 4096
