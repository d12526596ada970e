"""How requests are read off a connection: by httptools, and never without bound."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""bytes of a request's line and headers, or of the trailers behind its body"""


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's faster protocol, which by itself would hold headers of any size."""

    _unfinished = 0
    """bytes since a head, a piece of a body or a request was complete"""

    def data_received(self, data: bytes) -> None:
        """Read on; a head that becomes too large is answered with 400."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._unfinished = 0
        super().on_message_complete()
