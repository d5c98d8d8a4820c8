"""Any sequence of alerts and actions against a small model that is written down differently: by rules, not by tables."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from storing import ANN, KEYS, all_groups, arrival, at, send

from tocsin.flow.groups import Action, Refused, State, Verb
from tocsin.store import Store, actions, alerts

IDS = st.sampled_from(["cpu", "disk"])
ROUTES = st.sampled_from(["default", "shop/night"])


@dataclass
class Expected:
    """What the model knows of a group."""

    key: str
    route: str
    state: str = "firing"
    count: int = 0
    reopened: bool = False
    parent: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state != "resolved"


class GroupsOverTime(RuleBasedStateMachine):
    """SQLite, because it is the engine that remembers; the same rules run on PostgreSQL in the tests of one rule."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.folder = tempfile.mkdtemp(prefix="tocsin-", dir=memory)
        self.url = f"sqlite:///{self.folder}/tocsin.db"
        self.store = self.loop.run_until_complete(Store.open(self.url, keys=KEYS))
        self.model: dict[int, Expected] = {}
        self.clock = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def children(self, number: int) -> list[Expected]:
        return [one for one in self.model.values() if one.parent == number]

    def set_state(self, number: int, state: str) -> None:
        """The group and what is attached to it."""
        for one in [self.model[number], *self.children(number)]:
            was = one.is_open
            one.state = state
            one.reopened = one.reopened or (not was and one.is_open)

    @rule(key=IDS, route=ROUTES, signal=st.sampled_from(["", "", "acknowledge", "resolve"]))
    def alert(self, key: str, route: str, signal: str) -> None:
        flags = {signal: True} if signal else {}
        stored = self.loop.run_until_complete(send(self.store, key, self.now(), route=route, **flags))
        opened = {n: one for n, one in self.model.items() if one.key == key and one.is_open}
        own = sorted((one.reopened, n) for n, one in opened.items() if one.route == route)
        closed = [n for n, one in self.model.items() if one.key == key and not one.is_open]
        if own:
            expected = own[0][1]
        elif signal and opened:
            expected = min(opened)
        elif signal and closed:
            expected = max(closed)
        else:
            expected = max(self.model, default=0) + 1
            self.model[expected] = Expected(key=key, route=route)
            opened[expected] = self.model[expected]
        assert stored.number == expected
        self.model[expected].count += 1
        for number, one in opened.items():
            if signal == "resolve" and one.is_open:
                self.set_state(number, "resolved")
            elif signal == "acknowledge" and one.state != "acknowledged" and one.is_open:
                self.acknowledge(number)
        assert stored.state.value == self.model[expected].state

    def acknowledge(self, number: int) -> None:
        for one in [self.model[number], *self.children(number)]:
            if one.is_open:
                one.state = "acknowledged"

    @precondition(lambda self: self.model)
    @rule(
        data=st.data(), verb=st.sampled_from(["acknowledge", "resolve", "unresolve", "silence", "unsilence"])
    )
    def person(self, data: st.DataObject, verb: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.model)))
        one = self.model[number]
        action = Action(verb=Verb(verb), at=at(self.now()), actor=ANN)
        allowed = (
            one.parent is None
            and {
                "acknowledge": one.state in ("firing", "silenced"),
                "resolve": one.is_open,
                "unresolve": not one.is_open,
                "silence": one.is_open,
                "unsilence": one.state == "silenced",
            }[verb]
        )
        try:
            self.loop.run_until_complete(self.store.write(lambda c: actions.act(c, number, action)))
            done = True
        except Refused:
            done = False
        assert done == allowed
        if done:
            family = [one, *self.children(number)]
            before = {id(member): member.state for member in family}
            target = {"acknowledge": "acknowledged", "resolve": "resolved", "silence": "silenced"}.get(
                verb, "firing"
            )
            for member in family:
                was = before[id(member)]
                if member is one or self.follows(verb, was):
                    member.reopened = member.reopened or (was == "resolved" and target != "resolved")
                    member.state = target

    @staticmethod
    def follows(verb: str, state: str) -> bool:
        """Whether an attached group in this state goes along."""
        return {
            "acknowledge": state in ("firing", "silenced"),
            "resolve": state != "resolved",
            "unresolve": state == "resolved",
            "silence": state != "resolved",
            "unsilence": state == "silenced",
        }[verb]

    @precondition(lambda self: len(self.model) > 1)
    @rule(data=st.data())
    def attach(self, data: st.DataObject) -> None:
        number, parent = data.draw(st.permutations(sorted(self.model)))[:2]
        child, root = self.model[number], self.model[parent]
        allowed = child.parent is None and root.parent is None and root.is_open and not self.children(number)
        moment = at(self.now())
        try:
            self.loop.run_until_complete(
                self.store.write(lambda c: actions.attach(c, number, parent, now=moment, actor=ANN))
            )
            done = True
        except Refused:
            done = False
        assert done == allowed
        if done:
            child.parent = parent
            if child.is_open:
                child.state = root.state

    @precondition(lambda self: any(self.children(n) for n, one in self.model.items() if one.is_open))
    @rule(data=st.data(), signal=st.sampled_from(["acknowledge", "resolve"]))
    def signal_to_a_family(self, data: st.DataObject, signal: str) -> None:
        """Rare by chance, and the path where ingest has to write before it can go on."""
        roots = sorted(n for n, one in self.model.items() if one.is_open and self.children(n))
        root = self.model[data.draw(st.sampled_from(roots))]
        self.alert(root.key, root.route, signal)

    @rule()
    def reopen(self) -> None:
        """The process restarts: nothing is remembered, nothing is different."""
        self.loop.run_until_complete(self.store.close())
        self.store = self.loop.run_until_complete(Store.open(self.url, keys=KEYS))

    @rule(key=IDS)
    def burst(self, key: str) -> None:
        """Several requests in one commit."""
        made = [arrival(key, self.now()) for _ in range(3)]

        async def together() -> list[int]:
            answers = await asyncio.gather(*[self.store.ingest((one,)) for one in made])
            return [stored.number for (stored,) in answers]

        numbers = self.loop.run_until_complete(together())
        own = sorted(
            (one.reopened, n)
            for n, one in self.model.items()
            if one.key == key and one.is_open and one.route == "default"
        )
        expected = own[0][1] if own else max(self.model, default=0) + 1
        self.model.setdefault(expected, Expected(key=key, route="default")).count += 3
        assert numbers == [expected] * 3

    @invariant()
    def stored_equals_expected(self) -> None:
        found = self.loop.run_until_complete(all_groups(self.store))
        shown = {one.number: (one.state.value, one.alerts_count, one.parent) for one in found}
        assert shown == {n: (one.state, one.count, one.parent) for n, one in self.model.items()}
        for one in found:
            assert one.life.joinable == (one.state is not State.RESOLVED)

    @invariant()
    def chains_are_whole(self) -> None:
        for number, one in self.model.items():
            page = self.loop.run_until_complete(
                self.store.read(lambda c, n=number: alerts.list_alerts(c, group=n, limit=1000))
            )
            assert [a.ordinal for a in page.items] == list(range(one.count, 0, -1))


TestGroupsOverTime = GroupsOverTime.TestCase
TestGroupsOverTime.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
