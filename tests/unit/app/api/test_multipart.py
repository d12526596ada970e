"""The parts of a form, and what of them is held."""

from collections.abc import Iterable

import pytest
from python_multipart.exceptions import FormParserError

from app.api.multipart import FilePart, FilePartParser

BOUNDARY = b"edge"
END = b"--edge--\r\n"


class Held:
    """Counts the bytes that a parser says it holds."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, count: int) -> None:
        self.counts.append(count)


def parser(held: Held | None = None, *, limit: int = 10, max_parts: int = 3) -> FilePartParser:
    return FilePartParser(BOUNDARY, limit, held or Held(), max_parts=max_parts)


def part(content: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"--edge", *headers, b"", content, b""])


def disposition(name: bytes, *options: bytes) -> bytes:
    return b"; ".join([b'Content-Disposition: form-data; name="' + name + b'"', *options])


FILE = disposition(b"file", b'filename="a.wav"')


def feed(found: FilePartParser, chunks: Iterable[bytes]) -> list[list[FilePart]]:
    return [found.feed(chunk) for chunk in chunks]


def test_files_come_as_they_end_and_what_is_held_is_told() -> None:
    held = Held()
    found = parser(held)
    begun = part(b"12345678", FILE)[:-2]
    assert feed(found, [begun[:-3], begun[-3:]]) == [[], []]
    assert (held.counts, found.is_complete, found.fields) == ([5, 3], False, ["file"])
    assert feed(found, [b"90\r\n--edge--\r\n", b"behind the end"]) == [
        [FilePart("a.wav", b"1234567890")],
        [],
    ]
    assert held.counts == [5, 3, 2]
    assert (found.is_complete, found.over_limit) == (True, False)


def test_of_a_file_over_the_limit_nothing_is_held_and_the_next_is_read() -> None:
    held = Held()
    found = parser(held)
    large = part(b"1234567890x", FILE)
    files = feed(found, [large[:-6], large[-6:], part(b"ab", FILE), END])
    assert files == [[], [FilePart("a.wav", None)], [FilePart("a.wav", b"ab")], []] or files == [
        [],
        [],
        [FilePart("a.wav", None)],
        [FilePart("a.wav", b"ab")],
    ]
    assert held.counts == [7, -7, 2]
    assert found.over_limit


def test_other_parts_are_named_and_dropped() -> None:
    held = Held()
    found = parser(held, max_parts=9)
    body = [
        part(b"x", disposition(b"note")),
        part(b"x", b"Content-Type: text/plain"),
        part(b"x", b"Content-Disposition: form-data"),
        part(b"x", disposition(b"n" * 101)),
        part(b"x", disposition(b"\xff")),
        part(b"x", b"X-Content-Disposition: form-data; name=file"),
        part(b"the", b"content-type: audio/wav", FILE.replace(b"Content-D", b"CONTENT-d"), b"X: y"),
    ]
    assert feed(found, [*body, END])[-1] == [FilePart("a.wav", b"the")]
    assert found.fields == ["note", "", "n" * 100, "\N{REPLACEMENT CHARACTER}", "file"]
    assert held.counts == [3]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], None),
        ([b'filename=""'], ""),
        ([b'filename="' + b"n" * 256 + b'"'], "n" * 255),
        ([b'filename="\xff.wav"'], "\N{REPLACEMENT CHARACTER}.wav"),
        ([b'filename="a.wav"', b"FILENAME* = UTF-8''b.wav"], "b.wav"),
        ([b'filename="a.wav"', b"filename*=utf-8''%zz%"], "%zz%"),
        ([b'filename="a.wav"', b"filename*=utf-16''b.wav"], "a.wav"),
        ([b'filename="a.wav"', b"filename*=utf-8''\xff.wav"], "a.wav"),
    ],
)
def test_the_name_of_a_file(options: list[bytes], expected: str | None) -> None:
    body = part(b"x", disposition(b"file", *options)) + part(b"y", disposition(b"file"))
    first, second = parser().feed(body + END)
    assert (first.filename, second.filename) == (expected, None)


def test_what_is_closed_holds_nothing() -> None:
    found = parser()
    whole, begun = part(b"1", FILE), part(b"2", FILE)
    found._parser.write(found._preamble.feed(whole + begun))  # not taken yet
    found.close()
    assert found.feed(END) == [FilePart("a.wav", None)]


@pytest.mark.parametrize(("count", "accepted"), [(3, True), (4, False)])
def test_a_body_may_have_so_many_parts(count: int, accepted: bool) -> None:
    found = parser()
    found.feed(part(b"", disposition(b"note")) * count)
    if accepted:
        found.require_few()
    else:
        with pytest.raises(FormParserError, match=r"^it has more than 3 parts$"):
            found.require_few()


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ([FILE, *[b"X: y"] * 7], True),
        ([FILE, *[b"X: y"] * 8], False),
        ([FILE, b"X: " + b"y" * 2000], True),
        ([FILE, b"X: " + b"y" * 2050], False),
    ],
)
def test_a_part_may_have_so_many_headers(headers: list[bytes], accepted: bool) -> None:
    body = part(b"x", *headers) + END
    if accepted:
        assert parser().feed(body) == [FilePart("a.wav", b"x")]
    else:
        with pytest.raises(FormParserError):
            parser().feed(body)


def test_a_body_may_begin_with_so_much_else() -> None:
    found = parser()
    assert feed(found, [b"x" * 65_535, b"\n"]) == [[], []]
    with pytest.raises(FormParserError, match=r"^no boundary in its first 65536 bytes$"):
        found.feed(b"x")
    found = parser()
    body = b"\r\n" + part(b"x", FILE) + END
    assert feed(found, [b"x" * 65_534 + body[:2], body[2:]])[-1] == [FilePart("a.wav", b"x")]


@pytest.mark.parametrize(
    "before", [b"", b"\r\n", b"--edg\r\n", b"x--edge\r\n\r\n", b"x\r\n--edg\r\n"]
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_boundary_begins_a_line_wherever_it_is_cut(before: bytes, size: int) -> None:
    content = b"\r\r\n--edg"
    body = before + part(content, FILE) + END
    found = parser()
    files = feed(found, (body[start : start + size] for start in range(0, len(body), size)))
    assert [file for some in files for file in some] == [FilePart("a.wav", content)]
    assert found.is_complete


@pytest.mark.parametrize(("blanks", "accepted"), [(1000, True), (1001, False)])
def test_so_many_blanks_may_follow_a_boundary(blanks: int, accepted: bool) -> None:
    body = part(b"x", FILE).replace(b"--edge", b"--edge" + b" " * blanks) + END
    if accepted:
        assert parser().feed(body) == [FilePart("a.wav", b"x")]
    else:
        with pytest.raises(FormParserError):
            parser().feed(body)
