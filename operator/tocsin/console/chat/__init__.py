"""What people press in chats: buttons under messages of alert groups, answered at once (docs/channels.md)."""

from __future__ import annotations

from tocsin.console.chat.application import PREFIX, chat_application

__all__ = ["PREFIX", "chat_application"]
