"""Twilio: text messages and phone calls (alert-flow R-TPL-28)."""

from __future__ import annotations

from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from tocsin.api.notificationchannel import TwilioMedium
from tocsin.flow.model import ChannelFragment
from tocsin.notify import plain
from tocsin.notify.calls import Vendor, json_of
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import items_left, one_line, short, state_words
from tocsin.notify.tools import Tools

TEXT_LIMIT = 480
"""Three parts of a text message; Twilio takes 1,600 characters, and bills each part."""
SPOKEN_LIMIT = 900
"""About a minute of speech; Twilio takes 4,000 characters of TwiML."""
_TITLE_LIMIT = 200
_BUNDLE_GROUPS = 3
_REMEMBERED = 4096


class Twilio:
    """One request per number. A number that was served is skipped if the others have to be tried again."""

    type = "twilio"
    edits = False

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        target = fragment.target.twilio
        assert target is not None
        self._target = target
        resource = "Calls" if target.medium is TwilioMedium.CALL else "Messages"
        self._url = f"{target.api_url.rstrip('/')}/2010-04-01/Accounts/{target.account_sid}/{resource}.json"
        token = secrets["twilio.tokenSecretRef"]
        credentials = b64encode(f"{target.account_sid}:{token}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._vendor = Vendor(http=tools.http, secrets=(token,))
        self._served: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        numbers = (recipient.address,) if recipient.address else self._target.to
        if not numbers:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "no phone number: set spec.twilio.to, or an address on the contact",
                permanent=True,
            )
        failures: list[DeliveryFailed] = []
        for number in numbers:
            if (message.key, number) in self._served:
                continue
            try:
                self._remember(message.key, number, await self._call(message, number))
            except DeliveryFailed as error:
                failures.append(error)
        if failures:
            raise next((error for error in failures if not error.permanent), failures[0])
        return Sent(receipt=self._served[message.key, numbers[-1]])

    async def update(self, message: Message, reference: str) -> Sent:
        return await self.send(message, Recipient())

    async def _call(self, message: Message, number: str) -> str:
        form = {"From": self._target.from_, "To": number}
        if self._target.medium is TwilioMedium.CALL:
            form["Twiml"] = f'<Response><Say loop="2">{escape(spoken(message))}</Say></Response>'
        else:
            form["Body"] = text_message(message)
        answer = await self._vendor.send("POST", self._url, urlencode(form).encode(), headers=self._headers)
        said = json_of(answer)
        if not answer.ok:
            code = said.get("code")
            detail = f"{said.get('message', '')}{f' (Twilio {code})' if code else ''}"
            raise self._vendor.failure(self._url, answer, detail)
        return str(said.get("sid", ""))

    def _remember(self, key: str, number: str, sid: str) -> None:
        self._served[key, number] = sid
        while len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)


def text_message(message: Message) -> str:
    """What a text message says: number, title, integration, how many alerts, link."""
    if message.items:
        return _bundle(message)
    title = short(plain.without_markup(message.title), _TITLE_LIMIT)
    if not message.number:
        return short(f"Tocsin: {title}. {one_line(message.text)}", TEXT_LIMIT)
    state = state_words(message)
    said = "" if state == "Firing" else f" {state}."
    text = f'Alert group #{message.number} "{title}" of {message.integration}, alerts: {message.alerts_count}.{said}'
    link = f" {message.link}" if message.link and len(message.link) <= _TITLE_LIMIT else ""
    return short(text, TEXT_LIMIT - len(link)) + link


def spoken(message: Message) -> str:
    """What is said on the phone, without quotes, which voices read aloud."""
    title = short(plain.without_markup(message.title), _TITLE_LIMIT).replace('"', "")
    if message.items:
        return short(f"{message.total} alert groups need attention. {title}.", SPOKEN_LIMIT)
    if not message.number:
        return short(
            f"{title}. {one_line(plain.without_markup(message.text))}".replace('"', ""), SPOKEN_LIMIT
        )
    return short(
        f"Alert from {message.integration}. {title}. It has {message.alerts_count} alerts.", SPOKEN_LIMIT
    )


def _bundle(message: Message) -> str:
    """Up to three numbers (alert-flow R-NTF-6)."""
    shown = ", ".join(f"#{item.number}" for item in message.items[:_BUNDLE_GROUPS])
    more = max(len(message.items) - _BUNDLE_GROUPS, 0) + items_left(message)
    more = message.total - min(len(message.items), _BUNDLE_GROUPS) if message.total else more
    rest = f" and {more} more" if more > 0 else ""
    return short(f"{message.total} alert groups: {shown}{rest}. {message.link}".strip(), TEXT_LIMIT)


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    return Twilio(fragment, secrets, tools)
