"""The admission server: HTTPS on an address of its own, asked by the API server before objects are stored.

A courtesy that must never be in the way, neither of whoever applies an object nor of the rest of this process: bodies,
questions at a time and the time for each are bounded, and what cannot be answered in time is let through.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web
from prometheus_client import Counter
from structlog.typing import FilteringBoundLogger

from tocsin.control.kubernetes.admission import review
from tocsin.control.kubernetes.admission.judge import Judge
from tocsin.control.kubernetes.admission.review import Malformed, Question, Ruling
from tocsin.problems import Problem, malformed, unavailable
from tocsin.receive.environment import Environment
from tocsin.receive.health import Health
from tocsin.receive.listener import Address, Listener, Services
from tocsin.receive.tls import Certificate
from tocsin.telemetry import Telemetry

PATH = "/validate"
LARGEST_BODY = 8 * 1024 * 1024
"""A review holds an object twice; the API server takes requests of 3 MiB."""

BUDGET = 1.0
"""Seconds for one question; the webhook's own timeout is 3."""
_READING = 2.0
_AT_A_TIME = 8
_THREADS = 2
_DRAIN_STEPS, _STEP = 50, 0.02

OUTCOMES = ("allowed", "warned", "denied", "malformed", "late", "failed", "busy")
_LATE = "Tocsin did not check this object in time; its status says what is wrong with it, if anything is"
_FAILED = "Tocsin could not check this object because of a mistake of its own; its log says where"


class Desk:
    """Answers reviews; `application` is to be served by TLS. Registers its metric, once per registry."""

    def __init__(self, judge: Judge, telemetry: Telemetry, *, budget: float = BUDGET) -> None:
        self._judge = judge
        self._log: FilteringBoundLogger = telemetry.log
        self._budget = budget
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="admission")
        self._requests = Counter(
            "tocsin_admission_requests",
            "Questions of the API server by outcome.",
            ("outcome",),
            registry=telemetry.registry,
        )
        for outcome in OUTCOMES:
            self._requests.labels(outcome)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_post(PATH, self.answer)
        return app

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, request: web.Request) -> web.Response:
        """One AdmissionReview in, one out. 400, 408, 413 and 503 are problems, which the webhook's policy ignores."""
        try:
            async with asyncio.timeout(self._budget):
                await self._room.acquire()
        except TimeoutError:
            return self._refuse("busy", unavailable("too-many-reviews", "too many objects are being checked"))
        try:
            return await self._answer(request)
        finally:
            self._room.release()

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_READING):
                body = await request.read()
            question = review.read(body)
        except Malformed as error:
            return self._refuse("malformed", malformed(str(error)))
        except web.HTTPRequestEntityTooLarge:
            detail = f"a review may have {LARGEST_BODY >> 20} MiB"
            return self._refuse("malformed", Problem(status=413, kind="body-too-large", detail=detail))
        except TimeoutError:
            return self._refuse(
                "malformed", Problem(status=408, kind="body-timeout", detail="the body was slow")
            )
        outcome, ruling = await self._rule(question)
        self._requests.labels(outcome).inc()
        return web.Response(body=review.answer(question, ruling), content_type="application/json")

    async def _rule(self, question: Question) -> tuple[str, Ruling]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._budget):
                ruling = await loop.run_in_executor(self._threads, self._judge.rule, question)
        except TimeoutError:
            return "late", Ruling(warnings=(_LATE,))
        except Exception as error:  # noqa: BLE001
            # Neither the message nor a traceback: they may hold parts of the object.
            self._log.error("an object could not be checked", kind=question.kind.kind, error=_place(error))
            return "failed", Ruling(warnings=(_FAILED,))
        return ruling.outcome, ruling

    def _refuse(self, outcome: str, problem: Problem) -> web.Response:
        self._requests.labels(outcome).inc()
        return problem.response()


class Door:
    """The listener of a desk: opened once there is a certificate, and following its changes."""

    def __init__(
        self, desk: Desk, listen: tuple[str, int], certificate: Certificate, environment: Environment
    ) -> None:
        self._desk = desk
        self._listen = listen
        self._certificate = certificate
        self._environment = environment
        self._listener: Listener | None = None

    @property
    def port(self) -> int:
        """The port in use; 0 while it is closed."""
        return 0 if self._listener is None else self._listener.port

    async def attend(self) -> None:
        """Opens it, or takes over a changed certificate. Raises OSError if the address or the certificate cannot be used."""
        if self._listener is not None:
            await self._listener.reload_tls()
            return
        host, port = self._listen
        address = Address(
            host=host,
            port=port,
            tls=self._certificate,
            ingest=False,
            health=False,
            app=self._desk.application(),
        )
        health = Health(self._environment.telemetry, lambda: "")
        listener = Listener(address, Services(health=health, environment=self._environment))
        try:
            await listener.start()
        except OSError:
            await listener.close()
            raise
        self._listener = listener
        self._environment.telemetry.log.info("listening", host=host, port=listener.port, purpose="admission")

    async def close(self) -> None:
        """Lets what is being answered come to its end, for a moment."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.announce_drain()
        await listener.stop_accepting()
        for _ in range(_DRAIN_STEPS):
            if not listener.close_idle():
                break
            await asyncio.sleep(_STEP)
        await listener.close()


def _place(error: Exception) -> str:
    """What went wrong where in the code."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
    return f"{type(error).__name__}{where}"
