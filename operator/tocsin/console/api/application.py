"""The API as an aiohttp application: who is let in, what errors look like, and all routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from tocsin.console import chat
from tocsin.console.api.context import CALLER, CONTEXT, Context
from tocsin.console.api.guard import LOCAL_CALLER, Scope
from tocsin.console.api.guard import Refused as NotAdmitted
from tocsin.console.api.routes import ROUTES, Handler
from tocsin.console.api.schedules import CALENDARS
from tocsin.dispatch.calendars import Calendars
from tocsin.dispatch.dispatcher import hide_parameters
from tocsin.flow.groups import Refused
from tocsin.problems import Problem, ProblemError, method_not_allowed, not_found, unavailable
from tocsin.store.errors import NotStorable, StoreError

PREFIX = "/api/v1"
LARGEST_BODY = 16 * 1024 * 1024

_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def api_application(context: Context) -> web.Application:
    """To be mounted with `app.add_subapp(PREFIX, ...)` on any application."""
    app = web.Application(middlewares=[answer_errors, admit], client_max_size=LARGEST_BODY)
    app[CONTEXT] = context
    app[CALENDARS] = Calendars(context.store, context.live, context.telemetry, now=lambda _c: context.now())
    for route in ROUTES:
        handler = _scoped(route.handler, route.scope)
        app.router.add_route(route.method, f"{route.path}{{slash:/?}}", handler)
        if route.method == "GET":
            app.router.add_route("HEAD", f"{route.path}{{slash:/?}}", handler)
    return app


def standalone(context: Context) -> web.Application:
    """The API and what chats answer to, each under its prefix, and nothing else."""
    app = web.Application(middlewares=[answer_errors], client_max_size=LARGEST_BODY)
    app[CONTEXT] = context
    app.add_subapp(PREFIX, api_application(context))
    app.add_subapp(chat.PREFIX, chat.chat_application(context))
    return app


def _scoped(handler: Handler, scope: Scope) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        caller = request[CALLER]
        if not caller.may(scope):
            detail = f"this token may not {scope.value}"
            raise ProblemError(
                Problem(
                    status=403,
                    kind="forbidden",
                    detail=detail,
                    action=f"use a token with scope {scope.value}",
                )
            )
        return await handler(request)

    return handle


@web.middleware
async def admit(request: web.Request, handler: _Next) -> web.StreamResponse:
    """Everything is refused to strangers, also what does not exist."""
    context = request.config_dict[CONTEXT]
    try:
        caller = context.guard.admit(request)
    except NotAdmitted as refused:
        raise ProblemError(_unauthorized(str(refused))) from None
    wait = 0 if caller is LOCAL_CALLER else context.throttle.take(caller.name, context.now())
    if wait:
        raise ProblemError(_too_many(wait))
    request[CALLER] = caller
    return await handler(request)


@web.middleware
async def answer_errors(request: web.Request, handler: _Next) -> web.StreamResponse:
    """Whatever goes wrong is answered as problem+json; `detail` is where OnCall's API has it, too."""
    try:
        return await handler(request)
    except ProblemError as error:
        problem = error.problem
    except Refused as refused:
        facts = (("reason", refused.reason.value),)
        problem = Problem(status=400, kind="refused", detail=refused.message, facts=facts)
    except NotStorable as error:
        problem = Problem(status=400, kind="not-storable", detail=str(error))
    except StoreError:
        problem = unavailable("store-unavailable", "the store cannot be reached now")
    except web.HTTPException as error:
        problem = _of_http(request, error)
    except Exception as error:
        hide_parameters(error)
        log = request.config_dict[CONTEXT].telemetry.log
        log.exception("the API failed", method=request.method, route=_route(request))
        problem = Problem(status=500, kind="internal", detail="an error inside Tocsin; its log says more")
    return problem.response()


def _of_http(request: web.Request, error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return method_not_allowed(request.method, tuple(sorted(error.allowed_methods)))
    if error.status == 404:
        return not_found("there is nothing at this URL", action="see docs/api.md for what there is")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem(status=413, kind="too-large", detail=f"the body has more than {LARGEST_BODY} bytes")
    return Problem(status=error.status, kind="http", detail=error.reason)


def _unauthorized(detail: str) -> Problem:
    headers = (("WWW-Authenticate", 'Bearer realm="tocsin"'),)
    return Problem(status=401, kind="unauthorized", detail=detail, headers=headers)


def _too_many(wait: int) -> Problem:
    return Problem(
        status=429,
        kind="too-many-requests",
        detail="more requests than this token may make",
        action=f"wait {wait} seconds",
        headers=(("RateLimit-Reset", str(wait)),),
        retry_after=wait,
    )


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical
