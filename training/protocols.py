"""Names of the generalisation protocols, for `--help` too, which must wait for nothing."""

from typing import Final, Literal

RetrainedProtocol = Literal["leave-corpus-out", "leave-language-out"]
Protocol = Literal[
    "held-out", "new-corpora", "leave-corpus-out", "leave-language-out", "street-tags"
]
PROTOCOLS: Final[tuple[Protocol, ...]] = (
    *("held-out", "new-corpora", "leave-corpus-out", "leave-language-out", "street-tags"),
)
