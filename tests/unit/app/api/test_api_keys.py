import hashlib
import hmac
import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.api.api_keys import ApiKeyError, ApiKeyStore, make_key


def write(path: Path, text: str, seconds: int = 1) -> Path:
    """Write a file whose time of change is `seconds`: two writes may share one of the clock's."""
    path.write_text(text)
    os.utime(path, (seconds, seconds))
    return path


def test_a_new_key_is_random_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    token, key = make_key("lab-1", "use")
    other, _ = make_key("lab-1", "use")
    assert token != other
    assert token.startswith("earshot_")
    assert len(token) == len("earshot_") + 43  # 256 bits in base64
    assert key.line == f"lab-1:use:{hashlib.sha256(token.encode()).hexdigest()}"
    keys = ApiKeyStore(write(tmp_path / "keys", f"# of the lab\n\n{key.line}\n"))
    assert keys.find(token) == key
    for wrong in (other, "", token[:-1], key.sha256):
        assert keys.find(wrong) is None
    assert not keys.has_admin


def test_each_digit_of_the_hash_counts(tmp_path: Path) -> None:
    token, key = make_key("lab", "use")
    for place in (0, 7, 8, 31, 63):
        other = "0" if key.sha256[place] != "0" else "1"
        changed = replace(key, sha256=key.sha256[:place] + other + key.sha256[place + 1 :])
        assert ApiKeyStore(write(tmp_path / "keys", changed.line)).find(token) is None


def test_a_token_is_compared_with_every_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it takes tells nobody which key it was, or whether there is one."""
    made = [make_key(f"lab-{number}", "use") for number in range(5)]
    keys = ApiKeyStore(write(tmp_path / "keys", "\n".join(key.line for _, key in made)))
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token, key in (*made, ("earshot_wrong", None)):
        assert keys.find(token) == key
        assert compared == [each.sha256 for _, each in made]
        compared.clear()


def test_what_was_read_is_logged_and_what_is_unfit_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "keys"
    (token, key), (_, admin) = make_key("a", "use"), make_key("b", "admin")
    keys = ApiKeyStore(write(path, key.line))
    assert not caplog.records
    write(path, f"  {key.line}  \n\n # said nothing\n{admin.line}\n", 2)
    assert keys.has_admin  # it is read again for this question, too
    assert keys.find(token) == key
    path.write_bytes(b"\xff")
    keys.reload()
    assert keys.find(token) == key
    path.write_text(f"# one\n\n{key.line}\nno key\n")
    keys.reload()
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "read 2 keys",
        "the keys stay as they were: cannot read the keys in keys: 'utf-8' codec can't decode byte "
        "0xff in position 0: invalid start byte",
        "the keys stay as they were: line 4 of the keys is not name:scope:sha256, a name of at "
        "most 64 letters, digits and .-_@ and 64 hexadecimal digits in lower case",
    ]


def test_a_file_that_is_another_is_read_again(tmp_path: Path) -> None:
    """Each of time, size and file is enough: editors write a new one, copies keep the time."""
    path, other = tmp_path / "keys", tmp_path / "other"
    (first, one), (second, two), (third, three) = (make_key(name, "use") for name in "abc")
    keys = ApiKeyStore(write(path, one.line))
    write(other, two.line).rename(path)
    assert (keys.find(first), keys.find(second)) == (None, two)
    with path.open("w") as file:  # in place
        file.write(f"{three.line}\n\n")
    os.utime(path, (1, 1))
    assert (keys.find(second), keys.find(third)) == (None, three)
    with path.open("w") as file:
        file.write(f"{one.line}\n\n")
    os.utime(path, (2, 2))
    assert (keys.find(third), keys.find(first)) == (None, one)


def test_a_name_may_have_an_old_and_a_new_key(tmp_path: Path) -> None:
    (old, first), (new, second) = make_key("lab", "use"), make_key("lab", "admin")
    keys = ApiKeyStore(write(tmp_path / "keys", f"{first.line}\n{second.line}\n"))
    assert (keys.find(old), keys.find(new)) == (first, second)
    assert keys.has_admin


def test_a_changed_file_is_read_again_and_a_bad_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys"
    (old, first), (new, second) = make_key("a", "use"), make_key("b", "use")
    keys = ApiKeyStore(write(path, first.line))
    write(path, second.line, 2)
    assert (keys.find(old), keys.find(new)) == (None, second)
    write(path, new, 3)
    assert keys.find(new) == second
    path.unlink()
    assert keys.find(new) == second
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the keys stay as they were"
    ] * 2
    assert new not in caplog.text
    write(path, "", 4)
    assert keys.find(new) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("secret", "line 2 of the keys is not name:scope:sha256"),
        (f"a b:use:{'0' * 64}", "line 2 of the keys is not"),
        (f"a:use:{'0' * 63}", "line 2 of the keys is not"),
        (f"a:root:{'0' * 64}", "line 2 of the keys: the scope is neither use nor admin"),
    ],
)
def test_a_line_that_is_no_key_is_told_without_showing_it(
    tmp_path: Path, line: str, words: str
) -> None:
    with pytest.raises(ApiKeyError, match=words) as error:
        ApiKeyStore(write(tmp_path / "keys", f"# keys\n{line}\n"))
    assert line not in str(error.value)


def test_a_file_that_is_not_there_and_a_bad_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(ApiKeyError, match=r"cannot read the keys in none\.txt"):
        ApiKeyStore(tmp_path / "none.txt")
    for name in ("", "a:b", "x" * 65, "a\n"):
        with pytest.raises(ApiKeyError) as error:
            make_key(name, "use")
        assert str(error.value) == (
            f"a name has 1 to 64 letters, digits, '.', '_', '@' and '-', got {name!r}"
        )
    for name in ("x" * 64, "a", "A.b_c@d-9"):
        assert make_key(name, "use")[1].name == name
