"""Hello world in Flask and Django, as small as they can be made."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps import BODY

urlpatterns: list[Any] = []
"""Django's, filled by :func:`django`."""


def flask() -> Any:
    app = importlib.import_module("flask").Flask("benchmarks")

    @app.route("/")  # type: ignore[untyped-decorator]
    def hello() -> bytes:
        return BODY

    return app


def django() -> Any:
    importlib.import_module("django.conf").settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__
    )
    response = importlib.import_module("django.http").HttpResponse
    path = importlib.import_module("django.urls").path
    urlpatterns.append(path("", lambda request: response(BODY, content_type="text/plain")))
    return importlib.import_module("django.core.wsgi").get_wsgi_application()
