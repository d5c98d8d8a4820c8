"""Who this process is to the API server: the Pod's service account, or a kubeconfig on a developer's machine."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import kopf
import yaml

Login = Callable[[], kopf.ConnectionInfo]

_LOG = logging.getLogger(__name__)


class LoginFailed(Exception):
    """There is no way into a cluster; the message is one line that says what is missing."""


def login() -> kopf.ConnectionInfo:
    """Credentials as they are now: tokens of service accounts are renewed on disk, so ask again from time to time.

    Raises LoginFailed.
    """
    settings = kopf.OperatorSettings()
    try:
        found = kopf.login_with_service_account(settings=settings, logger=_LOG) or kopf.login_with_kubeconfig(
            settings=settings, logger=_LOG
        )
    except (kopf.LoginError, OSError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise LoginFailed(
            f"the kubeconfig cannot be used ({type(error).__name__}): check KUBECONFIG and its current-context"
        ) from None
    if found is None or not found.server:
        raise LoginFailed(
            "there is no cluster to log in to: run in a Pod with a service account, or set KUBECONFIG"
        )
    return found if _identifies(found) else _login_with_plugin(settings)


def _identifies(info: kopf.ConnectionInfo) -> bool:
    return bool(info.token or info.username or info.certificate_path or info.certificate_data)


def _login_with_plugin(settings: kopf.OperatorSettings) -> kopf.ConnectionInfo:
    """Exec plugins (EKS, GKE) are run by the official client only."""
    if importlib.util.find_spec("kubernetes") is None:
        raise LoginFailed(
            "the kubeconfig's user holds no credentials; if it uses an exec plugin, install the package `kubernetes`"
        )
    found = kopf.login_via_client(settings=settings, logger=_LOG)
    if found is None:
        raise LoginFailed("the kubeconfig's user holds no credentials")
    return found


def own_namespace(info: kopf.ConnectionInfo) -> str:
    """The namespace that this process lives in, or that the kubeconfig's context names."""
    return info.default_namespace or "default"


def service_account_namespace() -> str:
    """The Pod's namespace without logging in; "" outside of a cluster."""
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
