"""`/docs` and `/redoc`: Swagger UI and ReDoc, with scripts and styles from the installed wheel `fastapi-offline`.

Invariant: a page asks no host but this one, whatever its scripts would like to.
"""

from collections.abc import Iterator
from importlib.resources import files

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

TITLE = "Loan Prequalification"
# Paths are relative, so that a proxy may serve the API under a prefix.
_DESCRIPTION = "openapi.json"
_ASSETS = "docs/assets"
_FROM_HERE_ALONE = {
    # ReDoc would fetch a logo from its maker's host, and runs its search in a worker out of a blob.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline'; worker-src blob:"
}


def routes() -> Iterator[BaseRoute]:
    """The two pages, and the files that they load."""
    swagger = get_swagger_ui_html(
        openapi_url=_DESCRIPTION,
        title=TITLE,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
    )
    redoc = get_redoc_html(
        openapi_url=_DESCRIPTION,
        title=TITLE,
        redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{_ASSETS}/favicon.png",
        with_google_fonts=False,
    )
    yield Mount(f"/{_ASSETS}", StaticFiles(directory=str(files("fastapi_offline") / "static")))
    yield _page("/docs", bytes(swagger.body))
    yield _page("/redoc", bytes(redoc.body))


def _page(path: str, body: bytes) -> Route:
    async def show(_: Request) -> HTMLResponse:
        return HTMLResponse(body, headers=_FROM_HERE_ALONE)

    return Route(path, show, methods=["GET"])
