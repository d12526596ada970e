import hashlib
import os
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
        with pytest.raises(ApiKeyError, match="a name has 1 to 64"):
            make_key(name, "use")
