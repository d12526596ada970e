"""`GET /openapi.json`, and `GET /docs`: the same in Swagger UI, with no request to another host.

FastAPI's own page loads Swagger UI from a content delivery network. The package fastapi-offline
has the same files; they are served under a policy that allows nothing else.
"""

import importlib.util
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from app.api.routes.page import static_file

router = APIRouter(include_in_schema=False)

_POLICY = (
    # Swagger UI writes styles into its elements, and draws its icons from data: addresses.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _swagger_ui() -> Path:
    # Looked for, not imported: of the package, only its files are wanted.
    found = importlib.util.find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("fastapi-offline is not installed, which has Swagger UI's files")
    return Path(found.origin).parent / "static"


_FILES = StaticFiles(directory=_swagger_ui())


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """Answer with the document itself."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Answer with the page."""
    response = await static_file(request, "docs.html")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@router.get("/docs/{name}")
async def file(request: Request, name: str) -> Response:
    """Answer with a file of Swagger UI."""
    return await _FILES.get_response(name, request.scope)
