"""The web application: pages, REST, static files, problems."""

import hashlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, TemplateNotFound
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from pipeline.results import ResultsError
from review.api_page import api_page
from review.bodies import ProblemAnswer
from review.desk import Desk
from review.problems import ProblemError
from review.routes import router
from review.security import Access, Guard, problem_response

HERE = Path(__file__).parent
PAGES = {"/": "desk.html", "/grid": "grid.html", "/upload": "upload.html"}
POLL_SECONDS = 5.0
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}
_log = logging.getLogger(__name__)


def create_app(desk: Desk, access: Access, poll_seconds: float = POLL_SECONDS) -> ASGIApp:
    """The application of one desk.

    Args:
        desk: what it serves; closed by the caller.
        access: who may ask.
        poll_seconds: how often it looks for newer runs.
    """
    app = FastAPI(
        title="formscribe",
        version=desk.options.version,
        docs_url=None,
        redoc_url=None,
        lifespan=_watching(desk, poll_seconds),
    )
    app.state.desk = desk
    app.include_router(router)
    _add_problems(app)
    _add_pages(app, desk, access.max_upload_bytes)
    _describe(app)
    return Guard(app, access)


def _watching(desk: Desk, seconds: float) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Takes in newer runs while the application lives."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(seconds):
                try:
                    desk.take_in()
                except ResultsError as error:
                    _log.warning("%s", error)
                except Exception:  # the database restarts, say; the next round may go well
                    _log.exception("runs could not be taken in")

        thread = threading.Thread(target=watch, name="runs", daemon=True)
        thread.start()
        yield
        ended.set()
        thread.join()

    return lifespan


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    def told(request: Request, problem: ProblemError) -> Response:
        return problem_response(problem)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"place": ".".join(str(part) for part in item["loc"]), "message": item["msg"]}
            for item in error.errors()[:20]
        ]
        first = f"{errors[0]['place']}: {errors[0]['message']}" if errors else "The request is invalid."
        return problem_response(ProblemError(422, "invalid_request", first, errors=errors))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        code = _CODES.get(error.status_code, "bad_request")
        response = problem_response(ProblemError(error.status_code, code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ResultsError)
    def gone(request: Request, error: ResultsError) -> Response:
        _log.error("%s", error)
        text = "The results cannot be read any more; the log of the server says why. Nothing was saved."
        return problem_response(ProblemError(503, "results_gone", text))

    @app.exception_handler(sa.exc.OperationalError)
    @app.exception_handler(sa.exc.TimeoutError)
    def database(request: Request, error: Exception) -> Response:
        _log.error("database: %s", error)
        text = "The database cannot be reached or is overloaded. Nothing was saved; try again."
        return problem_response(ProblemError(503, "database_unavailable", text))

    @app.exception_handler(Exception)
    def internal(request: Request, error: Exception) -> Response:
        _log.exception("%s %s", request.method, request.url.path, exc_info=error)
        return problem_response(
            ProblemError(500, "internal_error", f"{type(error).__name__}; the log shows where.")
        )


def _add_pages(app: FastAPI, desk: Desk, max_upload_bytes: int) -> None:
    pages = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)
    context = {
        "version": desk.options.version,
        "output_name": desk.options.output.resolve().name,
        # Browsers keep unsaved answers by it: another desk at the same address never gets them.
        "desk": hashlib.sha256(desk.name.encode()).hexdigest()[:16],
        "max_upload_bytes": max_upload_bytes,
    }

    def shown(name: str) -> Callable[[], HTMLResponse]:
        def page() -> HTMLResponse:
            try:
                return HTMLResponse(pages.get_template(name).render(context))
            except TemplateNotFound:
                return HTMLResponse("<!doctype html><title>formscribe</title><p>formscribe")

        return page

    for path, name in PAGES.items():
        app.add_api_route(path, shown(name), include_in_schema=False, name=name)

    def documentation() -> HTMLResponse:
        return HTMLResponse(api_page(app.openapi()))

    app.add_api_route("/docs", documentation, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=HERE / "static", check_dir=False), name="static")


def _describe(app: FastAPI) -> None:
    """Adds to the OpenAPI document what FastAPI cannot know: problems, and what ``Guard`` wants."""

    def openapi() -> dict:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["ProblemAnswer"] = ProblemAnswer.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(name, None)
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            header = {
                "name": "X-Formscribe",
                "in": "header",
                "required": True,
                "schema": {"type": "string", "const": "1"},
            }
            for operations in schema["paths"].values():
                for method, operation in operations.items():
                    operation["responses"].pop("422", None)  # is among 4XX
                    operation["security"] = [{}, {"token": []}]
                    if method not in ("get", "head"):
                        operation.setdefault("parameters", []).append(header)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
