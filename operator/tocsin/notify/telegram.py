"""Telegram: a bot's messages in a chat, edited as the group's state changes, with buttons that act.

Written against https://core.telegram.org/bots/api: sendMessage, editMessageText, formatting, limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.flow.model import ChannelFragment
from tocsin.notify import telegram_text as markup
from tocsin.notify import text as words
from tocsin.notify.buttons import SHORT_SILENCES, SILENCE, Button, Buttons
from tocsin.notify.calls import Vendor, failed_later, json_of
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.client import Answer
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.tools import Tools

TEXT_LIMIT = 4_096
TITLE_LIMIT = 400
_ROW = 2

Document = dict[str, Any]


class Telegram:
    """`Sent.reference` is `<chat id>/<message id>`."""

    type = "telegram"
    edits = True

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        target = fragment.target.telegram
        assert target is not None, "the factory chooses by what is set"
        token = secrets["telegram.tokenSecretRef"]
        self._api = f"{target.api_url.rstrip('/')}/bot{token}"
        self._chat = target.chat_id
        self._vendor = Vendor(http=tools.http, secrets=(token,))
        self._buttons = Buttons(fragment, tools, answered=target.webhook_secret_ref is not None)

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        chat = recipient.address or self._chat
        if not chat:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "neither the NotificationChannel (spec.telegram.chatId) nor the contact (address) names a chat",
                permanent=True,
            )
        document: Document = {"chat_id": chat}
        thread_chat, _, thread = message.thread.partition("/")
        if thread.isdecimal() and thread_chat == chat:
            document["reply_parameters"] = {"message_id": int(thread), "allow_sending_without_reply": True}
        return await self._show("sendMessage", words.addressed(message, recipient), document)

    async def update(self, message: Message, reference: str) -> Sent:
        chat, _, number = reference.partition("/")
        if not number.isdecimal():
            raise DeliveryFailed(FailureReason.CLIENT_ERROR, "there is no message to edit", permanent=True)
        return await self._show("editMessageText", message, {"chat_id": chat, "message_id": int(number)})

    async def _show(self, method: str, message: Message, place: Document) -> Sent:
        """A text that Telegram cannot read as HTML, in spite of everything, is sent as plain title and link."""
        text = {"text": _text(message), "parse_mode": "HTML"}
        answer = await self._call(method, {**self._content(message), **text, **place})
        if answer.status == 400 and "parse entities" in _description(answer):
            answer = await self._call(method, {**self._content(message), "text": _bare(message), **place})
        if answer.status == 400 and "message is not modified" in _description(answer):
            number = str(place["message_id"])
            return Sent(reference=f"{place['chat_id']}/{number}", receipt=number)
        result = json_of(answer).get("result")
        if not answer.ok or not isinstance(result, dict):
            raise self._failure(answer)
        number, chat = str(result.get("message_id", "")), result.get("chat")
        chat_id = chat.get("id") if isinstance(chat, dict) else None
        return Sent(reference=f"{place['chat_id'] if chat_id is None else chat_id}/{number}", receipt=number)

    async def _call(self, method: str, document: Document) -> Answer:
        return await self._vendor.post(f"{self._api}/{method}", document)

    def _failure(self, answer: Answer) -> DeliveryFailed:
        found = json_of(answer)
        given = found.get("parameters")
        parameters = given if isinstance(given, dict) else {}
        description = _description(answer)
        if answer.status == 404:
            return DeliveryFailed(
                FailureReason.AUTH_ERROR, "Telegram does not know the bot's token", permanent=True
            )
        if answer.status == 403:
            said = f"Telegram says {self._vendor.clean(description)}"
            return DeliveryFailed(FailureReason.CLIENT_ERROR, said, permanent=True)
        if "migrate_to_chat_id" in parameters:
            description += f": the chat has a new id, give {parameters['migrate_to_chat_id']} as chatId"
        failed = self._vendor.failure(self._api, answer, description)
        if answer.ok:
            return DeliveryFailed(FailureReason.OTHER, "Telegram answered something that is no message")
        return failed_later(failed, parameters.get("retry_after"))

    def _content(self, message: Message) -> Document:
        document: Document = {"link_preview_options": {"is_disabled": True}}
        if message.image_url:
            document["link_preview_options"] = {"url": message.image_url, "prefer_large_media": True}
        document["reply_markup"] = {"inline_keyboard": self._keyboard(message)}
        return document

    def _keyboard(self, message: Message) -> list[list[Document]]:
        keys: list[Document] = []
        for button in self._buttons.of(message):
            keys.extend(self._keys(button, message))
        for label, url in (("Open", message.link), ("Source", message.source_link)):
            if url.startswith(("https://", "http://")) and len(url) <= 2_000:
                keys.append({"text": label, "url": url})
        return [keys[at : at + _ROW] for at in range(0, len(keys), _ROW)]

    def _keys(self, button: Button, message: Message) -> list[Document]:
        """`callback_data` has at most 64 bytes: `<action>.<public id>.<mark>`."""
        value = self._buttons.value(message)
        if button.action != SILENCE:
            return [{"text": button.label, "callback_data": f"{button.action}.{value}"}]
        return [
            {"text": f"Silence {name}", "callback_data": f"{SILENCE}:{seconds}.{value}"}
            for name, seconds in SHORT_SILENCES
        ]


def _text(message: Message) -> str:
    """Title and facts first; what comes from templates gets the room that is left."""
    name = words.name_of(message) or "Open"
    number = markup.link(message.link, name) if message.link or message.number else ""
    facts = words.short(
        " · ".join((*words.facts(message), *filter(None, [message.reason]))), 600, words.utf16
    )
    failed = words.fit("\n".join(words.failures(message)), 800, size=words.utf16)
    items = [
        (name, words.short(title, 70, words.utf16), link) for name, title, link in words.shown_items(message)
    ]
    left = words.items_left(message)
    below = [facts, failed, *(f"{name} {title}" for name, title, _ in items), f"and {left} more"]
    room = TEXT_LIMIT - TITLE_LIMIT - 40 - sum(words.utf16(line) + 1 for line in below)
    parts = (
        f"{number} {_bold(_escaped(message, words.one_line(message.title), TITLE_LIMIT))}".strip(),
        markup.escaped(facts),
        _escaped(message, message.text.strip(), room),
        markup.escaped(failed),
        *(f"{markup.link(link, name)} {markup.escaped(title)}" for name, title, link in items),
        f"and {left} more" if left else "",
    )
    return "\n".join(part for part in parts if part)


def _escaped(message: Message, text: str, limit: int) -> str:
    if words.is_rendered(message):
        return markup.rendered(text, limit)
    return markup.escaped(words.fit(text, limit, size=words.utf16))


def _bold(title: str) -> str:
    """Bold, unless the template has that in hand: Telegram does not nest it."""
    return title if "<b>" in title else f"<b>{title}</b>"


def _bare(message: Message) -> str:
    line = f"{words.name_of(message)} {message.title} {words.state_words(message)}".strip()
    return f"{words.short(line, 1_000)}\n{message.link}".strip()


def _description(answer: Answer) -> str:
    return str(json_of(answer).get("description") or "")
