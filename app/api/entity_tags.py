"""Entity tags, by which a client is told that it has an answer already."""


def matches_etag(if_none_match: str, etag: str) -> bool:
    """Return whether a header `If-None-Match` names an entity tag.

    They are compared weakly, as RFC 9110, section 13.1.2, requires.
    """
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags
