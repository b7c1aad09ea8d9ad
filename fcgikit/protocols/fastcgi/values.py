"""The answer to FCGI_GET_VALUES: what this application is able to. FastCGI 1.0 section 4.1."""

from __future__ import annotations

from ...config import Config
from . import constants as fcgi
from .pairs import decode_pairs, encode_pairs
from .records import encode_record


def values_result(asked: bytes, config: Config) -> bytes:
    """FCGI_GET_VALUES_RESULT with those of the variables *asked* for that are known.

    Raises ``RemoteProtocolError`` when *asked* is no list of names.
    """
    known = values(config)
    names = dict.fromkeys(name for name, _ in decode_pairs(asked))
    content = encode_pairs((name, known[name]) for name in names if name in known)
    return encode_record(fcgi.FCGI_GET_VALUES_RESULT, fcgi.FCGI_NULL_REQUEST_ID, content)


def values(config: Config) -> dict[str, str]:
    """The variables, of all workers together.

    HAProxy takes FCGI_MAX_REQS for what one connection may carry, so it is the smaller one of
    that limit and of what the workers take in all.
    """
    workers = config.workers or 1
    requests = config.max_requests_per_connection
    if config.max_requests_in_flight:
        requests = min(requests, config.max_requests_in_flight * workers)
    return {
        fcgi.FCGI_MAX_CONNS: str(config.max_connections * workers),
        fcgi.FCGI_MAX_REQS: str(requests),
        fcgi.FCGI_MPXS_CONNS: "1",
    }
