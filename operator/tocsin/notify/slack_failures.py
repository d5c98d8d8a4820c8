"""What the `error` of an answer of Slack means, and what would help."""

from __future__ import annotations

from tocsin.notify.channel import DeliveryFailed, FailureReason

_AUTH, _CLIENT, _SERVER = FailureReason.AUTH_ERROR, FailureReason.CLIENT_ERROR, FailureReason.SERVER_ERROR

_MEANINGS: tuple[tuple[FailureReason, str, tuple[str, ...]], ...] = (
    (
        _AUTH,
        "put a valid bot token into the Secret",
        (
            "invalid_auth",
            "not_authed",
            "account_inactive",
            "token_revoked",
            "token_expired",
            "not_allowed_token_type",
        ),
    ),
    (
        _AUTH,
        "give the app the scope chat:write and install it again",
        ("no_permission", "missing_scope", "access_denied", "ekm_access_denied", "org_login_required"),
    ),
    (
        _CLIENT,
        "name a channel that is there, and invite the app to it (/invite @app)",
        ("channel_not_found", "not_in_channel"),
    ),
    (_CLIENT, "the channel is archived: name another one", ("is_archived",)),
    (
        _CLIENT,
        "the workspace forbids the app to post there",
        (
            "restricted_action",
            "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel",
            "restricted_action_non_threadable_channel",
            "restricted_action_thread_locked",
            "team_access_not_granted",
        ),
    ),
    (
        _CLIENT,
        "give the member id of a person (U...) as address",
        ("user_not_found", "cannot_dm_bot", "messages_tab_disabled"),
    ),
    (
        _CLIENT,
        "",
        (
            "message_not_found",
            "cant_update_message",
            "edit_window_closed",
            "msg_too_long",
            "no_text",
            "invalid_arguments",
            "invalid_blocks",
            "invalid_blocks_format",
            "invalid_attachments",
        ),
    ),
    (FailureReason.RATE_LIMITED, "", ("ratelimited", "rate_limited")),
    (_SERVER, "", ("internal_error", "fatal_error", "service_unavailable")),
    (FailureReason.TIMEOUT, "", ("request_timeout",)),
)
_BY_CODE = {code: (reason, hint) for reason, hint, codes in _MEANINGS for code in codes}
_PERMANENT = frozenset({_AUTH, _CLIENT})
_UNSHOWABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "invalid_attachments"})


class Unshowable(DeliveryFailed):
    """Slack does not take the message in this form."""


def refused(error: str, wait: float | None) -> DeliveryFailed:
    """Of an answer with `ok: false`. Permanent: token and channel problems (alert-flow R-CHT-7). Unknown ones are tried again."""
    reason, hint = _BY_CODE.get(error, (FailureReason.OTHER, ""))
    kind = Unshowable if error in _UNSHOWABLE else DeliveryFailed
    said = f"Slack says {error}{': ' if hint else ''}{hint}"
    return kind(reason, said, retry_after=wait, permanent=reason in _PERMANENT)
