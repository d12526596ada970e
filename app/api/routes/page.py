"""`GET /`: the page, and the files that it is made of."""

import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

# Some systems call modules text/plain, which browsers then refuse to run.
mimetypes.add_type("text/javascript", ".js")

_FILES = StaticFiles(directory=Path(__file__).parents[2] / "web")
_HEADERS = {
    # Names do not change with content: ask each time, and be told 304.
    "Cache-Control": "no-cache",
    # Recordings are played, and pictures that need a key are shown, as blobs of the page's own.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob:; media-src 'self' blob:; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """Answer with the page."""
    return await static_file(request, "index.html")


@router.api_route("/web/{name}", methods=["GET", "HEAD"])
async def file(request: Request, name: str) -> Response:
    """Answer with one of the page's files, or with 304 where the browser has it."""
    return await static_file(request, name)


async def static_file(request: Request, name: str) -> Response:
    """The file `name` of the page, with its policies; raises HTTPException where there is none."""
    response = await _FILES.get_response(name, request.scope)
    response.headers.update(_HEADERS)
    return response
