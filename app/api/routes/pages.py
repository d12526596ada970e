"""`GET /` and `GET /docs`: the page, and Swagger UI, without a request to another host.

FastAPI's own documentation page loads Swagger UI from a content delivery network. The package
fastapi-offline has the same files; they are served under a policy that allows nothing else.
"""

import importlib.util
import mimetypes
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)
docs_router = APIRouter(include_in_schema=False)

# Some systems call modules text/plain, which browsers then refuse to run.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("application/wasm", ".wasm")

_FILES = StaticFiles(directory=Path(__file__).parents[2] / "web")
_EXAMPLES = StaticFiles(directory=Path(__file__).parents[3] / "examples")
_EXAMPLE_SUFFIXES = (".ogg", ".json")
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
# A worker has the policy of its own script's answer, and this one compiles WebAssembly: the page
# itself, and all its other scripts, may not.
_STUDENT_WORKER = "student-worker.js"
_STUDENT_WORKER_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
)
_DOCS_POLICY = (
    # Swagger UI writes styles into its elements, and draws its icons from data: addresses.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _swagger_ui() -> Path:
    # Looked for, not imported: of the package, only its files are needed.
    found = importlib.util.find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("fastapi-offline is not installed, which has Swagger UI's files")
    return Path(found.origin).parent / "static"


_SWAGGER_UI = StaticFiles(directory=_swagger_ui())


@router.get("/")
async def page(request: Request) -> Response:
    """Answer with the page."""
    return await _static_file(request, "index.html")


@router.get("/web/{name:path}")
async def page_file(request: Request, name: str) -> Response:
    """Answer with one of the page's files, or with 304 where the browser has it."""
    response = await _static_file(request, name)
    if name == _STUDENT_WORKER:
        response.headers["Content-Security-Policy"] = _STUDENT_WORKER_POLICY
    if name.endswith(".gz"):  # what is large and rarely changes is stored as it is sent
        response.headers["Content-Encoding"] = "gzip"
    return response


@router.get("/examples/{name}")
async def example(request: Request, name: str) -> Response:
    """Answer with an example recording of the page, or with `examples.json`, which lists them."""
    if not name.endswith(_EXAMPLE_SUFFIXES):
        raise HTTPException(404)
    response = await _EXAMPLES.get_response(name, request.scope)
    response.headers["Cache-Control"] = "no-cache"
    return response


@docs_router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """Answer with the OpenAPI document."""
    return JSONResponse(request.app.openapi())


@docs_router.get("/docs")
async def docs(request: Request) -> Response:
    """Answer with the page of the documentation."""
    response = await _static_file(request, "docs.html")
    response.headers["Content-Security-Policy"] = _DOCS_POLICY
    return response


@docs_router.get("/docs/{name}")
async def docs_file(request: Request, name: str) -> Response:
    """Answer with a file of Swagger UI."""
    return await _SWAGGER_UI.get_response(name, request.scope)


async def _static_file(request: Request, name: str) -> Response:
    """Return a file of the page, with its policies; raises HTTPException where there is none."""
    response = await _FILES.get_response(name, request.scope)
    response.headers.update(_HEADERS)
    return response
